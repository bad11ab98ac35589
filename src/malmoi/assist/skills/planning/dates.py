"""Dates and times in Korean and English, counted from now.

Days that have passed in this year are meant for the next one ("1월 3일" in November), days of a month for
the next month; a bare weekday is the next one to come, today included. A clock without a half of the day
means the afternoon from 1 to 6 ("3시에"), the morning else.
"""

import re
from calendar import monthrange
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise

from malmoi.assist.skills.planning.value import Value
from malmoi.assist.skills.planning.words import load_words

_LAST_AFTERNOON_HOUR = 6
_MAX_DAYS = 3650
_YEARS = range(1000, 9000)  # from all of them one can count some years on, and back


def find_dates(text: str, now: datetime) -> list[Value]:
    """Every date that a text names."""
    found: list[Value] = _joined(text, now.date())
    for pattern, read in _dates():
        for match in pattern.finditer(text):
            day = read(match, now.date())
            if day is not None:
                found.append(Value("date", day.isoformat(), match.start(), match.end()))
    return found


def find_clocks(text: str) -> list[Value]:
    """Every time of day that a text names."""
    words = load_words()
    found: list[Value] = []
    for match in _clock().finditer(text):
        clock = _read_clock(match)
        if clock is not None:
            found.append(Value("time", clock, match.start(), match.end()))
    return found + [
        Value("time", words.of("moments")[match[0].lower()], match.start(), match.end())
        for match in re.finditer(words.pattern("moments"), text, re.IGNORECASE)
    ]


def find_spans(text: str) -> list[Value]:
    """Lengths in days: "2박 3일" is three days (and two nights), "사흘 동안" three."""
    words = load_words()
    # "하루 8만원" is a price.
    named = rf"({words.pattern('spans')})(?=\s*(?:동안|간|만|짜리|$|[\s,.]))(?!\s*(?:뒤|후|전|종일|에?\s*\d))"
    counted = r"(\d{1,3})\s*(?:일\s*(?:동안|간)|days?\b(?!\s+(?:ago|later|after)))"
    nights = r"(\d{1,2})\s*(?:박(?!\s*\d)|nights?\b)"
    both = r"\d{1,2}\s*박\s*(\d{1,2})\s*일"
    table: list[tuple[str, str, Callable[[str], int]]] = [
        (both, "nights", int),
        (rf"({words.pattern('lengths')})", "days", lambda word: int(words.of("lengths")[word.lower()])),
        (named, "days", lambda word: int(words.of("spans")[word])),
        (counted, "days", int),
        (nights, "nights", lambda count: int(count) + 1),
    ]
    return [
        Value("days", read(match[1]), match.start(), match.end(), unit=unit)
        for pattern, unit, read in table
        for match in re.finditer(pattern, text, re.IGNORECASE)
    ]


def _joined(text: str, today: date) -> list[Value]:
    """Two days of one month, which is told once ("12월 5~7일", "Dec 24 to 26"), and days with a name."""
    words = load_words()
    found: list[Value] = []
    for match in _pairs().finditer(text):
        name = match["name"]
        month = int(match["m"] or match["m2"] or words.of("months")[name.lower()])
        for part in ("d", "e"):
            day = _coming(today, month, int(match[part]))
            if day is not None:
                found.append(Value("date", day.isoformat(), match.start(part), match.end(part)))
    for match in re.finditer(words.pattern("feasts"), text, re.IGNORECASE):
        month, day_of_month = words.of("feasts")[match[0].lower()]
        day = _coming(today, month, day_of_month)
        if day is not None:
            found.append(Value("date", day.isoformat(), match.start(), match.end()))
    return found


@lru_cache
def _pairs() -> re.Pattern[str]:
    months = load_words().pattern("months")
    nth, to = r"(?:st|nd|rd|th)?", r"\s*(?:to|through|until|till|and|[-–~])\s*(?:the\s+)?"
    return re.compile(
        r"(?:(?<!\d)(?P<m>\d{1,2})\s*월\s*(?=\d{1,2}\s*[~-])"
        r"|(?<![\d/])(?P<m2>\d{1,2})/(?=\d{1,2}\s*~\s*\d{1,2}(?![\d/]))"
        rf"|(?P<name>{months})\.?\s+(?=\d{{1,2}}{nth}{to}\d))"
        rf"(?P<d>\d{{1,2}}){nth}{to}(?P<e>\d{{1,2}})(?![\d:월])(?!\s*(?:am|pm))",
        re.IGNORECASE,
    )


