"""What a traveller's words say about kinds of places and days: "둘째 날은 실내만", "맛집 빼고"."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, TypeAlias

from malmoi.assist.skills.planning.dates import find_dates
from malmoi.assist.templates.texts import Texts

Sort: TypeAlias = Literal["only", "not", "more"]

_DATE = r"(?:\d{4}\s*년\s*)?\d{1,2}\s*월\s*\d{1,2}\s*일|\d{4}[-./]\d{1,2}[-./]\d{1,2}"
_SPAN = r"\d+\s*박\s*\d+\s*일|\d+\s*(?:일(?!\s*차)|days?\b)|당일치기|이틀|사흘|나흘|닷새|엿새"
_DATE_OR_SPAN = re.compile(f"(?P<date>{_DATE})|{_SPAN}", re.IGNORECASE)
_SENTENCE = re.compile(r"[.!?。？！\n;]+")
_PART = re.compile(r",|(?<=고)\s|지만|\b(?:and|but)\b", re.IGNORECASE)
_NUMBERED = re.compile(r"(?<!\d)([1-9])\s*(?:일\s*차|번째\s*날)|\bday\s*([1-9])\b", re.IGNORECASE)
_ONLY = re.compile(r"(?<!지)만(?![가-힣])|만(?:으로|요)|\b(?:only|just)\b", re.IGNORECASE)
_NOT = re.compile(
    r"빼|뺐|말고|제외|없이|싫|피하|안\s*가|\b(?:without|except|no|not|skip|avoid)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wished of the kinds of places.

    Attributes:
        day: of the trip, from 1; 0: every day.
        kinds: of places.
        sort: nothing else, none of these, or rather these.
    """

    day: int
    kinds: frozenset[str]
    sort: Sort


def wishes_of(texts: Iterable[str], words: Mapping[str, Sequence[str]], *, days: int) -> list[Wish]:
    """The wishes of some texts, oldest first.

    Args:
        texts: what was said.
        words: that people say for each kind the skill knows.
        days: how many the trip has.
    """
    groups = Texts("trip", "ko")
    known = {kind: [word for word in said if word.strip()] for kind, said in words.items()}
    for group in ("indoor", "food"):
        for kind in groups.listed(f"groups.{group}.kinds"):
            if kind in known:
                known[kind] = [*known[kind], *groups.words(f"groups.{group}.words")]
    found: list[Wish] = []
    for text in texts:
        for sentence in _SENTENCE.split(text):
            day = 0
            for part in _PART.split(sentence):
                day = _day_of(part, days) or day
                kinds = frozenset(
                    kind for kind, said in known.items() if any(_stands(word, part) for word in said)
                )
                if kinds:
                    sort: Sort = "not" if _NOT.search(part) else "only" if _ONLY.search(part) else "more"
                    found.append(Wish(day, kinds, sort))
    return found


def first_day(texts: Iterable[str], now: datetime) -> date | None:
    """The day on which the trip begins, as it was said last; None: it was not said.

    How long it takes ("3일", "이틀") is no date.
    """
    for text in reversed(list(texts)):
        bare = without_spans(text)
        dates = sorted(find_dates(bare, now), key=lambda one: (one.start, -one.end))
        if dates:
            return date.fromisoformat(str(dates[0].value))
    return None


def without_spans(text: str) -> str:
    """A text without how long something takes; its dates stay."""
    return _DATE_OR_SPAN.sub(lambda found: found[0] if found["date"] else " ", text)


def without_dates(text: str) -> str:
    """A text without its dates; how long something takes stays."""
    return _DATE_OR_SPAN.sub(lambda found: " " if found["date"] else found[0], text)


def _day_of(part: str, days: int) -> int:
    if found := _NUMBERED.search(part):
        return int(found[1] or found[2])
    texts = Texts("trip", "ko")
    for number in range(1, 8):
        if any(_stands(word, part) for word in texts.words(f"ordinals.day_{number}")):
            return number
    return days if any(_stands(word, part) for word in texts.words("ordinals.last")) else 0


def _stands(word: str, text: str) -> bool:
    """Whether a word stands in a text; Korean words have endings, English ones stand alone."""
    folded, asked = f"{text.casefold()} ", word.casefold()
    if asked.isascii():
        return re.search(rf"\b{re.escape(asked.strip())}\b", folded) is not None
    return asked in folded
