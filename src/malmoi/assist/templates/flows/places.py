"""The places that a skill knows of a destination, and those among which a day is planned.

What a skill returns was written by others: a name that could be anything but a name (a link, a tag, a mark of
tables, an order to the model) is left out, and hours, weekdays and areas are shown only where they are such.
"""

import re
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from malmoi.assist.guard.fence import find_orders
from malmoi.assist.templates.flows.flow import Reads
from malmoi.assist.templates.flows.wishes import Wish
from malmoi.assist.templates.flows.wording import squeezed
from malmoi.core.hangul import nfc

OPERATION = "search_places"
"""What the read is called in a skill that knows places."""

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MOST_KINDS = 10  # reads of one answer
_EACH = 12  # places of a read
_MOST = 20  # places among which a day is planned
_NAME = 50  # characters
_ORDER = 0.5  # from this score on a name counts as an order
_CLOCK = r"(?:[01]\d|2[0-4]):[0-5]\d"
_HOURS = re.compile(rf"{_CLOCK}-{_CLOCK}")
_NAME_SIGNS = re.compile(r"(?:[^\W_]|[ ·\-'’(),&!]|\.(?!\w))+")
_WORDS = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Place:
    """A place that a skill knows.

    Attributes:
        name: letters, digits and a few signs.
        kind: as the skill calls it; empty: it does not say.
        area: of the destination; empty: it does not say.
        hours: such as "09:00-18:00"; empty: they are not known.
        closed: weekdays, "mon" to "sun".
    """

    name: str
    kind: str = ""
    area: str = ""
    hours: str = ""
    closed: tuple[str, ...] = ()

    def is_open(self, weekday: int | None) -> bool:
        """Whether it is open on a weekday, 0 is Monday; None: it is not known which day it is."""
        return weekday is None or _WEEKDAYS[weekday] not in self.closed

    def fitting(self, time: str) -> str | None:
        """A time at which it is open: this one, or when it opens; None: it has closed by then."""
        if not self.hours:
            return time
        opens, _, closes = self.hours.partition("-")
        if closes <= opens:  # beyond midnight
            return time if time >= opens or time < closes else opens
        return max(time, opens) if time < closes else None


@dataclass(frozen=True, slots=True)
class Known:
    """What a skill knows of a destination.

    Attributes:
        places: each name once.
        words: that people say for each of its kinds.
    """

    places: tuple[Place, ...]
    words: Mapping[str, Sequence[str]]


async def find_places(reads: Reads, skill: str, destination: str) -> Known | None:
    """The places of a destination; None: the skill does not know it.

    One read for each kind that it knows, so that no kind crowds out another.

    Raises:
        MalmoiError: the skill is not there, may not be used, or does not answer.
    """
    schema = await reads.parameters(skill, OPERATION)
    arguments = _arguments(schema, destination)
    if arguments is None:
        return None
    words = kinds_of(schema)
    found: dict[str, Place] = {}
    async for data in _read(reads, skill, arguments, list(words)[:_MOST_KINDS], destination):
        for item in _items(data):
            place = as_place(item)
            if place is not None and squeezed(place.name) != squeezed(destination):
                found.setdefault(squeezed(place.name), place)
    return Known(tuple(found.values()), words) if found else None


async def _read(
    reads: Reads, skill: str, arguments: Mapping[str, Any], kinds: Sequence[str], about: str
) -> AsyncIterator[Any]:
    if not kinds:
        yield await reads.read(skill, OPERATION, arguments, about=about)
    for kind in kinds:
        yield await reads.read(skill, OPERATION, {**arguments, "kind": kind}, about=about)


def _arguments(schema: Mapping[str, Any], destination: str) -> dict[str, Any] | None:
    """The destination as the read takes it; None: it is none that it takes."""
    properties = _mapping(schema.get("properties"))
    required = [name for name in schema.get("required", ()) if name != "kind"]
    if len(required) != 1:
        return None
    said = _mapping(properties.get(required[0]))
    value: Any = destination
    if "enum" in said:
        words = _mapping(said.get("x-malmoi-words"))
        tokens = [token.casefold() for token in _WORDS.findall(nfc(destination))]
        named = [
            one
            for one in said["enum"]
            if any(
                token.startswith(squeezed(word))
                for token in tokens
                for word in (str(one), *words.get(one, ()))
            )
        ]
        if len(named) != 1:  # two at once are a journey that no one read answers
            return None
        value = named[0]
    limit = _mapping(properties.get("limit"))
    more = {"limit": min(_EACH, int(limit.get("maximum", _EACH)))} if limit else {}
    return {required[0]: value, **more}


def kinds_of(schema: Mapping[str, Any]) -> dict[str, list[str]]:
    """The kinds of places that can be asked for, and the words for each; empty: it has none."""
    said = _mapping(_mapping(schema.get("properties")).get("kind"))
    words = _mapping(said.get("x-malmoi-words"))
    kinds = [one for one in said.get("enum", ()) if isinstance(one, str) and one != said.get("default")]
    return {kind: [str(word) for word in (*words.get(kind, ()), kind)] for kind in kinds}


def _items(data: Any) -> list[Mapping[str, Any]]:
    """The first list of a result."""
    values = [data, *data.values()] if isinstance(data, Mapping) else [data]
    found = next((one for one in values if isinstance(one, list)), [])
    return [one for one in found if isinstance(one, Mapping)]


def as_place(item: Mapping[str, Any]) -> Place | None:
    """A place from plain values; None: what it is called can be no name."""
    name = _plain(item.get("name"))
    if not name or not any(char.isalpha() for char in name):
        return None
    hours = str(item.get("hours") or "")
    closed = item.get("closed")
    return Place(
        name,
        kind=_plain(item.get("kind")),
        area=_plain(item.get("district") or item.get("area")),
        hours=hours if _HOURS.fullmatch(hours) else "",
        closed=tuple(day for day in _WEEKDAYS if isinstance(closed, list) and day in closed),
    )


def _plain(value: Any) -> str:
    text = nfc(value).strip() if isinstance(value, str) else ""
    if len(text) > _NAME or not _NAME_SIGNS.fullmatch(text) or find_orders(text, _ORDER):
        return ""
    return text


def choose(
    places: Iterable[Place], wishes: Sequence[Wish], *, day: int, weekday: int | None, used: Collection[str]
) -> list[Place]:
    """Among which places a day is planned: what is wished first, then a kind after another.

    Args:
        places: all that are known.
        wishes: oldest first; a later one counts more.
        day: of the trip, from 1.
        weekday: 0 is Monday; None: it is not known.
        used: squeezed names of what is planned already.
    """
    only: frozenset[str] | None = None
    barred: frozenset[str] = frozenset()
    more: frozenset[str] = frozenset()
    for wish in wishes:
        if wish.day not in (0, day):
            continue
        if wish.sort == "not":
            barred, more = barred | wish.kinds, more - wish.kinds
        else:
            barred, more = barred - wish.kinds, more | wish.kinds
        if wish.sort == "only":
            only = wish.kinds
    by_kind: dict[str, list[Place]] = {}
    for place in places:
        is_wished = (only is None or place.kind in only) and place.kind not in barred
        if is_wished and place.is_open(weekday) and squeezed(place.name) not in used:
            by_kind.setdefault(place.kind, []).append(place)
    rows = sorted(by_kind.values(), key=lambda row: row[0].kind not in more)
    rounds = max((len(row) for row in rows), default=0)
    return [row[number] for number in range(rounds) for row in rows if number < len(row)][:_MOST]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
