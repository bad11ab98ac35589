"""Conversion of units: pint knows their sizes, our table the names that people use. Runs in the sandbox.

Text never reaches pint as an expression: numbers are read by our own parser, units are looked up by name.
"""

import re
import tomllib
from functools import lru_cache
from importlib.resources import files
from math import isfinite
from typing import TYPE_CHECKING, Any

import sympy

from malmoi.assist.skills.builtin.math.answers import Answer
from malmoi.assist.skills.builtin.math.parsing import Relation, read
from malmoi.assist.skills.builtin.math.reading import plain_spelling
from malmoi.assist.skills.builtin.math.refused import Refused

if TYPE_CHECKING:
    from pint import UnitRegistry

_FIGURES = r"\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?(?:\s*/\s*\d+)?"
_NUMBER = rf"[-+]?(?:{_FIGURES}|[영일이삼사오육칠팔구십백천만억]+)(?:\s*\d*[십백천만억조]+)*"
_PART = re.compile(rf"\s*({_NUMBER})\s*([^\d\s+\-][^\d+]*?(?:\^?[23²³])?)\s*(?=\s[-+]?\d|\d|$)")
_NATIVE_NUMBERS = ("한", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉", "열")
_NATIVE = re.compile(rf"(?:^|(?<=\s))({'|'.join(_NATIVE_NUMBERS)})\s+(?=\S)")
_LEADING_WORDS = re.compile(r"^[가-힣]+\s+(?=\d)")  # what it is a quantity of: "금 3돈"
_POWERS = {"²": "2", "³": "3"}
_DEGREES = {"degree_Celsius": "°C", "degree_Fahrenheit": "°F"}
_SIMPLE = re.compile(r"[a-z][a-z_]{0,38}[a-z]")


def convert(quantity: str, to: str) -> Answer:
    """A quantity in another unit.

    Args:
        quantity: a number and its unit, such as "30평", or several, "5피트 11인치".
        to: the unit that is wanted.
    """
    registry = _registry()
    target = _unit(to, registry, "to")
    total: Any = None
    parts = _parts(quantity)
    for number, name in parts:
        unit = _unit(name, registry, "quantity")
        if unit.dimensionality != target.dimensionality:
            raise Refused("units_differ", f"{name.strip()} → {to.strip()}", field="to")
        one = registry.Quantity(number, unit)
        # Degrees Celsius begin at another zero: they are converted, and never added.
        total = (
            one.to(target)
            if len(parts) == 1
            else (one.to(target) if total is None else total + one.to(target))
        )
    if not isfinite(float(total.magnitude)):
        raise Refused("too_large", "300", field="quantity")
    shown = _figures(float(total.magnitude))
    name = _DEGREES.get(str(target), to.strip())
    gap = "" if "가" <= name[:1] <= "힣" else " "
    values = {"quantity": quantity.strip(), "unit": name, "value": shown, "gap": gap}
    data = {"value": shown, "unit": name, "unit_name": str(target)}
    latex = rf"\text{{{_plain(quantity)}}} = {shown.replace(',', '{,}')}\ \text{{{_plain(name)}}}"
    steps = []
    if len(parts) == 1 and "degree_" not in str(target):
        ratio = _figures(
            float(registry.Quantity(1, _unit(parts[0][1], registry, "quantity")).to(target).magnitude)
        )
        steps = [("ratio", {"from": parts[0][1].strip(), "to": to.strip(), "ratio": ratio, "latex": ""})]
    return Answer("converted", values, data, latex, steps)


def _parts(quantity: str) -> list[tuple[float, str]]:
    text = quantity.strip()
    for name in ("섭씨", "화씨", "시속", "초속"):  # these stand before their number
        if text.startswith(name) and (found := re.fullmatch(rf"{name}\s*({_NUMBER})\s*(\D*)", text)):
            unit = found[2].strip()
            text = f"{found[1]} {name}" if name in ("섭씨", "화씨") else f"{found[1]} {_speed(unit, name)}"
    text = _NATIVE.sub(lambda found: f" {_NATIVE_NUMBERS.index(found[1]) + 1} ", text)
    text = _LEADING_WORDS.sub("", text.strip())
    parts: list[tuple[float, str]] = []
    at = 0
    while at < len(text):
        found = _PART.match(text, at)
        if found is None:
            break
        parts.append((_number(found[1]), found[2].strip()))
        at = found.end()
    if not parts or text[at:].strip() or len(parts) > 4:
        raise Refused("no_quantity", quantity.strip()[:40], field="quantity")
    return parts


def _speed(unit: str, before: str) -> str:
    per = "h" if before == "시속" else "s"
    return f"{ {'킬로미터': 'km', '킬로': 'km', '미터': 'm', '마일': 'mi'}.get(unit, unit) }/{per}"


def _number(text: str) -> float:
    values = read(plain_spelling(text)).values
    if len(values) != 1 or isinstance(values[0], Relation) or not values[0].is_real:
        raise Refused("not_a_number", text.strip()[:40], field="quantity")
    return float(sympy.N(values[0], 17))


def _unit(name: str, registry: "UnitRegistry[Any]", field: str) -> Any:
    """The unit that is meant; compounds with / and · are read part by part."""
    table = _table()
    asked = re.sub(r"\s+", "", name).strip(".").lower()
    if asked in table["money"]["names"]:
        raise Refused("money", name.strip(), field=field)
    if len(asked) > 40 or not asked:
        raise Refused("no_unit", name.strip()[:40], field=field)
    if (
        asked.endswith("로")
        and asked not in table["names"]
        and asked[:-1].removesuffix("으") in table["names"]
    ):
        asked = asked[:-1].removesuffix("으")
    return _product(asked, registry, table["names"], name, field)


def _product(asked: str, registry: "UnitRegistry[Any]", names: dict[str, str], told: str, field: str) -> Any:
    if asked in names:
        return registry.Unit(names[asked])
    if "/" in asked:
        above, _, below = asked.rpartition("/")
        return _product(above, registry, names, told, field) / _product(below, registry, names, told, field)
    if re.search(r"[·*]", asked):
        left, right = re.split(r"[·*]", asked, maxsplit=1)
        return _product(left, registry, names, told, field) * _product(right, registry, names, told, field)
    if power := re.fullmatch(r"(.+?)\^?([23²³])", asked):
        exponent = int(_POWERS.get(power[2], power[2]))
        return _product(power[1], registry, names, told, field) ** exponent
    for plural in (asked, asked.removesuffix("s")):
        if plural in names:
            return registry.Unit(names[plural])
        if _SIMPLE.fullmatch(plural) and plural in registry:
            return registry.Unit(plural)
    raise Refused("no_unit", told.strip()[:40], field=field)


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("units.toml").read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def _registry() -> "UnitRegistry[Any]":
    from pint import UnitRegistry

    registry: UnitRegistry[Any] = UnitRegistry()
    for name, size in _table()["defined"].items():
        registry.define(f"{name} = {size}")
    return registry


def _figures(value: float) -> str:
    if value != 0 and not 1e-6 <= abs(value) < 1e15:
        return f"{value:.6g}"
    text = f"{value:.10g}" if abs(value) < 1e9 else f"{value:.15g}"
    if "e" in text:
        text = f"{value:.12f}".rstrip("0").rstrip(".")
    # What is left of binary fractions behind seven decimals says nothing.
    rounded = f"{round(value, 6):.6f}".rstrip("0").rstrip(".") if abs(value) >= 1e-3 else text
    return rounded if abs(float(rounded) - value) <= 1e-9 * max(abs(value), 1) or abs(value) >= 1 else text


def _plain(text: str) -> str:
    """Text that TeX takes for nothing else."""
    return re.sub(r"[\\{}$&#^_%~]", " ", text).strip()
