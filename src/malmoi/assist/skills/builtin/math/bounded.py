"""Arithmetic within bounds: what would be too large, or is divided by zero, is refused and not worked out."""

from math import log10
from typing import Any

import sympy

from malmoi.assist.skills.builtin.math.functions import ARGUMENTS, FUNCTIONS_OF
from malmoi.assist.skills.builtin.math.refused import Refused

MOST_DIGITS = 3000
LARGEST_FACTORIAL = 1000
LARGEST_SYMBOLIC_POWER = 200


def apply(name: str, arguments: list[Any], remarks: set[str]) -> Any:
    """A function of its arguments; `remarks` is told what a reader should know.

    Raises:
        Refused: it takes another number of arguments, or the result is too large.
    """
    counted = ARGUMENTS.get(name, (1, 1))
    if not counted[0] <= len(arguments) <= counted[1]:
        raise Refused("arguments", name)
    if name == "log":
        if len(arguments) == 2:
            return sympy.log(arguments[0]) / sympy.log(not_zero(arguments[1]))
        remarks.add("log_base_10")
        return sympy.log(arguments[0]) / sympy.log(10)
    if name in ("sqrt", "cbrt", "root"):
        degree = arguments[1] if len(arguments) == 2 else 3 if name == "cbrt" else 2
        return root(arguments[0], degree)
    if name == "exp":
        return raised(sympy.E, arguments[0])
    if name == "factorial":
        return factorial(arguments[0])
    if name in ("comb", "binomial", "perm"):
        whole, chosen = arguments
        _bound_factorial(whole)
        _bound_factorial(chosen)
        return sympy.binomial(whole, chosen) if name != "perm" else sympy.ff(whole, chosen)
    return FUNCTIONS_OF[name](*arguments)


def root(value: Any, degree: Any) -> Any:
    """A root; of a negative number an odd one, as at school."""
    not_zero(sympy.sympify(degree))
    if value.is_number and value.is_negative and sympy.sympify(degree).is_odd:
        return -((-value) ** (sympy.Integer(1) / degree))
    return value ** (sympy.Integer(1) / degree)


def divided(value: Any, by: Any) -> Any:
    """A quotient."""
    return value / not_zero(by)


def not_zero(value: Any) -> Any:
    """A value that something is divided by."""
    if value.is_zero:
        raise Refused("zero_division")
    return value


def raised(base: Any, exponent: Any) -> Any:
    """A power."""
    if base.is_zero and exponent.is_negative:
        raise Refused("zero_division")
    if exponent.is_number and exponent.is_finite and exponent.is_real:
        size = abs(float(exponent)) if abs(exponent) < 10**9 else 1e9
        if base.is_number:
            if base.is_Rational and base not in (0, 1, -1):
                if size * _digits(max(abs(base.p), base.q)) > MOST_DIGITS:
                    raise _too_large()
            elif base.is_finite and size * abs(log10(max(abs(complex(base)), 1e-300))) > MOST_DIGITS:
                raise _too_large()
            if base.is_negative and base.is_Rational and exponent.is_Rational and exponent.q in (3, 5, 7, 9):
                # As at school, the real root of a negative number: (-8)^(1/3) = -2.
                return (-1) ** exponent.p * (-base) ** exponent
        elif exponent.is_integer and size > LARGEST_SYMBOLIC_POWER:
            raise _too_large()
    return base**exponent


def factorial(value: Any) -> Any:
    """A factorial."""
    _bound_factorial(value)
    return sympy.factorial(value)


def _bound_factorial(value: Any) -> None:
    if value.is_number and (not value.is_integer or value.is_negative):
        raise Refused("factorial", str(value)[:30])
    if value.is_number and value > LARGEST_FACTORIAL:
        raise _too_large()


def _too_large() -> Refused:
    return Refused("too_large", str(MOST_DIGITS))


def _digits(number: Any) -> float:
    """How many digits a whole number has, about."""
    return log10(number) if number < 10**300 else float(len(str(number)))
