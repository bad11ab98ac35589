"""Ids of what was shown before, or that the person names: "두 번째 거" means the second one of the list."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from malmoi.assist.skills.planning.words import load_words

_TOKEN = re.compile(
    r"(?<![A-Za-z0-9@.-])(?P<id>[A-Za-z]{1,12}(?:-[A-Za-z0-9]+)+|[A-Za-z]{1,4}\d{2,}[A-Za-z0-9]*"
    r"|(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{6,20}|\d{9,20})(?![A-Za-z0-9@-])"
)
_NUMBER = re.compile(
    r"\[(?P<shown>\d{1,9})\]|(?<![\d.])(?P<korean>\d{1,9})\s*번(?!\s*(?:째|씩|출구|버스|만에|정도))"
    r"|(?:메일|mail|email|message|번호는?|number|no\.?|#)\s*(?P<named>\d{1,9})(?![\d월/:-])(?!\s*(?:개|통|건|월|시))",
    re.IGNORECASE,
)
_LISTED = 20  # a smaller number may be a place in a list
_SHORTEST = 2  # characters of a word by which something shown is known


@dataclass(frozen=True, slots=True)
class Shown:
    """Something with an id that was shown before.

    Attributes:
        id: as it was shown.
        text: the words around it.
    """

    id: str
    text: str


def named_ids(query: str) -> list[str]:
    """Ids that the person gives in so many words."""
    found = [match["id"] for match in _TOKEN.finditer(query) if _is_id(match["id"])]
    if found:
        return list(dict.fromkeys(found))
    return list(dict.fromkeys(next(filter(None, match.groups())) for match in _NUMBER.finditer(query)))


def shown_things(text: str) -> list[Shown]:
    """What a text shows with ids, in order."""
    things: list[Shown] = []
    for line in text.split("\n"):
        marks = [
            (match.start(), match.end(), match["id"])
            for match in _TOKEN.finditer(line)
            if _is_id(match["id"]) or _in_brackets(line, match.start(), match.end())
        ]
        marks += [
            (match.start(), match.end(), match["shown"]) for match in _NUMBER.finditer(line) if match["shown"]
        ]
        marks.sort()
        start = 0
        for _, end, name in marks:
            around = line if len(marks) == 1 else line[start:end]
            things.append(Shown(name, around))
            start = end
    return things


def meant(query: str, turns: Sequence[str]) -> Shown | None:
    """What a query means of what was shown last; None: that is not sure.

    Args:
        query: what the person says.
        turns: what was shown before, oldest first.
    """
    for turn in reversed(turns):
        things = list({one.id: one for one in reversed(shown_things(turn))}.values())[::-1]
        if things:
            return _chosen(query, things)
    return None


def _chosen(query: str, things: Sequence[Shown]) -> Shown | None:
    by_id = [one for one in things if one.id.casefold() in query.casefold()]
    if len(by_id) == 1 and not by_id[0].id.isdigit():
        return by_id[0]
    if len(things) == 1:
        return things[0]
    place = ordinal(query)
    if place is not None:
        return things[place] if -len(things) <= place < len(things) else None
    if len(by_id) == 1:
        return by_id[0]
    scores = [_likeness(query, one.text) for one in things]
    best = max(scores)
    return things[scores.index(best)] if best and scores.count(best) == 1 else None


def ordinal(query: str) -> int | None:
    """The place in a list that a query names, from 0; -1 is the last one."""
    words = load_words().of("ordinals")
    places = {int(place) for pattern, place in words.items() if re.search(pattern, query, re.IGNORECASE)}
    number = re.search(
        r"(?<![\d.])(\d{1,2})\s*번(?:째)?(?!\s*(?:출구|버스|만에))|\bnumber (\d{1,2})\b|#(\d{1,2})\b", query
    )
    if not places and number is not None and int(next(filter(None, number.groups()))) <= _LISTED:
        places = {int(next(filter(None, number.groups()))) - 1}
    return places.pop() if len(places) == 1 else None


def _likeness(query: str, text: str) -> int:
    """How many characters of the query's words stand in a text, from the beginning of each word."""
    plain = "".join(text.casefold().split())
    total = 0
    for word in re.findall(r"[가-힣]+|[a-z0-9]+", query.casefold()):
        if word in _common():
            continue
        fits = next((size for size in range(len(word), _SHORTEST - 1, -1) if word[:size] in plain), 0)
        total += fits if not word.isascii() or fits == len(word) else 0
    return total


@lru_cache
def _common() -> frozenset[str]:
    return frozenset(load_words().of("common"))


def _is_id(token: str) -> bool:
    """Whether it is an id and no word: it has a figure, or several parts."""
    return any(sign.isdigit() for sign in token) or token.count("-") > 1


def _in_brackets(text: str, start: int, end: int) -> bool:
    return text[max(0, start - 1) : start] in ("(", "[") and text[end : end + 1] in (")", "]")
