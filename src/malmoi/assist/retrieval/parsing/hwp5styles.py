"""Styles of HWP 5 documents, out of the stream DocInfo."""

import re
import struct

from malmoi.assist.retrieval.parsing.hwp5records import NUMBERING, PARA_SHAPE, STYLE, Record
from malmoi.assist.retrieval.parsing.numbering import Level
from malmoi.assist.retrieval.parsing.paragraphs import ParagraphStyle

_OUTLINE_NAME = re.compile(r"(?:개요|outline|heading|제목)\s*(\d{1,2})$", re.I)
_OUTLINE, _NUMBER, _BULLET = 1, 2, 3
_LEVELS = 7
_FORMATS = {
    0: "decimal",
    1: "decimalEnclosedCircle",
    2: "upperRoman",
    3: "lowerRoman",
    4: "upperLetter",
    5: "lowerLetter",
    8: "ganada",
    10: "chosung",
}


class Styles:
    """Paragraph shapes, styles and numberings of a document."""

    def __init__(self, records: list[Record]) -> None:
        self._shapes: list[tuple[int, int, int]] = []
        self._named: list[int] = []
        self.lists: dict[str, list[Level]] = {}
        for record in _all(records):
            if record.tag == PARA_SHAPE:
                bits = record.number(0, 4)
                self._shapes.append((bits >> 23 & 3, bits >> 25 & 7, record.number(30, 2)))
            elif record.tag == STYLE:
                self._named.append(_level(record.data))
            elif record.tag == NUMBERING:
                self.lists[str(len(self.lists) + 1)] = _levels(record.data)

    def of_paragraph(self, header: Record, outline: str) -> ParagraphStyle:
        """Of a paragraph.

        Args:
            header: its PARA_HEADER.
            outline: the numbering of the section's outline.
        """
        shape, style = header.number(8, 2), header.number(10, 1)
        kind, level, list_ = self._shapes[shape] if shape < len(self._shapes) else (0, 0, 0)
        named = self._named[style] if style < len(self._named) else 0
        if kind == _OUTLINE:
            return ParagraphStyle(level + 1, False, outline, level)
        if kind in (_NUMBER, _BULLET):
            return ParagraphStyle(named, True, str(list_) if kind == _NUMBER else "", level)
        return ParagraphStyle(named)


def _all(records: list[Record]) -> list[Record]:
    """Every record, in order; DocInfo is at most a few levels deep."""
    found: list[Record] = []
    waiting = list(reversed(records))
    while waiting:
        record = waiting.pop()
        found.append(record)
        waiting += reversed(record.below)
    return found


def _level(data: bytes) -> int:
    """The level that a style's Korean or English name promises."""
    at = 0
    for _ in range(2):
        size = 2 * int.from_bytes(data[at : at + 2], "little")
        name = data[at + 2 : at + 2 + size].decode("utf-16-le", "replace")
        if (found := _OUTLINE_NAME.match(name.strip())) is not None:
            return max(int(found[1]), 1)
        at += 2 + size
    return 0


def _levels(data: bytes) -> list[Level]:
    levels, at = [], 0
    for _ in range(_LEVELS):
        if at + 14 > len(data):
            break
        bits, size = struct.unpack_from("<I8xH", data, at)
        text = data[at + 14 : at + 14 + 2 * size].decode("utf-16-le", "replace")
        levels.append(Level(_FORMATS.get(bits >> 5 & 15, "decimal"), text[:40].replace("^", "%")))
        at += 14 + 2 * size
    return levels
