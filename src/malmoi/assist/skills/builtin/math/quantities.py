"""A quantity and the unit that it is wanted in, as a sentence names them: "34평이 제곱미터로 몇이야"."""

import re
import tomllib
from functools import lru_cache
from importlib.resources import files
from typing import Any

from malmoi.assist.skills.builtin.math.formulas import asked_words

_LONG = (
    "kilometers",
    "kilometres",
    "kilometer",
    "meters",
    "metres",
    "meter",
    "centimeters",
    "centimeter",
    "miles",
)
_LONG_TOO = (
    "mile",
    "yards",
    "yard",
    "pounds",
    "pound",
    "ounces",
    "ounce",
    "kilograms",
    "kilogram",
    "grams",
    "gram",
)
_LAST = (
    "liters",
    "litres",
    "liter",
    "gallons",
    "gallon",
    "cups",
    "celsius",
    "fahrenheit",
    "kelvin",
    "acres",
    "hours",
)
_MORE = (
    "minutes",
    "seconds",
    "days",
    "bytes",
    "calories",
    "joules",
    "millimeters",
    "square meters",
    "square feet",
)
_SHORT = frozenset(
    ("a", "자", "말", "되", "돈", "치", "관", "섬", "리", "주", "일", "분", "초", "시", "in", "in.", "h", "s")
)
"""Units that are other words as well: they count only behind a number."""


@lru_cache(maxsize=1)
def _names() -> list[str]:
    told: dict[str, Any] = tomllib.loads(
        files(__package__).joinpath("units.toml").read_text(encoding="utf-8")
    )
    names = {*told["names"], *_LONG, *_LONG_TOO, *_LAST, *_MORE}
    return sorted((name for name in names if name not in ("'", '"')), key=len, reverse=True)


@lru_cache(maxsize=1)
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    def one(name: str) -> str:
        escaped = re.escape(name)
        return rf"{escaped}(?![A-Za-z²³\d])" if name.isascii() else escaped

    unit = "|".join(map(one, _names()))
    alone = "|".join(one(name) for name in _names() if name not in _SHORT and len(name) > 1)
    natives = asked_words()["natives"]
    words = "|".join(sorted([*natives["ones"], *natives["tens"]], key=len, reverse=True))
    number = (
        rf"(?<!\d)\d[\d,]{{0,20}}(?:\.\d{{1,20}})?(?:\s*[억만천백]){{0,4}}|(?<![가-힣])(?:{words}){{1,2}}"
    )
    amount = re.compile(
        rf"(?:(?P<before>섭씨|화씨|시속|초속)\s*)?(?P<number>{number})\s*(?P<unit>{unit})(?:\s*(?P<half>반)(?![가-힣]*(?:으로|정도))"
        rf"|\s*(?P<more>\d{{1,20}}(?:\.\d{{1,20}})?\s*(?:{unit})))?",
        re.IGNORECASE,
    )
    wanted = re.compile(rf"(?<![A-Za-z가-힣\d])(?:몇\s*)?(?P<unit>섭씨|화씨|{alone})", re.IGNORECASE)
    return amount, wanted


def conversion(query: str) -> dict[str, Any]:
    """The arguments `quantity` and `to`, where there is one of each."""
    amount, wanted = _patterns()
    found = list(amount.finditer(query))
    if len(found) != 1:
        return {}
    match = found[0]
    number = _figure(match["number"])
    if match["half"]:
        number = f"{number}.5" if number.isdigit() else number
    if not number:
        return {}
    before = f"{match['before']} " if match["before"] else ""
    quantity = f"{before}{number}{match['unit']}" + (f" {match['more']}" if match["more"] else "")
    rest = f"{query[: match.start()]} ; {query[match.end() :]}"
    targets = list(dict.fromkeys(one["unit"] for one in wanted.finditer(rest)))
    targets = [one for one in targets if one.lower() != match["unit"].lower()]
    return {"quantity": quantity, "to": targets[0]} if len(targets) == 1 else {"quantity": quantity}


def _figure(text: str) -> str:
    """Figures of a number; native Korean ones as well."""
    plain = text.replace(",", "").strip()
    if re.match(r"\d", plain):
        return plain
    natives = asked_words()["natives"]
    total = 0
    for part in re.findall(
        "|".join(sorted([*natives["ones"], *natives["tens"]], key=len, reverse=True)), plain
    ):
        total += natives["tens"].get(part, 0) + natives["ones"].get(part, 0)
    return str(total) if total else ""
