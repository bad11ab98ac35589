"""Numbers that word processors count themselves ("1.", "가)", "제3조"): not in the text, so they are made."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from malmoi.assist.retrieval.parsing.package import Package
from malmoi.assist.retrieval.parsing.safexml import Element, attribute, child, local

_PLACE = re.compile(r"%([1-9])")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_GANADA = "가나다라마바사아자차카타파하"
_CHOSUNG = "ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊㅋㅌㅍㅎ"
_ROMAN = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"),
    (50, "l"), (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip
_LEVELS = 10
_HIGHEST = 10_000


@dataclass(slots=True)
class Level:
    """How one level of a list is numbered.

    Attributes:
        format: of the number, by Word's name.
        text: around it; %1 stands for the number of the first level, and so on.
        start: the first number.
    """

    format: str = "decimal"
    text: str = ""
    start: int = 1


@dataclass(slots=True)
class _List:
    levels: list[Level]
    counts: list[int | None] = field(default_factory=lambda: [None] * _LEVELS)


class Numbering:
    """The lists of a document, and how far each has counted.

    Args:
        lists: the levels of each list by its id.
    """

    def __init__(self, lists: Mapping[str, list[Level]]) -> None:
        self._lists = {id_: _List(levels) for id_, levels in lists.items()}

    @classmethod
    def of(cls, package: Package, part: str) -> "Numbering":
        """The lists of a document's numbering part, if it has one."""
        made = cls({})
        for target in package.related(part, "numbering"):
            root = package.xml(target)
            kinds = {
                attribute(kind, "abstractNumId") or "": _List(_levels(kind))
                for kind in root
                if local(kind) == "abstractNum"
            }
            for number in root:
                kind = child(number, "abstractNumId") if local(number) == "num" else None
                if kind is not None and (found := kinds.get(attribute(kind, "val") or "")) is not None:
                    # Lists of one kind count on from each other, as Word does, unless told otherwise.
                    own = _List(found.levels) if child(number, "lvlOverride") is not None else found
                    made._lists[attribute(number, "numId") or ""] = own
        return made

    def next(self, number: str, level: int) -> str:
        """The mark of the next item; empty for bullets and for what is in no list."""
        counted = self._lists.get(number)
        if counted is None or not 0 <= level < len(counted.levels):
            return ""
        kind = counted.levels[level]
        before = counted.counts[level]
        counted.counts[level] = kind.start if before is None else min(before + 1, _HIGHEST)
        counted.counts[level + 1 :] = [None] * (_LEVELS - level - 1)
        if kind.format in ("bullet", "none"):
            return ""

        def count(place: re.Match[str]) -> str:
            at = int(place[1]) - 1
            if at >= len(counted.levels):
                return ""
            reached = counted.counts[at]
            return written(
                counted.levels[at].start if reached is None else reached, counted.levels[at].format
            )

        return _PLACE.sub(count, kind.text).strip()


def written(number: int, format: str) -> str:
    """A number as Word's formats write it; unknown formats are written in digits."""
    if number < 1:
        return str(number)
    match format:
        case "lowerLetter" | "upperLetter":
            text = _LETTERS[(number - 1) % 26] * ((number - 1) // 26 + 1)
            return text.upper() if format == "upperLetter" else text
        case "lowerRoman" | "upperRoman":
            text = ""
            for value, letters in _ROMAN:
                text += letters * (number // value)
                number %= value
            return text.upper() if format == "upperRoman" else text
        case "ganada":
            return _GANADA[(number - 1) % 14]
        case "chosung":
            return _CHOSUNG[(number - 1) % 14]
        case "decimalEnclosedCircle" if number <= 20:
            return chr(0x2460 + number - 1)
        case "decimalZero":
            return f"{number:02}"
        case _:
            return str(number)


def _levels(kind: Element) -> list[Level]:
    levels = [Level(text=f"%{place + 1}.") for place in range(_LEVELS)]
    for element in kind:
        place = attribute(element, "ilvl") or ""
        if local(element) != "lvl" or place not in set("012345678"):
            continue
        level = levels[int(place)]
        for name, found in (("numFmt", "format"), ("lvlText", "text"), ("start", "start")):
            told = child(element, name)
            value = (attribute(told, "val") or "") if told is not None else None
            if value is None:
                continue
            if found == "start":
                level.start = int(value) if value.isascii() and value.isdigit() and len(value) < 6 else 1
            else:
                setattr(level, found, value[:40])
    return levels
