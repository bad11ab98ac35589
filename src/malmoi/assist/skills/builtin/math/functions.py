"""The functions that expressions may name, and how many numbers each takes."""

from collections.abc import Callable
from typing import Any

import sympy

ARGUMENTS = {
    "log": (1, 2),
    "root": (1, 2),
    "round": (1, 2),
    "comb": (2, 2),
    "perm": (2, 2),
    "binomial": (2, 2),
    "gcd": (2, 20),
    "lcm": (2, 20),
    "min": (1, 50),
    "max": (1, 50),
}


def _rounded(value: Any, places: Any = 0) -> Any:
    """To the nearest, halves away from zero, as people round."""
    scale = sympy.Integer(10) ** places
    return sympy.sign(value) * sympy.floor(abs(value) * scale + sympy.Rational(1, 2)) / scale


FUNCTIONS_OF: dict[str, Callable[..., Any]] = {
    "sin": sympy.sin,
    "cos": sympy.cos,
    "tan": sympy.tan,
    "cot": sympy.cot,
    "sec": sympy.sec,
    "csc": sympy.csc,
    "asin": sympy.asin,
    "acos": sympy.acos,
    "atan": sympy.atan,
    "arcsin": sympy.asin,
    "arccos": sympy.acos,
    "arctan": sympy.atan,
    "sinh": sympy.sinh,
    "cosh": sympy.cosh,
    "tanh": sympy.tanh,
    "ln": sympy.log,
    "log10": lambda value: sympy.log(value) / sympy.log(10),
    "log2": lambda value: sympy.log(value) / sympy.log(2),
    "abs": sympy.Abs,
    "floor": sympy.floor,
    "ceil": sympy.ceiling,
    "ceiling": sympy.ceiling,
    "round": _rounded,
    "gcd": sympy.gcd,
    "lcm": sympy.lcm,
    "min": sympy.Min,
    "max": sympy.Max,
    "sgn": sympy.sign,
    "sign": sympy.sign,
}
