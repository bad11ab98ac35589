"""How long the words are: eojeols of Korean, words of other languages that write spaces."""

from pydantic import Field

from malmoi.factory.corpus.documents import Document
from malmoi.factory.corpus.rules import Filter, FilterSettings
from malmoi.factory.corpus.scripts import count_scripts

UNSPACED = frozenset({"ja", "zh", "th", "lo", "km", "my", "code", "und"})
"""Languages without spaces between words, and what has no words."""


class WordSettings(FilterSettings):
    """Mean lengths, in characters."""

    min_mean_eojeol: float = Field(1.6, ge=0)
    """Korean: shorter on the average is text with a space after every syllable."""
    max_mean_eojeol: float = Field(12.0, gt=0)
    """Korean: longer is text that lost its spaces, or lists of addresses."""
    min_mean_word: float = Field(2.5, ge=0)
    """Other languages with spaces."""
    max_mean_word: float = Field(12.0, gt=0)
    """Other languages with spaces."""
    min_words: int = Field(8, ge=1)
    """Fewer words than this have no mean worth judging."""
    max_word_characters: int = Field(20_000, ge=1)
    """One word longer than this is data, such as Base64, in whatever language."""


class WordFilter(Filter[WordSettings]):
    """Reasons: `short_words`, `long_words`, `giant_word`."""

    Settings = WordSettings

    def judge(self, document: Document) -> str | None:
        """The reason to drop `document`, or None."""
        text, settings = document.text, self.settings
        if len(text) > settings.max_word_characters:
            longest = max(map(len, text.split()), default=0)
            if longest > settings.max_word_characters:
                return "giant_word"
        if document.language in UNSPACED:
            return None
        words = len(text.split())
        if words < settings.min_words:
            return None
        scripts = count_scripts(text)
        mean = (scripts.total - scripts.spaces) / words
        korean = document.language == "ko"
        if mean < (settings.min_mean_eojeol if korean else settings.min_mean_word):
            return "short_words"
        if mean > (settings.max_mean_eojeol if korean else settings.max_mean_word):
            return "long_words"
        return None
