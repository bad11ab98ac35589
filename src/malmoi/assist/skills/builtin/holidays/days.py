"""Days of the Korean calendar: public holidays, working days, the lunar calendar and the 24 solar terms.

Public holidays are those of the library `holidays` (with substitute holidays, elections and days off that a
government has declared). The lunar calendar is that of `korean_lunar_calendar`, by the tables of the Korea
Astronomy and Space Science Institute, for the years 1391 to 2050. Solar terms are reckoned from the sun's
longitude (Meeus, Astronomical Algorithms, chapter 25, low accuracy: within minutes).
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from math import radians, sin
from typing import Any
from zoneinfo import ZoneInfo

from malmoi.core.errors import InvalidInput

FIRST_YEAR, LAST_YEAR = 1950, 2050
_SATURDAY = 5
_KOREA = "Asia/Seoul"


@dataclass(frozen=True, slots=True)
class LunarDate:
    """A date of the lunar calendar; `leap` is an intercalary month."""

    year: int
    month: int
    day: int
    leap: bool = False


def holidays_of(year: int, language: str) -> dict[date, str]:
    """The public holidays of a year in Korea, by day.

    Raises:
        InvalidInput: the year is outside of what is known.
    """
    check_year(year)
    return dict(_holidays(year, "ko" if language == "ko" else "en_US"))


@lru_cache(maxsize=64)
def _holidays(year: int, language: str) -> Mapping[date, str]:
    from holidays import country_holidays

    found = country_holidays("KR", years=year, language=language)
    return dict(sorted(found.items()))


def holiday_name(day: date, language: str) -> str:
    """The holiday on a day; empty where there is none."""
    return holidays_of(day.year, language).get(day, "")


def is_working_day(day: date) -> bool:
    """Whether it is neither Saturday, Sunday nor a public holiday."""
    return day.weekday() < _SATURDAY and not holiday_name(day, "ko")


def working_days(start: date, end: date) -> int:
    """How many working days there are from a day to another, both counted."""
    return sum(is_working_day(start + timedelta(days=number)) for number in range((end - start).days + 1))


def after_working_days(start: date, count: int) -> date:
    """The day that is so many working days after (or, with a negative count, before) another."""
    step = timedelta(days=1 if count >= 0 else -1)
    day, left = start, abs(count)
    while left:
        day += step
        left -= is_working_day(day)
    return day


def check_year(year: int) -> None:
    """Refuse years that the calendars do not know.

    Raises:
        InvalidInput: it is one of them.
    """
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise InvalidInput(
            f"The calendar knows the years {FIRST_YEAR} to {LAST_YEAR}, not {year}.", field="year"
        )


def to_lunar(day: date) -> LunarDate:
    """The lunar date of a day."""
    from korean_lunar_calendar import KoreanLunarCalendar

    check_year(day.year)
    calendar = KoreanLunarCalendar()
    if not calendar.setSolarDate(day.year, day.month, day.day):
        raise InvalidInput(f"{day} has no lunar date that is known.", field="date")
    return LunarDate(
        int(calendar.lunarYear),
        int(calendar.lunarMonth),
        int(calendar.lunarDay),
        bool(calendar.isIntercalation),
    )


def to_solar(lunar: LunarDate) -> date:
    """The day of a lunar date.

    Raises:
        InvalidInput: there is no such lunar date.
    """
    from korean_lunar_calendar import KoreanLunarCalendar

    check_year(lunar.year)
    calendar = KoreanLunarCalendar()
    known = calendar.setLunarDate(lunar.year, lunar.month, lunar.day, lunar.leap)
    # The library takes a leap month that the year lacks for the plain one.
    if not known or bool(calendar.isIntercalation) != lunar.leap:
        month = f"leap month {lunar.month}" if lunar.leap else f"month {lunar.month}"
        raise InvalidInput(f"The lunar year {lunar.year} has no day {lunar.day} of {month}.", field="day")
    return date(int(calendar.solarYear), int(calendar.solarMonth), int(calendar.solarDay))


def solar_terms(year: int, language: str) -> list[tuple[str, date]]:
    """The 24 solar terms of a year, from 소한 on, in Korean time."""
    check_year(year)
    names = _names()["terms"][language]
    # 소한 is where the sun stands at 285 degrees; 15 degrees further is the next.
    found = []
    for number, name in enumerate(names):
        about = datetime(year, 1, 5, tzinfo=UTC) + timedelta(days=number * 365.2422 / 24)
        found.append((name, _when_sun_at((285 + 15 * number) % 360, about)))
    return found


def _when_sun_at(longitude: float, about: datetime) -> date:
    moment = about
    for _ in range(6):
        off = (longitude - _sun(moment) + 180) % 360 - 180
        moment += timedelta(days=off * 365.2422 / 360)
    return moment.astimezone(ZoneInfo(_KOREA)).date()


def _sun(moment: datetime) -> float:
    """The sun's apparent longitude in degrees."""
    days = (moment - datetime(2000, 1, 1, 12, tzinfo=UTC)).total_seconds() / 86400 + 69 / 86400
    century = days / 36525
    mean = 280.46646 + 36000.76983 * century + 0.0003032 * century**2
    anomaly = radians(357.52911 + 35999.05029 * century - 0.0001537 * century**2)
    centre = (
        (1.914602 - 0.004817 * century - 0.000014 * century**2) * sin(anomaly)
        + (0.019993 - 0.000101 * century) * sin(2 * anomaly)
        + 0.000289 * sin(3 * anomaly)
    )
    node = radians(125.04 - 1934.136 * century)
    return (mean + centre - 0.00569 - 0.00478 * sin(node)) % 360


