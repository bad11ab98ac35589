"""Pages that are lists of items or of cut-off teasers (Gopher rules, Rae et al. 2021, table A1)."""

import re

from pydantic import Field

from malmoi.factory.corpus.documents import Document
from malmoi.factory.corpus.rules import Filter, FilterSettings

_BULLET = re.compile(r"^[ \t]*(?:[-*+•‣▪◦●○■□▶▷◆◇★☆※·]|\d{1,3}[.)]) ", re.MULTILINE)
_ELLIPSIS = re.compile(r"(?:\.\.\.|…)[ \t]*(?:\[?(?:더 ?보기|more)\]?)?[ \t]*$", re.MULTILINE | re.IGNORECASE)


class LineSettings(FilterSettings):
    """Shares of the lines that are not empty. Code is not judged."""

    max_bullet_share: float = Field(0.9, ge=0, le=1)
    """Lines that begin with a bullet or number."""
    max_ellipsis_share: float = Field(0.4, ge=0, le=1)
    """Lines that end in an ellipsis."""
    min_lines: int = Field(6, ge=1)
    """Texts of fewer lines are not judged."""


class LineFilter(Filter[LineSettings]):
    """Reasons: `bullets`, `ellipses`."""

    Settings = LineSettings

    def judge(self, document: Document) -> str | None:
        """The reason to drop `document`, or None."""
        text = document.text
        if document.language == "code" or text.count("\n") + 1 < self.settings.min_lines:
            return None
        lines = sum(1 for line in text.split("\n") if line and not line.isspace())
        if lines < self.settings.min_lines:
            return None
        if len(_BULLET.findall(text)) > self.settings.max_bullet_share * lines:
            return "bullets"
        if ("..." in text or "…" in text) and len(
            _ELLIPSIS.findall(text)
        ) > self.settings.max_ellipsis_share * lines:
            return "ellipses"
        return None
