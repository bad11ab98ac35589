"""Distances between points, lines and planes, and measures of shapes. Runs in the sandbox."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

import sympy

from malmoi.assist.skills.builtin.math.answers import Answer, latex, told
from malmoi.assist.skills.builtin.math.parsing import Relation, read
from malmoi.assist.skills.builtin.math.reading import plain_spelling
from malmoi.assist.skills.builtin.math.refused import Refused

_ORIGIN = ("원점", "origin", "o", "the origin")
_AXES = {
    "x축": "y=0",
    "y축": "x=0",
    "x-axis": "y=0",
    "y-axis": "x=0",
    "xy평면": "z=0",
    "yz평면": "x=0",
    "xz평면": "y=0",
}
_NAMES = ("x", "y", "z")


@dataclass(frozen=True, slots=True)
class _Point:
    at: tuple[Any, ...]

    @property
    def latex(self) -> str:
        return "(" + ", ".join(latex(value) for value in self.at) + ")"


@dataclass(frozen=True, slots=True)
class _Flat:
    """A line of the plane or a plane of space: normal . (x, y, ...) + constant = 0."""

    normal: tuple[Any, ...]
    constant: Any

    @property
    def length(self) -> Any:
        return sympy.sqrt(sum(part**2 for part in self.normal))

    def in_space(self) -> "_Flat":
        return self if len(self.normal) == 3 else _Flat((*self.normal, sympy.Integer(0)), self.constant)


def distance(first: str, second: str) -> Answer:
    """The distance between two things, each a point "(1, 2)", a line "3x+4y=5" or a plane "x+2y+2z=3"."""
    one, other = _thing(first, "first"), _thing(second, "second")
    if isinstance(one, _Flat) and isinstance(other, _Point):
        one, other = other, one
    names = {"first": first.strip(), "second": second.strip()}
    if isinstance(one, _Point) and isinstance(other, _Point):
        return _between_points(one, other, names)
    if isinstance(one, _Point) and isinstance(other, _Flat):
        return _point_to_flat(one, other, names)
    assert isinstance(one, _Flat)
    assert isinstance(other, _Flat)
    return _between_flats(one, other, names)


def _thing(text: str, field: str) -> _Point | _Flat:
    stripped = text.strip().rstrip(".")
    if stripped.lower() in _ORIGIN:
        return _Point((sympy.Integer(0), sympy.Integer(0)))
    spelled = _AXES.get(stripped.replace(" ", "").lower(), stripped)
    spelled = re.sub(r"^(?:점|직선|평면|point|line|plane)\s*", "", spelled, flags=re.IGNORECASE)
    if "=" in spelled:
        relation = read(plain_spelling(spelled)).values
        if len(relation) == 1 and isinstance(relation[0], Relation):
            return _flat(relation[0], text, field)
        raise Refused("not_a_figure", text.strip()[:40], field=field)
    inside = re.sub(r"^[A-Za-z]?\s*[(\[]|[)\]]$", "", spelled)
    values = read(plain_spelling(inside, thousands=False)).values
    if len(values) not in (2, 3) or any(
        isinstance(value, Relation) or value.free_symbols for value in values
    ):
        raise Refused("not_a_figure", text.strip()[:40], field=field)
    return _Point(tuple(values))


def _flat(relation: Relation, text: str, field: str) -> _Flat:
    expression = sympy.expand(relation.left - relation.right)
    symbols = {str(symbol) for symbol in expression.free_symbols}
    if not symbols or symbols - set(_NAMES):
        raise Refused("not_a_figure", text.strip()[:40], field=field)
    names = _NAMES if "z" in symbols else _NAMES[:2]
    try:
        polynomial = sympy.Poly(expression, *sympy.symbols(names))
    except sympy.PolynomialError:
        raise Refused("not_straight", text.strip()[:40], field=field) from None
    if polynomial.total_degree() != 1:
        raise Refused("not_straight", text.strip()[:40], field=field)
    normal = tuple(polynomial.coeff_monomial(sympy.Symbol(name)) for name in names)
    return _Flat(normal, polynomial.coeff_monomial(1))


def _between_points(one: _Point, other: _Point, names: dict[str, str]) -> Answer:
    if len(one.at) != len(other.at):
        if not any(one.at) or not any(other.at):  # the origin is one in the plane and in space
            one, other = (_Point((*p.at, sympy.Integer(0))) if len(p.at) == 2 else p for p in (one, other))
        else:
            raise Refused("dimensions", field="second")
    pairs = list(zip(one.at, other.at, strict=True))
    value = sympy.sqrt(sum((a - b) ** 2 for a, b in pairs))
    put_in = " + ".join(f"({latex(b)} - {_bracket(a)})^2" for a, b in pairs)
    general = " + ".join(f"({name}_2 - {name}_1)^2" for name in _NAMES[: len(pairs)])
    return _distance(names, value, rf"\sqrt{{{general}}}", rf"\sqrt{{{put_in}}}", "points")


def _point_to_flat(point: _Point, flat: _Flat, names: dict[str, str]) -> Answer:
    if len(point.at) == 3:
        flat = flat.in_space()
    if len(point.at) != len(flat.normal):
        if any(point.at):
            raise Refused("dimensions", field="second")
        point = _Point((*point.at, sympy.Integer(0)))
    total = sum(a * x for a, x in zip(flat.normal, point.at, strict=True)) + flat.constant
    value = sympy.simplify(abs(total) / flat.length)
    letters = "abc"[: len(flat.normal)]
    constant = "abcd"[len(letters)]
    general_top = " + ".join(f"{a}{x}_0" for a, x in zip(letters, _NAMES, strict=False)) + f" + {constant}"
    top = " + ".join(
        f"{_bracket(a)} \\cdot {_bracket(x)}" for a, x in zip(flat.normal, point.at, strict=True)
    )
    bottom = " + ".join(f"{_bracket(a)}^2" for a in flat.normal)
    general = rf"\frac{{|{general_top}|}}{{\sqrt{{{' + '.join(f'{a}^2' for a in letters)}}}}}"
    put_in = rf"\frac{{|{top} + {_bracket(flat.constant)}|}}{{\sqrt{{{bottom}}}}}"
    return _distance(names, value, general, put_in, "point_line" if len(flat.normal) == 2 else "point_plane")


def _between_flats(one: _Flat, other: _Flat, names: dict[str, str]) -> Answer:
    if len(one.normal) != len(other.normal):
        one, other = one.in_space(), other.in_space()
    if sympy.Matrix([one.normal, other.normal]).rank() > 1:
        kind = "lines" if len(one.normal) == 2 else "planes"
        return Answer(f"{kind}_meet", dict(names), {"distance": "0", "meet": True}, "d = 0")
    place = next(index for index, part in enumerate(one.normal) if part != 0)
    scale = one.normal[place] / other.normal[place]
    moved = other.constant * scale
    value = sympy.simplify(abs(one.constant - moved) / one.length)
    letters = "abc"[: len(one.normal)]
    constant = "abcd"[len(letters)]
    general = rf"\frac{{|{constant}_1 - {constant}_2|}}{{\sqrt{{{' + '.join(f'{a}^2' for a in letters)}}}}}"
    bottom = " + ".join(f"{_bracket(a)}^2" for a in one.normal)
    put_in = rf"\frac{{|{_bracket(one.constant)} - {_bracket(moved)}|}}{{\sqrt{{{bottom}}}}}"
    return _distance(names, value, general, put_in, "parallel")


def _distance(names: dict[str, str], value: Any, general: str, put_in: str, kind: str) -> Answer:
    shown = told(value)
    formula = f"d = {put_in} = {latex(value)}"
    data = {"distance": shown["value"]} | ({"decimal": shown["about"]} if shown["about"] else {})
    steps = [("formula", {"latex": f"d = {general}"}), ("put_in", {"latex": formula})]
    return Answer("distance", {**names, **shown, "kind": kind}, data, f"d = {latex(value)}", steps)


def _bracket(value: Any) -> str:
    text = latex(value)
    return f"({text})" if text.startswith("-") or "+" in text else text


def measure(shape: str, find: str, sizes: Mapping[str, str]) -> Answer:
    """A measure of a shape, by the formulas of `shapes.toml`.

    Args:
        shape: such as "circle".
        find: such as "area".
        sizes: the lengths that are known, by name.
    """
    formulas = tomllib.loads(files(__package__).joinpath("shapes.toml").read_text(encoding="utf-8"))
    known = formulas.get(shape, {})
    candidates = known.get(find)
    if candidates is None:
        raise Refused("no_formula", f"{shape}.{find}", field="find")
    for formula in candidates:
        wanted = formula["of"]
        if all(sizes.get(name, "").strip() for name in wanted):
            return _measured(shape, find, formula["is"], {name: sizes[name] for name in wanted})
    raise Refused("sizes_missing", " / ".join(", ".join(f["of"]) for f in candidates), field="sizes")


def _measured(shape: str, find: str, formula: str, sizes: Mapping[str, str]) -> Answer:
    letters = {name: _LETTERS.get(name, name) for name in sizes}
    general = read(formula, list(letters.values())).values[0]
    numbers: dict[Any, Any] = {}
    for name, text in sizes.items():
        values: Sequence[Any] = read(plain_spelling(text)).values
        if len(values) != 1 or isinstance(values[0], Relation) or values[0].free_symbols:
            raise Refused("not_a_number", text.strip()[:40], field=f"sizes.{name}")
        if not values[0].is_positive:
            raise Refused("not_positive", text.strip()[:40], field=f"sizes.{name}")
        numbers[sympy.Symbol(letters[name])] = values[0]
    value = sympy.simplify(general.subs(numbers))
    if value.is_real is False or value.has(sympy.nan, sympy.zoo):
        raise Refused("no_such_shape", ", ".join(sizes.values()), field="sizes")
    shown = told(value, decimals=any("." in text for text in sizes.values()))
    sign = _SIGNS[find]
    numbers_told = r",\ ".join(
        f"{letters[name]}={latex(numbers[sympy.Symbol(letters[name])])}" for name in sizes
    )
    steps = [
        ("formula", {"latex": f"{sign} = {latex(general)}"}),
        ("put_in", {"latex": rf"{numbers_told} \Rightarrow {sign} = {latex(value)}"}),
    ]
    data = {"result": shown["value"]} | ({"decimal": shown["about"]} if shown["about"] else {})
    return Answer("measure", {"shape": shape, "find": find, **shown}, data, f"{sign} = {latex(value)}", steps)


_LETTERS = {
    "radius": "r",
    "height": "h",
    "side": "a",
    "base": "b",
    "width": "w",
    "length": "l",
    "depth": "d",
    "angle": "t",
    "sides": "n",
    "top": "a",
    "diagonal": "p",
    "other_diagonal": "q",
    "slant": "s",
    "long_radius": "a",
    "short_radius": "b",
    "diameter": "D",
}
_SIGNS: dict[str, Literal["S", "l", "V", "d", "A"]] = {
    "area": "S",
    "perimeter": "l",
    "volume": "V",
    "surface": "A",
    "diagonal": "d",
    "hypotenuse": "d",
}
