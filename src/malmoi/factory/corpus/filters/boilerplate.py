"""Pages that are mostly furniture: menus, copyright lines, cookie notices, error pages."""

import re

from pydantic import Field

from malmoi.factory.corpus.documents import Document
from malmoi.factory.corpus.filters.wordlists import read_list
from malmoi.factory.corpus.rules import Filter, FilterSettings

LONGEST_LINE = 120
"""A phrase in a longer line is a mention, not a menu."""


class BoilerplateSettings(FilterSettings):
    """Which phrases, and how many lines with them are too many. Code is not judged."""

    max_line_share: float = Field(0.3, ge=0, le=1)
    """Of the lines that are not empty, short ones that hold a phrase of the list."""
    min_matches: int = Field(2, ge=1)
    """Fewer such lines never drop a text."""
    phrases: tuple[str, ...] = ()
    """More phrases, compared in small letters."""


class BoilerplateFilter(Filter[BoilerplateSettings]):
    """Reason: `boilerplate`."""

    Settings = BoilerplateSettings

    def __init__(self, settings: BoilerplateSettings) -> None:
        super().__init__(settings)
        phrases = {phrase.lower() for phrase in (*read_list("boilerplate"), *settings.phrases)}
        self._phrases = re.compile("|".join(map(re.escape, sorted(phrases))))

    def judge(self, document: Document) -> str | None:
        """The reason to drop `document`, or None."""
        if document.language == "code":
            return None
        lines = [line for line in document.text.split("\n") if line and not line.isspace()]
        short = [line for line in lines if len(line) <= LONGEST_LINE]
        least = max(self.settings.min_matches, self.settings.max_line_share * len(lines))
        if len(short) < least:
            return None
        found = sum(self._phrases.search(line) is not None for line in "\n".join(short).lower().split("\n"))
        enough = found >= self.settings.min_matches and found > self.settings.max_line_share * len(lines)
        return "boilerplate" if enough else None
