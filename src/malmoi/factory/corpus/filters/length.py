"""Too short to teach anything, or too long to be one document."""

from pydantic import Field

from malmoi.factory.corpus.documents import Document
from malmoi.factory.corpus.rules import Filter, FilterSettings


class LengthSettings(FilterSettings):
    """How long a document may be."""

    min_characters: int = Field(60, ge=0)
    """Characters, spaces left out; 60 syllables are two Korean sentences. For reviews or chat set 5 or so."""
    max_characters: int = Field(5_000_000, ge=1)
    """Longer documents are dumps."""


class LengthFilter(Filter[LengthSettings]):
    """Reasons: `too_short`, `too_long`."""

    Settings = LengthSettings

    def judge(self, document: Document) -> str | None:
        """The reason to drop `document`, or None."""
        text = document.text
        if len(text) > self.settings.max_characters:
            return "too_long"
        # A long text has its spaces counted in vain.
        shortest = self.settings.min_characters
        if len(text) < shortest or (len(text) < 20 * shortest and len("".join(text.split())) < shortest):
            return "too_short"
        return None
