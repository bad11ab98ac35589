"""Derivatives, integrals, limits and series. Runs in the sandbox."""

from typing import Any

import sympy

from malmoi.assist.skills.builtin.math.answers import Answer, decimal, latex, readable, told
from malmoi.assist.skills.builtin.math.parsing import read_one
from malmoi.assist.skills.builtin.math.reading import plain_spelling
from malmoi.assist.skills.builtin.math.refused import Refused

_HIGHEST_ORDER = 10


def derivative(expression: str, variable: str = "", order: int = 1, at: str = "") -> Answer:
    """The derivative of an expression, and its value at a point."""
    value, symbol, remarks = _of(expression, variable)
    _bound_order(order)
    found = sympy.simplify(sympy.diff(value, symbol, order))
    name = rf"\frac{{d}}{{d{symbol}}}" if order == 1 else rf"\frac{{d^{{{order}}}}}{{d{symbol}^{{{order}}}}}"
    formula = rf"{name}\left({latex(value)}\right) = {latex(found)}"
    values: dict[str, Any] = {
        "expression": expression.strip(),
        "variable": str(symbol),
        "order": order,
        "value": readable(found),
        "at": "",
    }
    data = {"derivative": readable(found)}
    if at:
        point = _number(at, "at")
        there = told(sympy.simplify(found.subs(symbol, point)))
        values |= {"at": readable(point), "there": there["value"], "about": there["about"]}
        data |= {"at": readable(point), "value": there["value"]}
        formula += rf",\quad {latex(sympy.simplify(found.subs(symbol, point)))}"
    return Answer("derivative", values, data, formula, remarks=remarks)


def integral(expression: str, variable: str = "", lower: str = "", upper: str = "") -> Answer:
    """The antiderivative, or with both bounds the definite integral."""
    value, symbol, remarks = _of(expression, variable)
    if bool(lower.strip()) != bool(upper.strip()):
        raise Refused("one_bound", field="upper" if lower.strip() else "lower")
    if not lower.strip():
        found = sympy.integrate(value, symbol)
        if found.has(sympy.Integral):
            raise Refused("not_integrated", expression.strip()[:60], field="expression")
        found = sympy.simplify(found) if found.count_ops() < 60 else found
        formula = rf"\int {latex(value)}\,d{symbol} = {latex(found)} + C"
        values = {"expression": expression.strip(), "value": readable(found)}
        return Answer(
            "antiderivative", values, {"antiderivative": readable(found) + " + C"}, formula, remarks=remarks
        )
    low, high = _number(lower, "lower"), _number(upper, "upper")
    found = sympy.integrate(value, (symbol, low, high))
    if found.has(sympy.Integral):
        found = found.evalf(15)
        remarks = [*remarks, "numeric"]
    if found.has(sympy.nan, sympy.zoo):
        raise Refused("not_integrated", expression.strip()[:60], field="expression")
    found = sympy.simplify(found) if found.count_ops() < 60 else found
    shown = told(found)
    bounds = rf"\int_{{{latex(low)}}}^{{{latex(high)}}} {latex(value)}\,d{symbol}"
    steps = []
    if "numeric" not in remarks:
        whole = sympy.integrate(value, symbol)
        if not whole.has(sympy.Integral) and whole.count_ops() < 60:
            put_in = rf"\left[{latex(whole)}\right]_{{{latex(low)}}}^{{{latex(high)}}}"
            steps = [("put_in_bounds", {"latex": f"{put_in} = {latex(found)}"})]
    values = {"expression": expression.strip(), "lower": readable(low), "upper": readable(high), **shown}
    data = {"value": shown["value"]} | ({"decimal": shown["about"]} if shown["about"] else {})
    return Answer("definite", values, data, f"{bounds} = {latex(found)}", steps, remarks)


def limit(expression: str, point: str, variable: str = "", side: str = "both") -> Answer:
    """The limit of an expression at a point, from both sides or one ("left", "right")."""
    value, symbol, remarks = _of(expression, variable)
    where = _number(point, "point")
    direction = {"both": "+-", "left": "-", "right": "+"}[side]
    try:
        found = sympy.limit(value, symbol, where, dir="-" if where == sympy.oo else direction)
        if found == sympy.zoo:
            raise ValueError("its two sides differ")
    except ValueError:
        sides = {
            side: sympy.limit(value, symbol, where, dir=sign)
            for side, sign in (("left", "-"), ("right", "+"))
        }
        shown = {name: readable(one) for name, one in sides.items()}
        values = {
            "expression": expression.strip(),
            "variable": str(symbol),
            "point": readable(where),
            **shown,
        }
        return Answer("no_limit", values, {"limit": None, **shown}, r"\nexists", remarks=remarks)
    except NotImplementedError:
        raise Refused("not_solved", expression.strip()[:60], field="expression") from None
    if found.has(sympy.AccumBounds, sympy.nan, sympy.Limit):
        raise Refused("not_solved", expression.strip()[:60], field="expression")
    shown = told(found)
    arrow = {"both": "", "left": "^-", "right": "^+"}[side]
    formula = rf"\lim_{{{symbol} \to {latex(where)}{arrow}}} {latex(value)} = {latex(found)}"
    values = {"expression": expression.strip(), "variable": str(symbol), "point": readable(where), **shown}
    return Answer("limit", values, {"limit": shown["value"]}, formula, remarks=remarks)


def series(expression: str, variable: str = "", point: str = "0", order: int = 6) -> Answer:
    """The Taylor series about a point, without terms of `order` and above."""
    value, symbol, remarks = _of(expression, variable)
    _bound_order(order)
    where = _number(point or "0", "point")
    try:
        found = sympy.series(value, symbol, where, order)
    except (NotImplementedError, ValueError):
        raise Refused("not_solved", expression.strip()[:60], field="expression") from None
    text = readable(found.removeO()) + " + …"
    formula = f"{latex(value)} = {latex(found)}"
    values = {"expression": expression.strip(), "point": readable(where), "value": text}
    return Answer("series", values, {"series": text}, formula, remarks=remarks)


def _of(expression: str, variable: str) -> tuple[Any, Any, list[str]]:
    """The expression and the unknown that it is a function of."""
    text = expression.partition("=")[2] if _is_definition(expression) else expression
    value, reading = read_one(plain_spelling(text), [variable] if variable else [])
    if not variable:
        named = [
            name for name in reading.names if name not in ("C", "a", "b", "c", "n", "k")
        ] or reading.names
        variable = "x" if "x" in named or not named else named[0]
    # Analysis is of real numbers here: |x| has a derivative, and roots of squares become absolute values.
    symbol = sympy.Symbol(variable, real=True)
    return value.subs(sympy.Symbol(variable), symbol), symbol, sorted(reading.remarks)


def _is_definition(expression: str) -> bool:
    """Whether it names what it defines: "f(x) = x^2", "y = x^2"."""
    left, equals, _ = expression.partition("=")
    return bool(equals) and left.strip().replace("'", "") in (
        "y",
        "f(x)",
        "f(t)",
        "g(x)",
        "h(x)",
        "s(t)",
        "v(t)",
    )


def _number(text: str, field: str) -> Any:
    value, _ = read_one(plain_spelling(text))
    if not decimal(value) and not value.is_infinite and not value.free_symbols:
        raise Refused("not_a_number", text.strip()[:40], field=field)
    return value


def _bound_order(order: int) -> None:
    if not 1 <= order <= _HIGHEST_ORDER:
        raise Refused("order", str(_HIGHEST_ORDER), field="order")
