"""A person's own calendar: listed, searched for free time, and changed only after a confirmation."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import Any

from malmoi.assist.skills.builtin.calendar import changes
from malmoi.assist.skills.builtin.calendar.asked import read_query
from malmoi.assist.skills.builtin.calendar.occurrences import Occurrence, between, free_slots
from malmoi.assist.skills.builtin.calendar.store import CalendarStore
from malmoi.assist.skills.builtin.described import Deed, DescribedProvider
from malmoi.assist.skills.builtin.refusals import SkillRefused
from malmoi.assist.skills.operation import CallContext, Card, CardAction, Result

_MOST_CARDS = 12
_LONGEST_SPAN = timedelta(days=400)
_FRIDAY = 4


class CalendarProvider(DescribedProvider):
    """The operations of `operations.toml`.

    Args:
        folder: of the calendars, one file for each account; `{home}` stands for the platform's home.
    """

    def __init__(self, folder: str = "{home}/calendars") -> None:
        self._store = CalendarStore(Path(folder.replace("{home}", "~/.malmoi")).expanduser())
        deeds: dict[str, Deed] = {
            "list_events": self._list,
            "find_free_time": self._free,
            "create_event": self._create,
            "move_event": self._move,
            "cancel_event": self._cancel,
        }
        super().__init__(__package__, deeds)

    def read_query(self, operation: str, query: str, now: datetime) -> Mapping[str, Any]:
        """The arguments that a sentence gives in so many words."""
        return read_query(operation, query, now)

    def _list(self, arguments: Mapping[str, Any], context: CallContext) -> Result:
        start, end = _span(arguments, context)
        found = between(self._store.read(context.account_id), start, end)
        words = arguments.get("query", "").lower().split()
        found = [
            one
            for one in found
            if all(word in f"{one.title} {one.place} {one.notes}".lower() for word in words)
        ]
        language = context.language
        key = "listed" if found else "nothing"
        first, last = self._day(start, language), self._day(end - timedelta(seconds=1), language)
        text = self._texts.say(
            language,
            key,
            count=len(found),
            first=first,
            last=last,
            events=", ".join(f"{self._when(one, context)} {one.title}" for one in found[:8]),
        )
        cards = tuple(self._card(one, context) for one in found[:_MOST_CARDS])
        return Result(data={"events": [_told(one) for one in found[:50]]}, text=text, cards=cards)

    def _free(self, arguments: Mapping[str, Any], context: CallContext) -> Result:
        start, end = _span(arguments, context)
        opens, closes = _clock(arguments.get("from_time", "09:00")), _clock(arguments.get("to_time", "18:00"))
        if closes <= opens:
            raise SkillRefused("backwards")
        zone = _zone(context)
        windows = []
        day = start.date()
        while day <= (end - timedelta(seconds=1)).date():
            if not arguments.get("weekdays_only", True) or day.weekday() <= _FRIDAY:
                window = [datetime.combine(day, hour, zone) for hour in (opens, closes)]
                if max(window[0], context.now) < window[1]:
                    windows.append((max(window[0], _rounded_up(context.now)), window[1]))
            day += timedelta(days=1)
        found = between(self._store.read(context.account_id), start, end)
        busy = [(one.start, one.end) for one in found if not one.all_day or one.end > one.start]
        least = timedelta(minutes=arguments.get("minutes", 60))
        slots = free_slots(busy, windows, least)
        language = context.language
        told = [f"{self._day(a, language)} {a:%H:%M}~{b:%H:%M}" for a, b in slots]
        key = "free" if slots else "not_free"
        text = self._texts.say(
            language, key, minutes=int(least.total_seconds() // 60), slots=", ".join(told[:6])
        )
        card = Card(
            kind="event", title=text, fields=tuple((str(n), slot) for n, slot in enumerate(told[:12], 1))
        )
        data = {"free": [{"start": a.isoformat(), "end": b.isoformat()} for a, b in slots[:20]]}
        return Result(data=data, text=text, cards=(card,) if slots else ())

    def _create(self, arguments: Mapping[str, Any], context: CallContext) -> Result:
        zone = _zone(context)
        start: datetime | date
        end: datetime | date
        if arguments.get("all_day"):
            start = _moment(arguments["start"], zone).date()
            end = (_moment(arguments["end"], zone).date() if arguments.get("end") else start) + timedelta(
                days=1
            )
        else:
            start = _moment(arguments["start"], zone)
            end = _end(arguments, start, zone)
        if end <= start:
            raise SkillRefused("backwards")
        until = date.fromisoformat(arguments["repeat_until"]) if arguments.get("repeat_until") else None
        with self._store.changing(context.account_id) as calendar:
            event = changes.add(
                calendar,
                title=arguments["title"],
                start=start,
                end=end,
                place=arguments.get("place", ""),
                notes=arguments.get("notes", ""),
                repeat=arguments.get("repeat", "none"),
                until=until,
            )
            made = changes.first_time(event, zone)
            others = [one for one in between(calendar, made.start, made.end) if one.id != made.id]
        clash = ", ".join(one.title for one in others if not one.all_day)
        return self._changed("created", made, context, clash="" if made.all_day else clash)

    def _move(self, arguments: Mapping[str, Any], context: CallContext) -> Result:
        zone = _zone(context)
        start = _moment(arguments["start"], zone)
        end = _moment(arguments["end"], zone) if arguments.get("end") else None
        if end is not None and end <= start:
            raise SkillRefused("backwards")
        with self._store.changing(context.account_id) as calendar:
            event = changes.move(calendar, arguments["event_id"], start, end, _only(arguments))
            moved = changes.first_time(event, zone)
        return self._changed("moved", moved, context)

    def _cancel(self, arguments: Mapping[str, Any], context: CallContext) -> Result:
        only = _only(arguments)
        zone = _zone(context)
        with self._store.changing(context.account_id) as calendar:
            event = changes.cancel(calendar, arguments["event_id"], only, zone)
        gone = changes.first_time(event, zone)
        one_of_many = only is not None and gone.repeats
        key = "cancelled_one" if one_of_many else "cancelled"
        day = self._day(datetime.combine(only, time(), zone), context.language) if only else ""
        text = self._texts.say(context.language, key, title=gone.title, day=day)
        data = {"event_id": gone.id, "title": gone.title, "cancelled": day or "all"}
        return Result(data=data, text=text, cards=(Card(kind="event", title=text),))

    def _changed(self, key: str, one: Occurrence, context: CallContext, clash: str = "") -> Result:
        text = self._texts.say(
            context.language, key, title=one.title, when=self._when(one, context), clash=clash
        )
        return Result(data=_told(one), text=text, cards=(self._card(one, context),))

    def _card(self, one: Occurrence, context: CallContext) -> Card:
        say = self._texts.say
        language = context.language
        fields = [(say(language, "when"), self._when(one, context))]
        if one.place:
            fields.append((say(language, "place"), one.place))
        if one.notes:
            fields.append((say(language, "notes"), one.notes[:300]))
        day = one.start.astimezone(_zone(context)).date().isoformat()
        only: dict[str, Any] = {"only_on": day} if one.repeats else {}
        later = one.start.astimezone(_zone(context)) + timedelta(days=1)
        actions = (
            CardAction(
                say(language, "a_day_later"),
                "move_event",
                {
                    "event_id": one.id,
                    "start": later.replace(tzinfo=None).isoformat(timespec="minutes"),
                    **only,
                },
            ),
            CardAction(say(language, "cancel"), "cancel_event", {"event_id": one.id, **only}),
        )
        subtitle = say(language, "repeats") if one.repeats else ""
        return Card(kind="event", title=one.title, subtitle=subtitle, fields=tuple(fields), actions=actions)

    def _when(self, one: Occurrence, context: CallContext) -> str:
        zone = _zone(context)
        start, end = one.start.astimezone(zone), one.end.astimezone(zone)
        day = self._day(start, context.language)
        if one.all_day:
            last = end - timedelta(days=1)
            whole = self._texts.say(context.language, "all_day")
            return (
                f"{day} {whole}" if last <= start else f"{day} ~ {self._day(last, context.language)} {whole}"
            )
        if end.date() == start.date() or end == start:
            return f"{day} {start:%H:%M}~{end:%H:%M}"
        return f"{day} {start:%H:%M} ~ {self._day(end, context.language)} {end:%H:%M}"

    def _day(self, moment: datetime, language: str) -> str:
        weekday = self._texts.say(language, f"weekday_{moment.weekday()}")
        return self._texts.say(
            language, "day", year=moment.year, month=moment.month, day=moment.day, weekday=weekday
        )


def _zone(context: CallContext) -> tzinfo:
    zone = context.now.tzinfo
    assert zone is not None  # the context's time has a zone
    return zone


def _moment(text: str, zone: tzinfo) -> datetime:
    """A time such as "2026-11-24T15:00", in the caller's zone where it names none; a date is its midnight."""
    try:
        moment = datetime.fromisoformat(text.strip().replace(" ", "T"))
    except ValueError:
        raise SkillRefused("no_time", word=text.strip()[:40]) from None
    if not 1970 <= moment.year <= 2100:
        raise SkillRefused("no_time", word=text.strip()[:40])
    return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment.astimezone(zone)


