"""Styles of Word documents: which paragraphs are headings, which are items of a list."""

import re
from collections.abc import Mapping

from malmoi.assist.retrieval.parsing.package import Package
from malmoi.assist.retrieval.parsing.paragraphs import ParagraphStyle
from malmoi.assist.retrieval.parsing.safexml import Element, attribute, child, local

_HEADING = re.compile(r"(?:heading|제목)\s*(\d)$", re.I)
_DEEPEST = 20  # styles that are based on each other


class Styles:
    """The paragraph styles of a document."""

    def __init__(self, styles: Mapping[str, Element]) -> None:
        self._styles = styles
        self._known: dict[str, ParagraphStyle] = {}

    @classmethod
    def of(cls, package: Package, part: str) -> "Styles":
        """Those of a document's style part, if it has one."""
        found = {}
        for target in package.related(part, "styles"):
            for style in package.xml(target):
                if local(style) == "style":
                    found[attribute(style, "styleId") or ""] = style
        return cls(found)

    def of_paragraph(self, paragraph: Element) -> ParagraphStyle:
        """Its own properties first, then those of its style."""
        properties = child(paragraph, "pPr")
        if properties is None:
            return ParagraphStyle()
        named = child(properties, "pStyle")
        style = self._named(attribute(named, "val") or "") if named is not None else ParagraphStyle()
        outline, number = _outline(properties), _number(properties)
        return ParagraphStyle(
            heading=style.heading if outline is None else outline,
            number=style.number if number is None else number[0],
            number_level=style.number_level if number is None else number[1],
        )

    def _named(self, name: str) -> ParagraphStyle:
        if name not in self._known:
            heading, number, at = None, None, name
            for _ in range(_DEEPEST):
                style = self._styles.get(at)
                if style is None:
                    break
                properties = child(style, "pPr")
                if properties is not None:
                    heading = _outline(properties) if heading is None else heading
                    number = _number(properties) if number is None else number
                if heading is None:
                    heading = _by_name(style)
                based = child(style, "basedOn")
                at = attribute(based, "val") or "" if based is not None else ""
            self._known[name] = ParagraphStyle(heading or 0, False, *(number or ("", 0)))
        return self._known[name]


def _by_name(style: Element) -> int | None:
    named = child(style, "name")
    name = (attribute(named, "val") or "").strip() if named is not None else ""
    if (found := _HEADING.match(name)) is not None:
        return max(int(found[1]), 1)
    return 1 if name.lower() == "title" else None


def _outline(properties: Element) -> int | None:
    """The level of the outline: 0 to 8 are headings, 9 is text."""
    outline = child(properties, "outlineLvl")
    value = attribute(outline, "val") if outline is not None else None
    if value is None or not (value.isascii() and value.isdigit()):
        return None
    return int(value) + 1 if len(value) == 1 and value != "9" else 0


def _number(properties: Element) -> tuple[str, int] | None:
    numbered = child(properties, "numPr")
    if numbered is None:
        return None
    number, level = child(numbered, "numId"), child(numbered, "ilvl")
    id_ = (attribute(number, "val") or "") if number is not None else ""
    deep = (attribute(level, "val") or "0") if level is not None else "0"
    return ("" if id_ == "0" else id_), int(deep) if deep in set("012345678") else 0