@lru_cache(maxsize=1)
def _names() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("names.toml").read_text(encoding="utf-8"))


def day_of(name: str, today: date) -> date | None:
    """The next day of this name, today included: a holiday, a solar term or another known day."""
    told = _names()
    asked = "".join(name.lower().split())
    asked = told["aliases"].get(asked, asked)
    for year in range(today.year, today.year + 3):
        if year > LAST_YEAR:
            break
        for day in _days_called(asked, year, told):
            if day >= today:
                return day
    return None


def _days_called(asked: str, year: int, told: dict[str, Any]) -> list[date]:
    fixed = told["fixed"].get(asked)
    if fixed:
        return [date(year, *fixed)]
    lunar = told["lunar"].get(asked)
    if lunar:
        return [to_solar(LunarDate(year, *lunar))]
    if asked in told["dog_days"]:  # 삼복: by the stems of days, from the summer solstice
        return [_dog_day(year, told["dog_days"][asked])]
    for language in ("ko", "en"):
        found = [day for name, day in solar_terms(year, language) if _same(name, asked)]
        feasts = holidays_of(year, language).items()
        found += [day for day, name in feasts if asked in map(_plain, name.split(";"))]
        if found:
            return found
    return []


def _same(name: str, asked: str) -> bool:
    return _plain(name.partition("(")[0]) == asked


def _plain(name: str) -> str:
    return "".join(name.lower().split())


def _dog_day(year: int, which: int) -> date:
    """초복, 중복 and 말복: the third and fourth 경 day from 하지, and the first from 입추."""
    terms = dict(solar_terms(year, "ko"))
    if which == 2:
        return _geng_day(terms["입추"])
    return _geng_day(terms["하지"]) + timedelta(days=20 + 10 * which)


def _geng_day(start: date) -> date:
    """The first day from this one whose stem is 경, the seventh of ten."""
    return start + timedelta(days=(6 - _stem(start)) % 10)


def _stem(day: date) -> int:
    # 2000-01-07 was a day 갑자.
    return (day - date(2000, 1, 7)).days % 10


def weekday_name(day: date, language: str) -> str:
    """The name of its weekday, for people."""
    return str(_names()["weekdays"][language][day.weekday()])
