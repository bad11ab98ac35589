"""Numbers with what they count, in digits and in Korean: "3만 5천원", "두 명", "1,200 km", "50%"."""

import re
from functools import lru_cache

from malmoi.assist.skills.planning.value import Value
from malmoi.assist.skills.planning.words import any_of, load_words
from malmoi.core.hangul.numbers import parse_number

_POWERS = {
    "조": 10**12,
    "억": 10**8,
    "천만": 10**7,
    "백만": 10**6,
    "십만": 10**5,
    "만": 10**4,
    "천": 1000,
    "백": 100,
}
_SINO = "영일이삼사오육칠팔구십백천만억조"


def find_numbers(text: str) -> list[Value]:
    """Every number that a text names, with its unit."""
    units = load_words().units()
    found: list[Value] = []
    for match in _digits().finditer(text):
        value = _read_digits(match["number"])
        if value is None:
            continue
        unit = units.get((match["unit"] or "").lower(), "")
        if match["money"]:
            unit = "won" if match["money"] in "₩￦" else "dollars"
        found.append(Value("number", value, match.start(), match.end(), unit=unit))
    for match in _natives().finditer(text):
        count = sum(int(load_words().of("natives")[part]) for part in match["number"].split())
        found.append(Value("number", count, match.start(), match.end(), unit=units[match["unit"].lower()]))
    for match in _sino().finditer(text):
        try:
            told = parse_number(match["number"])
        except ValueError:
            continue
        found.append(Value("number", told, match.start(), match.end(), unit=units[match["unit"].lower()]))
    for match in _english().finditer(text):
        told = int(load_words().of("english")[match["number"].lower()])
        found.append(Value("number", told, match.start(), match.end(), unit=units[match["unit"].lower()]))
    return found


def _read_digits(text: str) -> int | float | None:
    """Read "3만 5천" as 35000, "1.5억" as 150000000, "1,200" as 1200."""
    total: float = 0
    for part in re.finditer(rf"(\d[\d,]*(?:\.\d+)?)\s*({any_of(_POWERS)})?", text):
        try:
            total += float(part[1].replace(",", "")) * _POWERS.get(part[2] or "", 1)
        except ValueError:
            return None
    if total > 1e15:
        return None
    return int(total) if total == int(total) else total


@lru_cache
def _digits() -> re.Pattern[str]:
    power = any_of(_POWERS)
    unit = any_of(load_words().units())
    one = rf"\d{{1,15}}(?:,\d{{3}}){{0,4}}(?:\.\d{{1,9}})?\s?(?:{power})?"
    return re.compile(
        rf"(?P<money>[₩￦$])?\s?(?<![\w.,])(?P<number>-?{one}(?:\s?\d{{1,4}}\s?{power})*)\s?(?P<unit>{unit})?",
        re.IGNORECASE,
    )


@lru_cache
def _natives() -> re.Pattern[str]:
    words = load_words()
    unit = any_of(word for word in words.units() if not word.isascii())
    return re.compile(
        rf"(?<![가-힣])(?P<number>{words.pattern('natives')})\s*(?P<unit>{unit})(?![가-힣]{{3}})"
    )


@lru_cache
def _sino() -> re.Pattern[str]:
    unit = any_of(
        word for word in load_words().units() if not word.isascii() and word not in ("일", "대", "인")
    )
    return re.compile(rf"(?<![가-힣])(?P<number>[{_SINO}]{{1,12}})\s*(?P<unit>{unit})")


@lru_cache
def _english() -> re.Pattern[str]:
    words = load_words()
    unit = any_of(word for word in words.units() if word.isascii() and word.isalpha())
    return re.compile(rf"(?P<number>{words.pattern('english')})\s+(?:\w+\s+)?(?P<unit>{unit})", re.IGNORECASE)
