"""Arguments that are days and times: which of a query's days is the first one, and which the last."""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from malmoi.assist.skills.planning.extraction import Found, extract
from malmoi.assist.skills.planning.value import Value
from malmoi.assist.skills.planning.words import load_words

_START = re.compile(r"start|from|begin|check_?in|pick_?up|since|depart|after", re.IGNORECASE)
_END = re.compile(r"end|until|till|check_?out|return|drop|^to$|^to_|_to$|by$|before", re.IGNORECASE)
_NEAR = 24  # characters between a day and the word that says what it is
_MOST_DAYS = 31


class Times:
    """The days and times of one operation, filled from one query.

    Args:
        properties: of the operation's arguments.
        required: those that it must have.
        query: what the person says.
        found: the values in it.
        now: for the zone of times.
        shown: what the query is about, as it was shown before: "the same day" is a day in it.
    """

    def __init__(
        self,
        properties: Mapping[str, Any],
        required: Sequence[str],
        query: str,
        found: Found,
        now: datetime,
        shown: str,
    ) -> None:
        self._properties = properties
        self._required = required
        self._query = query
        self._found = found
        self._now = now
        self._before = extract(shown, now) if shown else None
        self._days = list(dict.fromkeys(str(one.value) for one in found.of("date")))
        self._clocks = found.of("time")
        self._range = found.range or _whole_period(found, self._days)

    def filled(self) -> dict[str, Any]:
        """The arguments that are sure."""
        arguments = self._dates()
        arguments |= {name: value for name, value in self._moments().items() if name not in arguments}
        return arguments | self._times()

    def _of(self, *forms: str) -> list[str]:
        return [name for name, schema in self._properties.items() if form_of(schema) in forms]

    # -- days

    def _dates(self) -> dict[str, Any]:
        names = self._of("date")
        told = self._near(names)
        if told:
            return told
        # What is told by a word beside it is not told where that word is not.
        names = [
            name
            for name in names
            if name in self._required or not self._properties[name].get("x-malmoi-near")
        ]
        starts = [name for name in names if _START.search(name)]
        ends = [name for name in self._of("date") if _END.search(name) and name not in starts]
        shifted = self._shifted(ends)
        if shifted:
            return shifted
        needed = [name for name in names if name in self._required]
        if self._range is not None and not starts and _shift(self._query) == 0:
            both = [name for name in self._of("date") if _START.search(name)]
            if len(both) == len(ends) == 1:
                return self._lasting(self._of("date"), both, ends)
        ends = [name for name in ends if name in names]
        if self._range is not None and starts:
            return self._lasting(names, starts, ends)
        if len(self._days) != 1:
            explicit = self._explicit()
            return {needed[0]: explicit} if explicit and len(needed) == 1 and not ends else {}
        day = self._days[0]
        if names == ["since"]:  # where a time begins that has begun already
            day = self._past(day)
        if len(names) == 1 and (not ends or len(starts) == 0):
            return {names[0]: day}
        if len(needed) == 1 and not ends:  # "until Christmas": the day it is about, not where it starts
            return {needed[0]: day}
        if len(starts) == 1 and len(names) == 1 + len(ends) <= 2:
            alone = {name: day for name in ends if self._properties[name].get("x-malmoi-alone") is True}
            return {starts[0]: day} | alone
        return {}

    def _near(self, names: Sequence[str]) -> dict[str, Any]:
        """Days beside a word that says which they are: "return on the 30th", "30일에 반납"."""
        arguments: dict[str, Any] = {}
        distances: dict[str, int] = {}
        values = self._found.of("date")
        for name in names:
            words = _strings(self._properties[name].get("x-malmoi-near"))
            places = [one.start() for word in words for one in re.finditer(word, self._query, re.IGNORECASE)]
            near = [
                (
                    min(
                        abs(place - one.end) if place >= one.start else one.start - place for place in places
                    ),
                    one,
                )
                for one in values
                if places
            ]
            near = [(distance, one) for distance, one in near if distance <= _NEAR]
            if near:
                distances[name] = min(distance for distance, _ in near)
                arguments[name] = min(near, key=lambda pair: pair[0])[1].value
        if self._found.range is not None and (len(values) > 1 or _shift(self._query) == 0):
            return {}
        if len(values) == 1 and len(arguments) > 1:
            nearest = min(arguments, key=lambda name: distances[name])
            return {nearest: arguments[nearest]}
        return arguments if len(set(arguments.values())) == len(arguments) else {}

    def _shifted(self, ends: Sequence[str]) -> dict[str, Any]:
        """A last day that is put off: "하루만 늦춰 줘", of what was shown before."""
        sign = _shift(self._query)
        if not ends or self._days or sign == 0 or self._before is None:
            return {}
        spans = [int(one.value) for one in self._found.of("days")]
        spans = spans or [int(n) for word, n in load_words().of("spans").items() if word in self._query]
        days = sorted({str(one.value) for one in self._before.of("date")})
        if len(spans) != 1 or not 0 < len(days) <= 2:
            return {}
        return {ends[0]: (date.fromisoformat(days[-1]) + timedelta(days=sign * spans[0])).isoformat()}

    def _lasting(self, names: Sequence[str], starts: Sequence[str], ends: Sequence[str]) -> dict[str, Any]:
        assert self._range is not None
        first, last = self._range
        if len(starts) == 1 and len(ends) == 1:
            return {starts[0]: first, ends[0]: last}
        if len(starts) != 1 or ends:
            return {}
        name = starts[0]
        length = (date.fromisoformat(last) - date.fromisoformat(first)).days + 1
        counts = [one for one in self._properties if re.fullmatch(r"(?:num_|number_of_)?days", one)]
        if len(counts) == 1:
            return {name: first} | ({counts[0]: length} if length <= _MOST_DAYS else {})
        # "since": where a time begins that has begun already.
        return {name: first} if first <= self._now.date().isoformat() else {}

    def _past(self, day: str) -> str:
        """The last such day: a weekday a week before, a day of a month a year before."""
        told = date.fromisoformat(day)
        if told <= self._now.date():
            return day
        weeks = (told - self._now.date()).days // 7 + 1
        is_weekday = not re.search(r"\d", self._query[self._found.of("date")[0].start :][:6])
        if is_weekday:
            return (told - timedelta(weeks=weeks)).isoformat()
        return date(told.year - 1, told.month, min(told.day, 28) if told.month == 2 else told.day).isoformat()

    def _explicit(self) -> str:
        """The one day that is told by its number; weekdays beside it say more about it."""
        told = [one for one in self._found.of("date") if re.search(r"\d", self._query[one.start : one.end])]
        days = {str(one.value) for one in told}
        return days.pop() if len(days) == 1 else ""

    # -- times

    def _moments(self) -> dict[str, Any]:
        names = self._of("moment", "date-time")
        starts = [name for name in names if _START.search(name)] or (names if len(names) == 1 else [])
        ends = [name for name in names if _END.search(name) and name not in starts]
        if len(starts) != 1:
            return {}
        day = self._days[0] if len(self._days) == 1 else self._explicit()
        clocks = [str(one.value) for one in self._clocks]
        if not day and self._before is not None:
            days = sorted({str(one.value) for one in self._before.of("date")})
            day = days[0] if len(days) == 1 else ""
            clocks = clocks or self._later_clock()
        if not day or not 0 < len(clocks) <= 2:
            return {}
        arguments = {starts[0]: self._moment(starts[0], day, clocks[0])}
        if len(clocks) == 2:
            if not ends or clocks[1] <= clocks[0]:
                return {}
            arguments[ends[0]] = self._moment(ends[0], day, clocks[1])
        return arguments

    def _later_clock(self) -> list[str]:
        """The time shown before, put off by what the query says: "30분만 미뤄 줘"."""
        sign = _shift(self._query)
        before = self._before.of("time") if self._before is not None else []
        if sign == 0 or len(before) != 1:
            return []
        lengths = [int(one.value) for one in self._found.minutes]
        lengths = lengths or [int(one.value) for one in self._found.of("number") if one.unit == "minutes"]
        if len(lengths) != 1:
            return []
        moved = datetime.fromisoformat(f"2000-01-01T{before[0].value}") + timedelta(minutes=sign * lengths[0])
        return [moved.strftime("%H:%M")] if moved.day == 1 else []

    def _moment(self, name: str, day: str, clock: str) -> str:
        if form_of(self._properties[name]) == "moment":
            return f"{day}T{clock}"
        told = datetime.fromisoformat(f"{day}T{clock}:00")
        return told.replace(tzinfo=self._now.tzinfo).isoformat()

    def _times(self) -> dict[str, Any]:
        names = self._of("time")
        starts = [name for name in names if _START.search(name)]
        ends = [name for name in names if _END.search(name) and name not in starts]
        clocks = [str(one.value) for one in self._clocks]
        if len(starts) == 1 and len(ends) == 1:
            if len(clocks) == 2 and clocks[0] < clocks[1]:
                return {starts[0]: clocks[0], ends[0]: clocks[1]}
            if len(clocks) == 1:
                behind = self._query[self._clocks[0].end :][:8]
                before = self._query[: self._clocks[0].start][-8:]
                if re.match(r"\s*(?:까지|전|이전)", behind) or re.search(r"(?:before|until|by)\s*$", before):
                    return {ends[0]: clocks[0]}
                if re.match(r"\s*(?:부터|이후|넘어|뒤)", behind) or re.search(r"(?:after|from)\s*$", before):
                    return {starts[0]: clocks[0]}
            if not clocks:
                return self._half(starts[0], ends[0])
            return {}
        return {names[0]: clocks[0]} if len(names) == 1 and len(clocks) == 1 else {}

    def _half(self, start: str, end: str) -> dict[str, Any]:
        for pattern, (first, last) in load_words().of("halves_of_the_day").items():
            if re.search(pattern, self._query, re.IGNORECASE):
                return ({start: first} if first else {}) | ({end: last} if last else {})
        return {}


def form_of(schema: Any) -> str:
    """What a text is: its format, or what `x-malmoi-form` says where no format holds.

    "moment" is a day and a time without a zone; "none" is nothing that can be told from the words alone.
    """
    if not isinstance(schema, Mapping):
        return ""
    return str(schema.get("x-malmoi-form") or schema.get("format", ""))


def _whole_period(found: Found, days: Sequence[str]) -> tuple[str, str] | None:
    """The one period that a query names, if its days are part of the period's own words."""
    spans = list(dict.fromkeys(str(one.value) for one in found.periods))
    if len(spans) != 1:
        return None
    own = [(one.start, one.end) for one in found.periods]

    def is_own(value: Value) -> bool:
        return any(start <= value.start and value.end <= end for start, end in own)

    if days and not all(is_own(one) for one in found.of("date")):
        return None
    first, last = spans[0].split("/")
    return first, last


def _shift(query: str) -> int:
    """1: something is put off, -1: it is brought forward, 0: neither."""
    for pattern, sign in load_words().of("shifts").items():
        if re.search(pattern, query, re.IGNORECASE):
            return int(sign)
    return 0


def _strings(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
