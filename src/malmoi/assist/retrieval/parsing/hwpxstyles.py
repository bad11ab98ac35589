"""Styles of HWPX documents: which paragraphs are headings of the outline, which are items of a list."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from malmoi.assist.retrieval.parsing.numbering import Level
from malmoi.assist.retrieval.parsing.paragraphs import ParagraphStyle
from malmoi.assist.retrieval.parsing.safexml import Element, attribute, below, local

_OUTLINE_NAME = re.compile(r"(?:개요|outline|heading|제목)\s*(\d{1,2})$", re.I)
_LEVELS = 10
# OWPML's names of number formats, by the ones that `numbering` knows.
_FORMATS = {
    "DIGIT": "decimal",
    "CIRCLED_DIGIT": "decimalEnclosedCircle",
    "ROMAN_CAPITAL": "upperRoman",
    "ROMAN_SMALL": "lowerRoman",
    "LATIN_CAPITAL": "upperLetter",
    "LATIN_SMALL": "lowerLetter",
    "HANGUL_SYLLABLE": "ganada",
    "HANGUL_JAMO": "chosung",
}


@dataclass(frozen=True, slots=True)
class Styles:
    """What `header.xml` says of paragraphs.

    Attributes:
        shapes: kind (OUTLINE, NUMBER, BULLET), list and level of each paragraph shape.
        named: the level that a style's name promises, such as "개요 1".
        style_shapes: the paragraph shape of each style.
        lists: the levels of each numbering.
    """

    shapes: Mapping[str, tuple[str, str, int]]
    named: Mapping[str, int]
    style_shapes: Mapping[str, str]
    lists: Mapping[str, list[Level]]

    @classmethod
    def of(cls, header: Element | None) -> "Styles":
        """Those of a document; None: it has no header."""
        shapes: dict[str, tuple[str, str, int]] = {}
        named: dict[str, int] = {}
        style_shapes: dict[str, str] = {}
        lists: dict[str, list[Level]] = {}
        if header is None:
            return cls(shapes, named, style_shapes, lists)
        for element in below(header, "paraPr", "style", "numbering"):
            id_ = attribute(element, "id") or ""
            match local(element):
                case "paraPr":
                    head = next(below(element, "heading"), None)
                    if head is not None and (kind := attribute(head, "type") or "NONE") != "NONE":
                        level = _whole(attribute(head, "level"))
                        shapes[id_] = (kind, attribute(head, "idRef") or "", level)
                case "style":
                    style_shapes[id_] = attribute(element, "paraPrIDRef") or ""
                    names = (attribute(element, "name") or "", attribute(element, "engName") or "")
                    for name in names:
                        if (found := _OUTLINE_NAME.match(name.strip())) is not None:
                            named.setdefault(id_, max(int(found[1]), 1))
                case "numbering":
                    lists[id_] = _levels(element)
        return cls(shapes, named, style_shapes, lists)

    def of_paragraph(self, paragraph: Element, outline: str) -> ParagraphStyle:
        """Of a paragraph.

        Args:
            paragraph: an `hp:p`.
            outline: the numbering of the section's outline.
        """
        style = attribute(paragraph, "styleIDRef") or ""
        shape = attribute(paragraph, "paraPrIDRef") or self.style_shapes.get(style, "")
        kind, list_, level = self.shapes.get(shape, ("NONE", "", 0))
        if kind == "OUTLINE":
            return ParagraphStyle(level + 1, False, outline, level)
        if kind in ("NUMBER", "BULLET"):
            number = list_ if kind == "NUMBER" else ""
            return ParagraphStyle(self.named.get(style, 0), True, number, level)
        return ParagraphStyle(self.named.get(style, 0))


def _levels(numbering: Element) -> list[Level]:
    levels = [Level("none") for _ in range(_LEVELS)]
    for head in numbering:
        place = _whole(attribute(head, "level"), 1) - 1
        if local(head) != "paraHead" or not 0 <= place < _LEVELS:
            continue
        format_ = _FORMATS.get(attribute(head, "numFormat") or "DIGIT", "decimal")
        levels[place] = Level(
            format_, (head.text or "").strip()[:40].replace("^", "%"), _whole(attribute(head, "start"), 1)
        )
    return levels


def _whole(text: str | None, otherwise: int = 0) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 5 else otherwise
