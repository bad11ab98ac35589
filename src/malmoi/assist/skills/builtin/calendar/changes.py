"""Changes of a calendar: a new event, another time, a cancellation; of all times of an event or of one."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from secrets import token_hex
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from malmoi.assist.skills.builtin.calendar.occurrences import Occurrence, between, length, occurrence
from malmoi.assist.skills.builtin.refusals import SkillRefused

# The values of icalendar are unions of every kind there is; what is read from them is checked here.
Calendar: TypeAlias = Any
Event: TypeAlias = Any

MOST_EVENTS = 5000
_RULES: Mapping[str, dict[str, Any]] = {
    "daily": {"freq": ["daily"]},
    "weekdays": {"freq": ["weekly"], "byday": ["MO", "TU", "WE", "TH", "FR"]},
    "weekly": {"freq": ["weekly"]},
    "every_two_weeks": {"freq": ["weekly"], "interval": [2]},
    "monthly": {"freq": ["monthly"]},
    "yearly": {"freq": ["yearly"]},
}


def add(
    calendar: Calendar,
    *,
    title: str,
    start: datetime | date,
    end: datetime | date,
    place: str = "",
    notes: str = "",
    repeat: str = "none",
    until: date | None = None,
) -> Event:
    """Add an event.

    Args:
        calendar: of one person.
        title: one line.
        start: a time with a zone, or the first of whole days.
        end: behind its last moment or day.
        place: where.
        notes: what else is to be said.
        repeat: "none" or one of the kinds above.
        until: the last day on which it may be repeated.

    Raises:
        SkillRefused: the calendar is full.
    """
    from icalendar import Event as NewEvent

    if len(calendar.walk("VEVENT")) >= MOST_EVENTS:
        raise SkillRefused("full", most=MOST_EVENTS)
    event = NewEvent()
    event.add("uid", f"{token_hex(6)}")
    event.add("dtstamp", datetime.now(UTC).replace(microsecond=0))
    event.add("summary", " ".join(title.split()))
    event.add("dtstart", _storable(start))
    event.add("dtend", _storable(end))
    if place.strip():
        event.add("location", " ".join(place.split()))
    if notes.strip():
        event.add("description", notes.strip())
    if repeat != "none":
        rule = dict(_RULES[repeat])
        if until is not None:
            rule["until"] = [_until(until, start)]
        event.add("rrule", rule)
    calendar.add_component(event)
    return event


def move(calendar: Calendar, uid: str, start: datetime, end: datetime | None, only: date | None) -> Event:
    """Give an event another time.

    Args:
        calendar: of one person.
        uid: of the event.
        start: the new time, with a zone.
        end: the new end; None: it takes as long as before.
        only: of a repeated event, the day of the one time that moves; None: all of it moves.

    Raises:
        SkillRefused: there is no such event, or it does not take place on that day.
    """
    from icalendar import Event as NewEvent

    zone = _zone(start)
    event = find(calendar, uid)
    lasts = (end - start) if end is not None else length(event, zone)
    if only is not None and "rrule" in event:
        instance = _instance(calendar, event, only, zone)
        earlier = _moved_before(calendar, uid, instance.start, zone)
        if earlier is not None:
            return _set_times(earlier, start, start + lasts)
        moved = NewEvent()
        for name in ("uid", "summary", "location", "description"):
            if name in event:
                moved.add(name, str(event[name]))
        moved.add("dtstamp", datetime.now(UTC).replace(microsecond=0))
        moved.add("recurrence-id", _storable(instance.start))
        moved.add("dtstart", _storable(start))
        moved.add("dtend", _storable(start + lasts))
        calendar.add_component(moved)
        return moved
    all_day = not isinstance(event["dtstart"].dt, datetime) and end is None
    begin: datetime | date = start.date() if all_day else start
    return _set_times(event, begin, begin + lasts)


def cancel(calendar: Calendar, uid: str, only: date | None, zone: tzinfo) -> Event:
    """Take an event out, or one time of a repeated event.

    Raises:
        SkillRefused: there is no such event, or it does not take place on that day.
    """
    event = find(calendar, uid)
    if only is not None and "rrule" in event:
        instance = _instance(calendar, event, only, zone)
        earlier = _moved_before(calendar, uid, instance.start, zone)
        if earlier is not None:
            calendar.subcomponents.remove(earlier)
            event.add("exdate", earlier["recurrence-id"].dt)
            return event
        is_day = not isinstance(event["dtstart"].dt, datetime)
        event.add("exdate", instance.start.date() if is_day else _storable(instance.start))
        return event
    calendar.subcomponents = [
        one for one in calendar.subcomponents if not (one.name == "VEVENT" and str(one.get("uid", "")) == uid)
    ]
    return event


def find(calendar: Calendar, uid: str) -> Event:
    """The event with this id.

    Raises:
        SkillRefused: there is none.
    """
    for event in calendar.walk("VEVENT"):
        if str(event.get("uid", "")) == uid.strip() and "recurrence-id" not in event:
            return event
    raise SkillRefused("no_event", id=uid)


def first_time(event: Event, zone: tzinfo) -> Occurrence:
    """An event as it takes place for the first time."""
    begin = event["dtstart"].dt
    if not isinstance(begin, datetime):
        begin = datetime(begin.year, begin.month, begin.day, tzinfo=zone)
    return occurrence(event, begin if begin.tzinfo else begin.replace(tzinfo=zone), zone)


def _instance(calendar: Calendar, event: Event, day: date, zone: tzinfo) -> Occurrence:
    begin = datetime(day.year, day.month, day.day, tzinfo=zone)
    uid = str(event.get("uid", ""))
    for one in between(calendar, begin, begin + timedelta(days=1)):
        if one.id == uid and one.start.astimezone(zone).date() == day:
            return one
    raise SkillRefused("not_that_day", title=str(event.get("summary", "")), day=day.isoformat())


def _moved_before(calendar: Calendar, uid: str, start: datetime, zone: tzinfo) -> Event | None:
    """The component of a single time that was moved before and now begins at `start`."""
    for one in calendar.walk("VEVENT"):
        is_moved = "recurrence-id" in one and "dtstart" in one and str(one.get("uid", "")) == uid
        if is_moved and first_time(one, zone).start == start:
            return one
    return None


def _set_times(event: Event, begin: datetime | date, end: datetime | date) -> Event:
    for name, value in (("dtstart", begin), ("dtend", end)):
        event.pop(name, None)
        event.add(name, _storable(value))
    event.pop("duration", None)
    return event


def _storable(moment: datetime | date) -> datetime | date:
    """A time that a file can hold: in a named zone, or else in UTC."""
    if not isinstance(moment, datetime) or isinstance(moment.tzinfo, ZoneInfo):
        return moment
    return moment.astimezone(ZoneInfo("UTC"))


def _zone(moment: datetime) -> tzinfo:
    assert moment.tzinfo is not None
    return moment.tzinfo


def _until(day: date, start: datetime | date) -> datetime | date:
    if not isinstance(start, datetime):
        return day
    last = datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=start.tzinfo)
    return last.astimezone(ZoneInfo("UTC"))
