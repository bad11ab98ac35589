"""Public holidays, working days and the lunar calendar, without a model and without a network."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from malmoi.assist.skills.builtin.described import Deed, DescribedProvider
from malmoi.assist.skills.builtin.holidays import days
from malmoi.assist.skills.builtin.holidays.asked import read_query
from malmoi.assist.skills.builtin.holidays.days import LunarDate
from malmoi.assist.skills.builtin.refusals import SkillRefused, refusal
from malmoi.assist.skills.operation import CallContext, Card, Result
from malmoi.core.errors import InvalidInput

_LONGEST_SPAN = 4000


class HolidaysProvider(DescribedProvider):
    """The operations of `operations.toml`."""

    def __init__(self) -> None:
        deeds: dict[str, Deed] = {
            "list_holidays": self._list,
            "check_day": self._check,
            "days_until": self._until,
            "count_working_days": self._count,
            "add_working_days": self._add,
            "lunar_to_solar": self._to_solar,
            "solar_to_lunar": self._to_lunar,
            "solar_terms": self._terms,
        }
        super().__init__(__package__, deeds)

    def read_query(self, operation: str, query: str, now: datetime) -> Mapping[str, Any]:
        """The arguments that a sentence gives in so many words."""
        return read_query(operation, query, now)

    async def call(self, operation: str, arguments: Mapping[str, Any], context: CallContext) -> Result:
        """Look it up; days that no table has are refused as well.

        Raises:
            UnknownName: there is no such operation.
        """
        try:
            return await super().call(operation, arguments, context)
        except InvalidInput as fault:
            key = "year" if fault.field == "year" else "lunar"
            known = {"first": days.FIRST_YEAR, "last": days.LAST_YEAR}
            return refusal(SkillRefused(key, **known), self._texts, context.language)

    def _list(self, arguments: Mapping[str, Any], context: CallContext) -> Result:
        year, month = arguments["year"], arguments.get("month")
        language = context.language
        found = {
            day: name
            for day, name in days.holidays_of(year, language).items()
            if month is None or day.month == month
        }
        when = self._texts.say(language, "year" if month is None else "month", year=year, month=month)
        listed = ", ".join(f"{self._short(day, language)} {name}" for day, name in found.items())
        text = self._texts.say(
            language, "holidays" if found else "no_holidays", when=when, count=len(found), listed=listed
        )
        rows = tuple((self._date(day, language), name) for day, name in found.items())
        data = {"holidays": [{"date": day.isoformat(), "name": name} for day, name in found.items()]}
        return Result(data=data, text=text, cards=(self._table(when, rows, language),) if found else ())

    def _check(self, arguments: Mapping[str, Any], context: CallContext) -> Result:
        day, language = _date(arguments["date"]), context.language
        name = days.holiday_name(day, language)
        lunar = days.to_lunar(day)
        kind = "holiday" if name else "weekend" if day.weekday() >= 5 else "workday"
        values = {"date": self._date(day, language), "name": name, "lunar": self._lunar(lunar, language)}
        data = {
            "date": day.isoformat(),
            "holiday": name or None,
            "working_day": kind == "workday",
            "lunar": _iso(lunar),
        }
        return self._said(self._texts.say(language, kind, **values), data)

    def _until(self, arguments: Mapping[str, Any], context: CallContext) -> Result:
        start = _date(arguments["from"]) if arguments.get("from") else context.now.date()
        name = arguments["day"].strip()
        try:
            day: date | None = date.fromisoformat(name)
        except ValueError:
            day = days.day_of(name, start)
        if day is None:
            raise SkillRefused("day", word=name)
        left = (day - start).days
        language = context.language
        shown = self._date(day, language)
        key = "today" if left == 0 else "until" if left > 0 else "since"
        text = self._texts.say(language, key, name=name, days=abs(left), date=shown)
        return self._said(text, {"date": day.isoformat(), "days": left})

    def _count(self, arguments: Mapping[str, Any], context: CallContext) -> Result:
        start, end = _date(arguments["start"]), _date(arguments["end"])
        if end < start:
            raise SkillRefused("order")
        if (end - start).days > _LONGEST_SPAN:
            raise SkillRefused("long", word=_LONGEST_SPAN)
        count = days.working_days(start, end)
        language = context.language
        values = {"start": self._date(start, language), "end": self._date(end, language), "days": count}
        return self._said(self._texts.say(language, "counted", **values), {"working_days": count})

    def _add(self, arguments: Mapping[str, Any], context: CallContext) -> Result:
        start = _date(arguments["start"]) if arguments.get("start") else context.now.date()
        day = days.after_working_days(start, arguments["days"])
        language = context.language
        values = {"start": self._date(start, language), "days": arguments["days"]}
        text = self._texts.say(language, "added", date=self._date(day, language), **values)
        return self._said(text, {"date": day.isoformat()})

    def _to_solar(self, arguments: Mapping[str, Any], context: CallContext) -> Result:
        year = arguments.get("year") or context.now.year
        lunar = LunarDate(year, arguments["month"], arguments["day"], bool(arguments.get("leap")))
        day = days.to_solar(lunar)
        language = context.language
        values = {"lunar": self._lunar(lunar, language), "date": self._date(day, language)}
        return self._said(self._texts.say(language, "to_solar", **values), {"date": day.isoformat()})

    def _to_lunar(self, arguments: Mapping[str, Any], context: CallContext) -> Result:
        day, language = _date(arguments["date"]), context.language
        lunar = days.to_lunar(day)
        values = {"lunar": self._lunar(lunar, language), "date": self._date(day, language)}
        return self._said(self._texts.say(language, "to_lunar", **values), {"lunar": _iso(lunar)})

    def _terms(self, arguments: Mapping[str, Any], context: CallContext) -> Result:
        year, language = arguments["year"], context.language
        found = days.solar_terms(year, language)
        values = {
            "year": year,
            "first": self._short(found[2][1], language),
            "summer": self._short(found[11][1], language),
            "winter": self._short(found[23][1], language),
        }
        rows = tuple((self._date(day, language), name) for name, day in found)
        data = {"terms": [{"date": day.isoformat(), "name": name} for name, day in found]}
        text = self._texts.say(language, "terms", **values)
        return Result(data=data, text=text, cards=(self._table(text, rows, language),))

    def _said(self, text: str, data: dict[str, Any]) -> Result:
        return Result(data=data, text=text, cards=(Card(kind="note", title=text),))

    def _table(self, title: str, rows: tuple[tuple[str, ...], ...], language: str) -> Card:
        columns = tuple(self._texts.say(language, f"column_{name}") for name in ("date", "name"))
        return Card(kind="table", title=title, columns=columns, rows=rows)

    def _date(self, day: date, language: str) -> str:
        weekday = days.weekday_name(day, language)
        return self._texts.say(language, "date", year=day.year, month=day.month, day=day.day, weekday=weekday)

    def _short(self, day: date, language: str) -> str:
        return f"{day.month}월 {day.day}일" if language == "ko" else f"{day.month:02d}-{day.day:02d}"

    def _lunar(self, lunar: LunarDate, language: str) -> str:
        values = {"year": lunar.year, "month": lunar.month, "day": lunar.day, "leap": lunar.leap}
        return self._texts.say(language, "lunar", **values)


def _date(text: str) -> date:
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        raise SkillRefused("day", word=text.strip()) from None
    days.check_year(day.year)
    return day


def _iso(lunar: LunarDate) -> dict[str, Any]:
    return {"year": lunar.year, "month": lunar.month, "day": lunar.day, "leap": lunar.leap}