@lru_cache
def _dates() -> list[tuple[re.Pattern[str], Callable[[re.Match[str], date], date | None]]]:
    words = load_words()
    days, weekdays = words.pattern("days"), words.pattern("weekdays")
    weeks, months, spans = words.pattern("weeks"), words.pattern("months"), words.pattern("spans")
    number, unit = r"\d{1,3}", r"(?P<unit>일|주일|주|개월|달|년|days?|weeks?|months?|years?)"
    after = r"(?:뒤|후|이후|다음|later|from now)"
    year, nth = r"(?:,?\s+(?P<y>\d{4}))?", r"(?:st|nd|rd|th)?"
    bare = r"(?<![\d월/.-])(?<!월 )(?P<d>\d{1,2})\s*일(?!\s*(?:간|동안|뒤|후|전|차|정))(?![가-힣]*\d)"
    table: list[tuple[str, Callable[[re.Match[str], date], date | None]]] = [
        (r"(?P<y>\d{4})\s*[-./년]\s*(?P<m>\d{1,2})\s*[-./월]\s*(?P<d>\d{1,2})(?:\s*일)?(?!\d)", _full),
        (r"(?<!\d)(?P<m>\d{1,2})\s*월\s*(?P<d>\d{1,2})\s*일", _month_day),
        (r"(?<![\d/.-])(?P<m>\d{1,2})/(?P<d>\d{1,2})(?![\d/])", _month_day),
        (rf"(?P<name>{months})\.?\s+(?P<d>\d{{1,2}}){nth}{year}(?!\d)", _full_name),
        (rf"(?P<d>\d{{1,2}}){nth}\s+(?:of\s+)?(?P<name>{months}){year}", _full_name),
        (rf"(?P<month>{words.pattern('months_from_now')})\s*(?P<d>\d{{1,2}})\s*일", _month_from_now),
        (rf"(?P<d>\d{{1,2}}){nth}\s+of\s+(?P<month>{words.pattern('months_from_now')})", _month_from_now),
        (rf"(?P<week>{weeks})\s*(?:주)?\s*(?P<name>{weekdays}|주말|\bweekend\b)", _in_week),
        (r"(?<![가-힣])(?P<name>주말)|\b(?P<end>weekend)\b", _weekend),
        (rf"(?P<word>{days})", _word),
        (rf"(?P<n>{number})\s*{unit}\s*{after}", lambda m, t: _ahead(m, t, 1)),
        (rf"(?P<n>{number})\s*{unit}\s*(?:전|ago)", lambda m, t: _ahead(m, t, -1)),
        (rf"\bin\s+(?P<n>{number})\s+(?P<unit>days?|weeks?|months?)", lambda m, t: _ahead(m, t, 1)),
        (rf"(?P<span>{spans})\s*(?:뒤|후)", _span_ahead),
        (rf"(?P<name>{weekdays})", _next_weekday),
        (rf"{bare}(?=[\s에부까이,~.날의로]|$)", _day),
    ]
    return [(re.compile(pattern, re.IGNORECASE), read) for pattern, read in table]


def _made(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day) if year in _YEARS else None
    except ValueError:
        return None


def _full(match: re.Match[str], today: date) -> date | None:
    return _made(int(match["y"]), int(match["m"]), int(match["d"]))


def _month_day(match: re.Match[str], today: date) -> date | None:
    return _coming(today, int(match["m"]), int(match["d"]))


def _month_from_now(match: re.Match[str], today: date) -> date | None:
    months = today.year * 12 + today.month - 1
    months += int(load_words().of("months_from_now")[match["month"].lower()])
    year, month = divmod(months, 12)
    return _made(year, month + 1, int(match["d"]))


def _full_name(match: re.Match[str], today: date) -> date | None:
    month = int(load_words().of("months")[match["name"].lower()])
    if match["y"]:
        return _made(int(match["y"]), month, int(match["d"]))
    return _coming(today, month, int(match["d"]))


def _coming(today: date, month: int, day: int) -> date | None:
    for year in range(today.year, today.year + 5):  # 29 February comes every fourth year
        made = _made(year, month, day)
        if made is not None and made >= today:
            return made
    return None


