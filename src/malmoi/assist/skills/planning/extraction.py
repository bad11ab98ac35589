"""Everything that a query says in so many words: dates, times, numbers, addresses, what is in quotes."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from malmoi.assist.skills.planning.dates import find_clocks, find_dates, find_spans, ranges
from malmoi.assist.skills.planning.numbers import find_numbers
from malmoi.assist.skills.planning.periods import find_durations, find_month_ends, find_periods
from malmoi.assist.skills.planning.value import Value, ValueKind, unclaimed

_LONGEST = 4000
# Where case does not count, these match letters of English words, which they are not.
_LETTERS = str.maketrans("ſıİ\u212a", "siIK")
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}")
_URL = re.compile(r"https?://[^\s<>\"'`)\]]{3,1000}")
_QUOTED = re.compile(
    r"\"([^\"\n]{1,500})\"|“([^”\n]{1,500})”|'([^'\n]{2,500})'(?!\w)|‘([^’\n]{1,500})’|「([^」\n]{1,500})」"
    r"|『([^』\n]{1,500})』|`([^`\n]{1,500})`"
)

_WEEKDAY = re.compile(r"^(?:[월화수목금토일]요일|(?:mon|tues|wednes|thurs|fri|satur|sun)day)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Found:
    """The values of a query, in order; none overlaps another.

    Attributes:
        values: all of them.
        range: the first and last day, where the query names a time that lasts.
        periods: weeks, months and weekends; a day of theirs may be among the values as well.
        minutes: how long something takes; the hours are among the values as well.
    """

    values: tuple[Value, ...]
    range: tuple[str, str] | None
    periods: tuple[Value, ...] = ()
    minutes: tuple[Value, ...] = ()

    def of(self, kind: ValueKind) -> list[Value]:
        """The values of one kind."""
        return [value for value in self.values if value.kind == kind]

    def besides(self, arguments: Mapping[str, object]) -> "Found":
        """What is left when some arguments have taken their values."""
        told = set(re.findall(r"[\d.:-]+", json.dumps(list(arguments.values()), default=str)))
        whole = " ".join(sorted(told))

        def is_left(value: Value) -> bool:
            return str(value.value) not in told and not (value.kind == "date" and str(value.value) in whole)

        if self.range is not None and all(day in whole for day in self.range):
            return Found(
                tuple(one for one in self.values if one.kind not in ("date", "days") and is_left(one)), None
            )
        periods = tuple(one for one in self.periods if str(one.value)[:10] not in whole)
        return Found(
            tuple(filter(is_left, self.values)), self.range, periods, tuple(filter(is_left, self.minutes))
        )


def extract(text: str, now: datetime) -> Found:
    """Look for values.

    Args:
        text: what the person says; only the first few thousand characters are looked at.
        now: the person's time: "tomorrow" is counted from here.
    """
    text = text[:_LONGEST].translate(_LETTERS)
    quoted = [
        Value("quoted", next(filter(None, match.groups())), match.start(), match.end())
        for match in _QUOTED.finditer(text)
    ]
    exact = [Value("email", match[0], match.start(), match.end()) for match in _EMAIL.finditer(text)]
    exact += [
        Value("url", match[0].rstrip(".,!?"), match.start(), match.end()) for match in _URL.finditer(text)
    ]
    timed = [*find_dates(text, now), *find_month_ends(text, now), *find_clocks(text), *find_spans(text)]
    # What is written out as a date or an address is no number, and what is in quotes is nothing else.
    values = unclaimed([*quoted, *exact])
    taken = [(one.start, one.end) for one in values]
    for group in (timed, find_numbers(text)):
        free = [one for one in group if all(one.end <= start or one.start >= end for start, end in taken)]
        chosen = unclaimed(free)
        values += chosen
        taken += [(one.start, one.end) for one in chosen]
    values.sort(key=lambda one: one.start)
    kept = [(one.start, one.end) for one in values if one.kind in ("quoted", "email", "url")]
    others = [
        tuple(unclaimed([one for one in some if all(one.end <= s or one.start >= e for s, e in kept)]))
        for some in (find_periods(text, now), find_durations(text))
    ]
    return Found(tuple(values), _range(text, values), *others)


def _range(text: str, values: list[Value]) -> tuple[str, str] | None:
    dates = [value for value in values if value.kind == "date"]
    for first, second in ranges(text, dates):
        start, end = date.fromisoformat(str(first.value)), date.fromisoformat(str(second.value))
        if end < start and _WEEKDAY.search(text[second.start : second.end]):
            end += timedelta(weeks=-((end - start).days // 7))  # "다음 주 수요일부터 금요일": of that week
        elif end < start:  # "12월 30일부터 2일까지": the day of the month that follows
            end = next((start + timedelta(days=n) for n in range(62) if _nth(start, n) == end.day), end)
        return start.isoformat(), end.isoformat()
    spans = [value for value in values if value.kind == "days"]
    if len(dates) == 1 and len(spans) == 1:
        start = date.fromisoformat(str(dates[0].value))
        # Two nights end two days later; three days as well.
        return start.isoformat(), (start + timedelta(days=int(spans[0].value) - 1)).isoformat()
    distinct = list(dict.fromkeys(str(value.value) for value in dates))
    if len(distinct) == 2:
        begins, ends = distinct
        told = text[dates[-1].start : dates[-1].end]
        if ends < begins and _WEEKDAY.search(told):  # "next Wednesday ... that Saturday": the one after it
            weeks = -((date.fromisoformat(ends) - date.fromisoformat(begins)).days // 7)
            ends = (date.fromisoformat(ends) + timedelta(weeks=weeks)).isoformat()
        return (begins, ends) if begins <= ends else (ends, begins)
    return None


def _nth(start: date, days: int) -> int:
    return (start + timedelta(days=days)).day
