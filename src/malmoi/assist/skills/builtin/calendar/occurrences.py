"""When events take place: single and repeated ones, with exceptions, between two moments."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any, TypeAlias

# The values of icalendar are unions of every kind there is; what is read from them is checked here.
Calendar: TypeAlias = Any
Event: TypeAlias = Any

MOST_OCCURRENCES = 500
_MOST_STEPS = 50_000  # of a rule: a foreign file may repeat something for ever
_FREQUENCIES = frozenset({"DAILY", "WEEKLY", "MONTHLY", "YEARLY"})


@dataclass(frozen=True, slots=True)
class Occurrence:
    """An event at one time.

    Attributes:
        id: of the event; all times of a repeated one share it.
        start: with a zone; midnight for whole days.
        end: behind its last moment.
        all_day: whole days.
        repeats: it is one of several.
    """

    id: str
    title: str
    start: datetime
    end: datetime
    all_day: bool
    place: str
    notes: str
    repeats: bool


def between(calendar: Calendar, start: datetime, end: datetime) -> list[Occurrence]:
    """What takes place between two moments, in order; at most `MOST_OCCURRENCES`.

    Args:
        calendar: of one person.
        start: with a zone, in which whole days are understood.
        end: with a zone.
    """
    zone = start.tzinfo
    assert zone is not None
    events = calendar.walk("VEVENT")
    moved: dict[str, set[datetime]] = {}
    for event in events:
        if "recurrence-id" in event:
            instance = _moment(event["recurrence-id"].dt, zone)
            moved.setdefault(str(event.get("uid", "")), set()).add(instance)
    found: list[Occurrence] = []
    for event in events:
        if "dtstart" not in event or str(event.get("status", "")).upper() == "CANCELLED":
            continue
        left_out = set() if "recurrence-id" in event else moved.get(str(event.get("uid", "")), set())
        for begin in _starts(event, start, end, zone):
            if begin not in left_out:
                found.append(occurrence(event, begin, zone))
            if len(found) >= MOST_OCCURRENCES:
                break
    return sorted(found, key=lambda one: (one.start, one.title))


def occurrence(event: Event, begin: datetime, zone: tzinfo) -> Occurrence:
    """An event as it takes place at `begin`."""
    return Occurrence(
        id=str(event.get("uid", "")),
        title=str(event.get("summary", "")),
        start=begin,
        end=begin + length(event, zone),
        all_day=not isinstance(event["dtstart"].dt, datetime),
        place=str(event.get("location", "")),
        notes=str(event.get("description", "")),
        repeats="rrule" in event or "recurrence-id" in event,
    )


def length(event: Event, zone: tzinfo) -> timedelta:
    """How long an event takes."""
    begin = event["dtstart"].dt
    if "dtend" in event:
        return max(timedelta(), _moment(event["dtend"].dt, zone) - _moment(begin, zone))
    if "duration" in event and isinstance(event["duration"].dt, timedelta):
        return max(timedelta(), event["duration"].dt)
    return timedelta() if isinstance(begin, datetime) else timedelta(days=1)


def _starts(event: Event, start: datetime, end: datetime, zone: tzinfo) -> Iterator[datetime]:
    first = _moment(event["dtstart"].dt, zone)
    lasts = length(event, zone)
    exceptions = {_moment(one.dt, zone) for part in _exceptions(event) for one in part.dts}
    for steps, begin in enumerate(_repeated(event, first)):
        if begin >= end or steps > _MOST_STEPS:
            return
        inside = begin + lasts > start or (begin >= start and not lasts)
        if inside and begin not in exceptions:
            yield begin


def _exceptions(event: Event) -> Sequence[Any]:
    told = event.get("exdate")
    return () if told is None else told if isinstance(told, list) else [told]


def _repeated(event: Event, first: datetime) -> Iterator[datetime]:
    """Every time an event begins, from the first one on."""
    rule = event.get("rrule")
    frequency = str((rule.get("freq") or [""])[0]).upper() if rule and not isinstance(rule, list) else ""
    by_clock = rule and any(name in rule for name in ("BYHOUR", "BYMINUTE", "BYSECOND"))
    if frequency not in _FREQUENCIES or by_clock:
        yield first
        return
    from dateutil.rrule import rrulestr

    text = rule.to_ical().decode()
    try:
        rule_times = iter(rrulestr(text, dtstart=first))
    except ValueError:
        # An end without a zone beside a beginning with one: read both as they stand on the wall.
        rule_times = iter(rrulestr(text.replace("Z", ""), dtstart=first.replace(tzinfo=None)))
    for moment in rule_times:
        yield moment if moment.tzinfo is not None else moment.replace(tzinfo=first.tzinfo)


def _moment(told: date | datetime, zone: tzinfo) -> datetime:
    """A date or time of a file as a moment with a zone."""
    if not isinstance(told, datetime):
        return datetime.combine(told, time(), zone)
    return told if told.tzinfo is not None else told.replace(tzinfo=zone)


def free_slots(
    busy: Sequence[tuple[datetime, datetime]], windows: Sequence[tuple[datetime, datetime]], least: timedelta
) -> list[tuple[datetime, datetime]]:
    """The parts of the windows, at least so long, in which nothing takes place."""
    free: list[tuple[datetime, datetime]] = []
    ordered = sorted(busy)
    for opening, closing in windows:
        at = opening
        for begin, end in ordered:
            if end <= at or begin >= closing:
                continue
            if begin - at >= least:
                free.append((at, begin))
            at = max(at, end)
        if closing - at >= least:
            free.append((at, closing))
    return free