def _day(match: re.Match[str], today: date) -> date | None:
    day, year, month = int(match["d"]), today.year, today.month
    for _ in range(13):
        if 1 <= day <= monthrange(year, month)[1] and date(year, month, day) >= today:
            return date(year, month, day)
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return None


def _word(match: re.Match[str], today: date) -> date:
    return today + timedelta(days=int(load_words().of("days")[match["word"].lower()]))


def _ahead(match: re.Match[str], today: date, sign: int) -> date | None:
    count, unit = int(match["n"]) * sign, match["unit"].lower()
    if unit.startswith(("일", "day")):
        return today + timedelta(days=count)
    if unit.startswith(("주", "week")):
        return today + timedelta(weeks=count)
    months = today.year * 12 + today.month - 1 + count * (12 if unit.startswith(("년", "year")) else 1)
    year, month = divmod(months, 12)
    if abs(count) > _MAX_DAYS or year not in _YEARS:
        return None
    return date(year, month + 1, min(today.day, monthrange(year, month + 1)[1]))


def _span_ahead(match: re.Match[str], today: date) -> date:
    return today + timedelta(days=int(load_words().of("spans")[match["span"]]))


def _in_week(match: re.Match[str], today: date) -> date:
    words = load_words()
    weeks = int(words.of("weeks")[match["week"].lower()])
    name = match["name"].lower()
    number = 5 if name in ("주말", "weekend") else int(words.of("weekdays")[name])
    monday = today - timedelta(days=today.weekday())
    day = monday + timedelta(weeks=weeks, days=number)
    # "This Monday" on a Tuesday is the one to come.
    if weeks == 0 and day < today:
        day += timedelta(weeks=1)
    return day


def _weekend(match: re.Match[str], today: date) -> date:
    return today + timedelta(days=max(0, 5 - today.weekday()))


def _next_weekday(match: re.Match[str], today: date) -> date:
    number = int(load_words().of("weekdays")[match["name"].lower()])
    return today + timedelta(days=(number - today.weekday()) % 7)


@lru_cache
def _clock() -> re.Pattern[str]:
    words = load_words()
    half, native = words.pattern("halves"), words.pattern("natives")
    return re.compile(
        rf"(?:(?P<half>{half})\s*)?(?P<hour>\d{{1,2}}|{native})\s*시(?!간|즌|작|험|장|도|청|립|스)"
        r"(?:\s*(?:(?P<minute>\d{1,2})\s*분|(?P<thirty>반)))?"
        r"|(?<!\d)(?P<h24>[01]?\d|2[0-3]):(?P<m24>[0-5]\d)(?!\d)(?:\s*(?P<pm24>[ap])\.?m\b\.?)?"
        r"|\b(?P<h12>1[0-2]|0?[1-9])\s*(?P<pm12>[ap])\.?m\b\.?",
        re.IGNORECASE,
    )


def _read_clock(match: re.Match[str]) -> str | None:
    words = load_words()
    if match["h24"]:
        hour, minute, half = int(match["h24"]), int(match["m24"]), match["pm24"]
    elif match["h12"]:
        hour, minute, half = int(match["h12"]), 0, match["pm12"]
    else:
        told = match["hour"]
        hour = int(told) if told.isdigit() else int(words.of("natives")[told])
        minute = 30 if match["thirty"] else int(match["minute"] or 0)
        if match["half"]:
            past_noon = int(words.of("halves")[match["half"]])
            if past_noon and hour < 12:
                hour += 12
            elif hour == 12 and (not past_noon or match["half"] == "밤"):
                hour = 0
        elif 1 <= hour <= _LAST_AFTERNOON_HOUR:
            hour += 12
        half = None
    if half:
        hour = hour % 12 + (12 if half.lower() == "p" else 0)
    return f"{hour:02d}:{minute:02d}" if hour < 24 and minute < 60 else None


def ranges(text: str, dates: list[Value]) -> Iterator[tuple[Value, Value]]:
    """Pairs of dates that a text joins: "3일부터 5일까지", "from Monday to Friday", "12/3~12/5"."""
    joint = re.compile(r"\s*(?:에?서?부터|에서|~|-|–|to|until|till|through)\s*(?:\w{0,4}\s)?", re.IGNORECASE)
    for first, second in pairwise(dates):
        between = text[first.end : second.start]
        if len(between) <= 12 and joint.match(between):
            yield first, second
