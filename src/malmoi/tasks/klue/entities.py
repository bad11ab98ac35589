"""Entities of a sentence, written as KLUE writes them: `<경찰:OG>은 또 ...`.

An answer is read leniently. It may be the whole sentence with its marks, or the marks alone: each entity is
looked for in the sentence from where the last one ended. Of one that is not there, or of a strange type, only
the fact counts.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from malmoi.tasks.base import Example
from malmoi.tasks.graders.base import GraderSettings

TYPES = ("PS", "LC", "OG", "DT", "TI", "QT")
"""Person, place, organisation, date, time, quantity."""

Span: TypeAlias = tuple[int, int, str]
"""First character, one past the last, type."""

_MARK = re.compile(r"<([^<>\n]{1,200}):([A-Za-z]{2,4})>")


@dataclass(frozen=True, slots=True)
class Entities:
    """What an answer says of a sentence.

    Attributes:
        spans: entities that stand in the sentence, in order.
        elsewhere: entities that do not, or whose type is none of the six: (text, type).
        readable: whether the answer has a mark at all, or is the sentence without any.
    """

    spans: tuple[Span, ...]
    elsewhere: tuple[tuple[str, str], ...]
    readable: bool


def spans_of(tags: Sequence[str]) -> list[Span]:
    """Entities of IOB2 tags.

    Raises:
        ValueError: a tag is none, or goes on from what is no entity of its type.
    """
    spans: list[Span] = []
    open_span: Span | None = None
    for place, tag in enumerate(tags):
        mark, _, kind = tag.partition("-")
        if mark == "I" and open_span is not None and open_span[2] == kind:
            open_span = (open_span[0], place + 1, kind)
            continue
        if open_span is not None:
            spans.append(open_span)
            open_span = None
        if mark == "B" and kind in TYPES:
            open_span = (place, place + 1, kind)
        elif tag != "O":
            raise ValueError(f"{tag!r} at place {place + 1}")
    return [*spans, open_span] if open_span is not None else spans


def mark_entities(text: str, spans: Sequence[Span]) -> str:
    """The sentence with its entities marked."""
    parts, end = [], 0
    for start, stop, kind in spans:
        parts += [text[end:start], f"<{text[start:stop]}:{kind}>"]
        end = stop
    return "".join([*parts, text[end:]])


def parse_entities(answer: str, text: str) -> Entities:
    """The entities that an answer marks.

    Args:
        answer: what was written.
        text: the sentence.
    """
    marks = list(_MARK.finditer(answer))
    whole = _MARK.sub(lambda mark: mark[1], answer).strip() == text.strip()
    spans: list[Span] = []
    elsewhere: list[tuple[str, str]] = []
    end = 0  # of the last one found
    for mark in marks:
        surface, kind = mark[1], mark[2].upper()
        start = text.find(surface, end)
        if start < 0 or kind not in TYPES:
            elsewhere.append((surface, kind))
            continue
        end = start + len(surface)
        spans.append((start, end, kind))
    if whole:
        spans = _by_place(answer, text, marks) or spans
    return Entities(tuple(spans), tuple(elsewhere), readable=bool(marks) or whole)


def _by_place(answer: str, text: str, marks: Sequence[re.Match[str]]) -> list[Span]:
    """Entities where the answer has them: exact where the rest of the sentence is there unchanged."""
    shift = len(text) - len(text.lstrip()) - (len(answer) - len(answer.lstrip()))
    spans = []
    for mark in marks:
        start = mark.start() + shift
        shift -= len(mark[0]) - len(mark[1])
        if mark[2].upper() in TYPES:
            spans.append((start, start + len(mark[1]), mark[2].upper()))
    return spans


class EntityGrader(GraderSettings):
    """F1 of the item's entities, each right with its place and its type; both without any: 1."""

    def grade(self, example: Example, answer: str) -> float:
        """Twice the shared entities over all of both."""
        if answer.strip() == example.answer.strip():
            return 1.0  # the marks of an entity that begins with `<` can be read in two ways
        found = parse_entities(answer, str(example.fields["text"]))
        gold = {(int(start), int(stop), str(kind)) for start, stop, kind in example.fields["entities"]}
        given = len(found.spans) + len(found.elsewhere)
        if not gold and not given:
            return float(found.readable)
        return 2 * len(gold & set(found.spans)) / (len(gold) + given)

    def grades(self, example: Example, answer: str) -> dict[Literal["unreadable"] | str, float]:
        """`unreadable`: 1 for an answer without a mark that is not the sentence either."""
        found = parse_entities(answer, str(example.fields["text"]))
        return {"unreadable": float(not found.readable)}
