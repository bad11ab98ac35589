"""Times that last, told by a name ("다음 주", "12월에", "next month"), and lengths ("한 시간 반")."""

import re
from calendar import monthrange
from datetime import date, datetime, timedelta
from functools import lru_cache

from malmoi.assist.skills.planning.value import Value
from malmoi.assist.skills.planning.words import load_words

_HOUR = 60


def find_periods(text: str, now: datetime) -> list[Value]:
    """Weeks, months and weekends that a text names, each as "2026-11-23/2026-11-29"."""
    today = now.date()
    found: list[Value] = []
    for match in _weeks().finditer(text):
        weeks = int(load_words().of("weeks")[match["week"].lower()])
        monday = today - timedelta(days=today.weekday()) + timedelta(weeks=weeks)
        found.append(_period(monday, monday + timedelta(days=6), match))
    for match in _weekends().finditer(text):
        weeks = int(load_words().of("weeks").get((match["week"] or "").lower(), 0))
        saturday = today + timedelta(days=5 - today.weekday() + 7 * weeks)
        found.append(_period(saturday, saturday + timedelta(days=1), match))
    for match in _months().finditer(text):
        first = _first_of(match, today)
        found.append(_period(first, first.replace(day=monthrange(first.year, first.month)[1]), match))
    return found


def find_month_ends(text: str, now: datetime) -> list[Value]:
    """The last day of a month: "이달 말까지", "월말"."""
    words = load_words()
    found: list[Value] = []
    for match in re.finditer(words.pattern("year_ends"), text, re.IGNORECASE):
        year = now.year + int(words.of("year_ends")[match[0].lower()])
        found.append(Value("date", date(year, 12, 31).isoformat(), match.start(), match.end()))
    for match in re.finditer(words.pattern("month_ends"), text, re.IGNORECASE):
        months = now.year * 12 + now.month - 1 + int(words.of("month_ends")[match[0].lower()])
        year, month = divmod(months, 12)
        last = date(year, month + 1, monthrange(year, month + 1)[1])
        found.append(Value("date", last.isoformat(), match.start(), match.end()))
    return found


def find_durations(text: str) -> list[Value]:
    """How long something takes, in minutes: "한 시간 반", "90분 동안", "half an hour"."""
    words = load_words()
    found: list[Value] = []
    for match in _durations().finditer(text):
        told = match["hours"] or ""
        hours = float(told) if told[:1].isdigit() else float(words.of("natives").get(told, 0))
        minutes = hours * _HOUR + (30 if match["half"] else int(match["minutes"] or 0))
        found.append(Value("number", int(minutes), match.start(), match.end(), unit="minutes"))
    for pattern, minutes in words.of("durations").items():
        found += [
            Value("number", int(minutes), match.start(), match.end(), unit="minutes")
            for match in re.finditer(pattern, text, re.IGNORECASE)
        ]
    return found


def _period(first: date, last: date, match: re.Match[str]) -> Value:
    return Value("period", f"{first.isoformat()}/{last.isoformat()}", match.start(), match.end())


def _first_of(match: re.Match[str], today: date) -> date:
    words = load_words()
    if match["from"]:
        months = today.year * 12 + today.month - 1 + int(words.of("months_from_now")[match["from"].lower()])
        year, month = divmod(months, 12)
        return date(year, month + 1, 1)
    number = int(match["m"]) if match["m"] else int(words.of("months")[match["name"].lower()])
    year = today.year + int(words.of("years_from_now").get((match["year"] or "").lower(), 0))
    told = match["y"] or match["behind"]
    if told:
        year = int(told)
    elif not match["year"] and number < today.month:
        year += 1
    return date(year, number, 1)


@lru_cache
def _weeks() -> re.Pattern[str]:
    words = load_words()
    not_a_day = rf"(?!\s*(?:{words.pattern('weekdays')}|[월화수목금토일]요일|주말|말|\bweekend))"
    return re.compile(
        rf"(?P<week>{words.pattern('weeks')})\s*(?:주(?!일\s*(?:뒤|후)){not_a_day}(?:간|중|에|내내)?|\bweek\b)",
        re.IGNORECASE,
    )


@lru_cache
def _weekends() -> re.Pattern[str]:
    weeks = load_words().pattern("weeks")
    return re.compile(rf"(?:(?P<week>{weeks})\s*(?:주\s*)?)?(?:주말|\bweekend\b)", re.IGNORECASE)


@lru_cache
def _months() -> re.Pattern[str]:
    words = load_words()
    years, months = words.pattern("years_from_now"), words.pattern("months")
    return re.compile(
        rf"(?P<from>{words.pattern('months_from_now')})(?!\s*(?:\d|말|초))"
        rf"|(?:(?P<year>{years})\s*|(?P<y>20\d\d)\s*년\s*)?(?:(?<!\d)(?P<m>1[0-2]|[1-9])\s*월(?!\s*\d)(?!\s*말)"
        rf"|(?P<name>(?!may\b){months})(?!\.?\s*\d{{1,2}}(?!\d))(?:,?\s+(?P<behind>20\d\d))?)",
        re.IGNORECASE,
    )


@lru_cache
def _durations() -> re.Pattern[str]:
    native = load_words().pattern("natives")
    return re.compile(
        rf"(?P<hours>\d{{1,2}}(?:\.\d)?|(?<![가-힣]){native})\s*(?:시간|-?\s?hours?\b|hrs?\b)"
        r"\s*(?:(?P<half>반|and a half)|(?:and\s+)?(?P<minutes>\d{1,2})\s*(?:분|minutes?|mins?))?",
        re.IGNORECASE,
    )