def _span(arguments: Mapping[str, Any], context: CallContext) -> tuple[datetime, datetime]:
    zone = _zone(context)
    told = arguments.get("start") or context.now.date().isoformat()
    start = _moment(told, zone)
    end = _moment(arguments["end"], zone) if arguments.get("end") else start
    if not arguments.get("end") or len(arguments["end"].strip()) <= len("2026-11-24"):
        end = datetime.combine(end.date() + timedelta(days=1), time(), zone)  # a day ends with its midnight
    if end <= start or end - start > _LONGEST_SPAN:
        raise SkillRefused("backwards" if end <= start else "too_long", days=_LONGEST_SPAN.days)
    return start, end


def _end(arguments: Mapping[str, Any], start: datetime, zone: tzinfo) -> datetime:
    if arguments.get("end"):
        return _moment(arguments["end"], zone)
    return start + timedelta(minutes=arguments.get("minutes", 60))


def _only(arguments: Mapping[str, Any]) -> date | None:
    return date.fromisoformat(arguments["only_on"]) if arguments.get("only_on") else None


def _clock(text: str) -> time:
    try:
        return time.fromisoformat(text.strip())
    except ValueError:
        raise SkillRefused("no_time", word=text.strip()[:40]) from None


def _rounded_up(moment: datetime) -> datetime:
    """The next quarter of an hour."""
    rest = timedelta(minutes=moment.minute % 15, seconds=moment.second, microseconds=moment.microsecond)
    return moment if not rest else moment - rest + timedelta(minutes=15)


def _told(one: Occurrence) -> dict[str, Any]:
    return {
        "event_id": one.id,
        "title": one.title,
        "start": one.start.isoformat(timespec="minutes"),
        "end": one.end.isoformat(timespec="minutes"),
        "all_day": one.all_day,
        "place": one.place,
        "repeats": one.repeats,
    }
