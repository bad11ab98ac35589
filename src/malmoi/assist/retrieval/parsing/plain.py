"""Plain text: paragraphs are set apart by empty lines; line ends within them stay.

A line that is underlined with a row of one sign is a heading, as in reStructuredText; the levels of the signs
are in the order in which they come.
"""

import re

from malmoi.assist.retrieval.parsing.clean import clean
from malmoi.assist.retrieval.parsing.writer import Writer

_EMPTY = re.compile(r"\n[^\S\n]*(?:\n[^\S\n]*)+")
_BULLET = re.compile(r"[-*•·▪◦○●■□▶]\s|\(?(?:\d{1,3}|[가나다라마바사아자차카타파하A-Za-z])[.)]\s|[①-⑳]")
_ROW = re.compile(r"([=\-~^\"*+#'])\1{2,}\s*$")
_LONGEST_TITLE = 120
_MOST_LEVELS = 6


def read(text: str, writer: Writer) -> None:
    """Write the paragraphs of a text."""
    levels: dict[str, int] = {}
    for paragraph in _EMPTY.split(clean(text)):
        rest = _heading(paragraph, levels, writer)
        is_item = _BULLET.match(rest.lstrip()) and "\n" not in rest.strip()
        writer.add("list_item" if is_item else "paragraph", rest)


def _heading(paragraph: str, levels: dict[str, int], writer: Writer) -> str:
    """Write the heading that a paragraph begins with, if it does; what is left of it."""
    lines = paragraph.lstrip("\n").split("\n", 3)
    if len(lines) > 2 and _ROW.match(lines[0]) and lines[0][:3] == lines[2][:3]:
        lines = lines[1:]  # a row above the title as well
    row = _ROW.match(lines[1]) if len(lines) > 1 else None
    title = lines[0].strip()
    if row is None or not title or _ROW.match(title) or len(title) > min(_LONGEST_TITLE, 2 * len(row[0])):
        return paragraph
    level = levels.setdefault(row[1], min(len(levels) + 1, _MOST_LEVELS))
    writer.add("heading", title, level=level)
    return "\n".join(lines[2:])
