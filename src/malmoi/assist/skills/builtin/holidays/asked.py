"""Arguments of the calendar that a sentence gives in so many words: years, days of the moon, feasts."""

import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from importlib.resources import files
from typing import Any

from malmoi.assist.skills.planning.reading import sentence

_YEAR = re.compile(r"(?<!\d)((?:19|20)\d\d)(?!\d)")
_DAYS = re.compile(
    r"(?<![\d년월.])(\d{1,3})\s*-?\s*(?:영업일|근무일|업무일|평일|working|business|workdays?|일|days?)"
)
_COUNTED = re.compile(r"(?:영업일|근무일|업무일|평일)(?:\s*기준)?(?:으로|로)?\s*(\d{1,3})\s*일?")


@lru_cache(maxsize=1)
def _words() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("asked.toml").read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def _day_names() -> list[str]:
    told = tomllib.loads(files(__package__).joinpath("names.toml").read_text(encoding="utf-8"))
    names = {*told["aliases"], *told["aliases"].values(), *told["fixed"], *told["lunar"], *told["dog_days"]}
    names |= {*told["terms"]["ko"], *_words()["english_days"]}
    return sorted((name for name in names if len(name) > 1), key=len, reverse=True)


def read_query(operation: str, query: str, now: datetime) -> dict[str, Any]:
    """The arguments that are sure.

    Args:
        operation: of the calendar skill.
        query: what the person says.
        now: "next year" is counted from here.
    """
    reader = _READERS.get(operation)
    return reader(sentence(query), now) if reader is not None else {}


def _year(query: str, now: datetime) -> int | None:
    found = list(dict.fromkeys(int(one) for one in _YEAR.findall(query)))
    if len(found) == 1:
        return found[0]
    if found:
        return None
    for pattern, years in _words()["years"].items():
        if re.search(pattern, query, re.IGNORECASE):
            return now.year + int(years)
    return None


def _month(query: str, now: datetime) -> int | None:
    found = list(dict.fromkeys(int(one) for one in re.findall(r"(?<![\d])(1[0-2]|[1-9])\s*월", query)))
    if len(found) == 1:
        return found[0]
    named = [n for word, n in _words()["months"].items() if re.search(rf"\b{word}", query, re.IGNORECASE)]
    if found or named:
        return int(named[0]) if len(named) == 1 and not found else None
    for pattern, months in _words()["months_from_now"].items():
        if re.search(pattern, query, re.IGNORECASE):
            return (now.month - 1 + int(months)) % 12 + 1
    return None


def _holidays(query: str, now: datetime) -> dict[str, Any]:
    month, year = _month(query, now), _year(query, now)
    if year is None and month is not None:
        year = now.year if month >= now.month else now.year + 1
    # Who names neither means the year that it is.
    return {"year": now.year if year is None else year, "month": month}


def _terms(query: str, now: datetime) -> dict[str, Any]:
    year = _year(query, now)
    return {"year": now.year if year is None else year}


def _until(query: str, now: datetime) -> dict[str, Any]:
    """The day by its name; a date is read elsewhere."""
    plain = query.lower()
    for name in _day_names():
        pattern = (
            re.escape(name).replace("'", "['’]?") if name.isascii() else r"\s?".join(map(re.escape, name))
        )
        spaced = re.sub(r"(?<=[a-z])(?=day|eve|year)", r"\\s?", pattern) if name.isascii() else pattern
        edge = r"(?![a-z])" if name.isascii() else ""
        if match := re.search(rf"(?<![가-힣a-z]){spaced}{edge}", plain):
            return {"day": query[match.start() : match.end()]}
    return {}


def _add(query: str, now: datetime) -> dict[str, Any]:
    counted = _COUNTED.findall(query) or _DAYS.findall(query)
    numbers = list(dict.fromkeys(int(one) for one in counted))
    if not numbers:
        spoken = _words()["spoken_days"]
        words = re.findall("|".join(sorted(spoken, key=len, reverse=True)), query)
        numbers = list(dict.fromkeys(int(spoken[one]) for one in words))
    if len(numbers) != 1:
        return {}
    back = re.search(_words()["back"]["words"], query, re.IGNORECASE) is not None
    return {"days": -numbers[0] if back else numbers[0]}


def _lunar(query: str, now: datetime) -> dict[str, Any]:
    words = _words()
    told: dict[str, Any] = {}
    match = re.search(r"(?<!\d)(\d{1,2})\s*월\s*(?:달)?\s*(\d{1,2})\s*일", query)
    match = match or re.search(r"(?<!\d)\d{4}[-./](\d{1,2})[-./](\d{1,2})(?!\d)", query)
    match = match or re.search(r"(?<![\d/.])(\d{1,2})\s*[/.]\s*(\d{1,2})(?![\d/.])", query)
    if match is not None:
        told = {"month": int(match[1]), "day": int(match[2])}
    else:
        months = [n for word, n in words["lunar_months"].items() if re.search(word, query)]
        figure = re.findall(r"(?<!\d)(1[0-2]|[1-9])\s*월", query)
        if len(set(figure)) == 1:
            months = [int(figure[0])]
        ordinal = re.search(
            r"\b(\d{1,2})(?:st|nd|rd|th)?\s+(?:day\s+)?of the\s+(\w+)\s+(?:lunar\s+)?month", query
        )
        days = [int(n) for word, n in words["lunar_days"].items() if re.search(word, query)]
        days = days or [int(one) for one in re.findall(r"(?<![\d년])(\d{1,2})\s*일(?!\s*(?:뒤|후))", query)]
        if ordinal is not None and ordinal[2].lower() in words["ordinals"]:
            months, days = [words["ordinals"][ordinal[2].lower()]], [int(ordinal[1])]
        named = [n for word, n in words["months"].items() if re.search(rf"\b{word}", query, re.IGNORECASE)]
        if not months and len(named) == 1:
            months = named
            days = [int(one) for one in re.findall(r"(?<!\d)(\d{1,2})(?:st|nd|rd|th)?(?!\d)", query)]
        if months and days:
            told = {"month": int(months[0]), "day": int(days[0])}
    year = _year(query, now)
    if told and year is not None:
        told["year"] = year
    if told and re.search(r"윤달|윤\s?\d|\bleap\b|intercalary", query, re.IGNORECASE):
        told["leap"] = True
    return told


_READERS: Mapping[str, Callable[[str, datetime], dict[str, Any]]] = {
    "list_holidays": _holidays,
    "solar_terms": _terms,
    "days_until": _until,
    "add_working_days": _add,
    "lunar_to_solar": _lunar,
}
