"""Reckoning with numbers: expressions, whole numbers, and the statistics of a list. Runs in the sandbox."""

from collections.abc import Sequence
from typing import Any

import sympy

from malmoi.assist.skills.builtin.math.answers import Answer, decimal, latex, readable, tex_figures, told
from malmoi.assist.skills.builtin.math.parsing import Relation, read, read_one
from malmoi.assist.skills.builtin.math.reading import plain_spelling
from malmoi.assist.skills.builtin.math.refused import Refused

_MOST_DIVISORS = 200
_LARGEST_TO_FACTOR = 10**40


def calculate(expression: str, angles: str = "radians") -> Answer:
    """The value of an expression without unknowns.

    Args:
        expression: as a person wrote it.
        angles: "degrees" takes the plain numbers in trigonometric functions as degrees.
    """
    spelled = plain_spelling(expression)
    reading = read(spelled)
    if len(reading.values) == 1 and isinstance(reading.values[0], Relation):
        return _compared(reading.values[0], reading.names)
    value, reading = read_one(spelled)
    if reading.names:
        raise Refused("unknown_names", ", ".join(reading.names[:5]), field="expression")
    if angles == "degrees" and "°" not in spelled:
        value = value.replace(
            lambda part: isinstance(
                part, sympy.sin | sympy.cos | sympy.tan | sympy.cot | sympy.sec | sympy.csc
            ),
            lambda part: part.func(part.args[0] * sympy.pi / 180),
        )
    value = _simplified(value)
    if value.has(sympy.zoo, sympy.nan):
        raise Refused("zero_division")
    if value.has(sympy.AccumBounds):
        raise Refused("not_a_number", expression.strip()[:60], field="expression")
    shown = told(value, decimals=reading.decimals or "%" in spelled)
    data = {"result": shown["value"]}
    if shown["about"]:
        data["decimal"] = shown["about"]
    remarks = sorted(reading.remarks)
    formula = latex(value) if not (value.is_Rational and not shown["about"]) else tex_figures(shown["value"])
    same = shown["value"].replace(" ", "") == expression.replace(" ", "")
    values = {"expression": expression.strip(), "same": same, **shown}
    return Answer("value", values, data, formula, remarks=remarks)


def _simplified(value: Any) -> Any:
    if value.is_Rational:
        return value
    if value.count_ops() > 60:
        return value
    simple = sympy.simplify(value)
    return sympy.radsimp(simple) if simple.is_number else simple


def _compared(relation: Relation, names: Sequence[str]) -> Answer:
    if names:
        raise Refused("equation_given", readable(relation.to_sympy()), field="expression")
    holds = sympy.simplify(relation.to_sympy())
    outcome = "holds" if holds == sympy.true else "does_not_hold"
    text = f"{readable(relation.left)} {relation.sign} {readable(relation.right)}"
    return Answer(outcome, {"relation": text}, {"result": holds == sympy.true}, "")


def whole_numbers(task: str, numbers: Sequence[int]) -> Answer:
    """Primes, factors, divisors, greatest common divisor and least common multiple.

    Args:
        task: "is_prime", "factorize", "divisors", "gcd", "lcm" or "next_prime".
        numbers: one, or several for "gcd" and "lcm".
    """
    if not numbers or (task in ("gcd", "lcm") and len(numbers) < 2):
        raise Refused("too_few_numbers", field="numbers")
    if any(abs(number) > _LARGEST_TO_FACTOR for number in numbers):
        raise Refused("too_large", "40", field="numbers")
    listed = ", ".join(map(str, numbers))
    first = numbers[0]
    if task in ("gcd", "lcm"):
        value = sympy.gcd(list(numbers)) if task == "gcd" else sympy.lcm(list(numbers))
        steps = [("factorized", {"number": str(number), "latex": _product(number)}) for number in numbers[:8]]
        return Answer(
            task, {"numbers": listed, "value": str(value)}, {"result": int(value)}, str(value), steps
        )
    if task == "next_prime":
        prime = sympy.nextprime(first)
        return Answer(task, {"number": str(first), "value": str(prime)}, {"result": int(prime)}, str(prime))
    if task == "is_prime":
        is_prime = bool(sympy.isprime(first))
        steps = (
            []
            if is_prime or first < 2
            else [("factorized", {"number": str(first), "latex": _product(first)})]
        )
        say = "prime" if is_prime else "not_prime"
        return Answer(say, {"number": str(first)}, {"result": is_prime}, _product(first), steps)
    if first < 1:
        raise Refused("not_positive", str(first), field="numbers")
    if task == "factorize":
        factors = {str(prime): int(power) for prime, power in sympy.factorint(first).items()}
        product = " × ".join(f"{p}^{k}" if k > 1 else p for p, k in factors.items()) or "1"
        return Answer(task, {"number": str(first), "value": product}, {"factors": factors}, _product(first))
    divisors = sympy.divisors(first) if sympy.divisor_count(first) <= _MOST_DIVISORS else []
    count = int(sympy.divisor_count(first))
    value = ", ".join(map(str, divisors)) or "…"
    data = {"divisors": [int(one) for one in divisors], "count": count}
    return Answer("divisors", {"number": str(first), "value": value, "count": count}, data, value)


def _product(number: int) -> str:
    factors = sympy.factorint(number)
    product = r" \times ".join(f"{p}^{{{k}}}" if k > 1 else str(p) for p, k in factors.items())
    return f"{number} = {product}" if product else str(number)


def statistics(numbers: Sequence[float]) -> Answer:
    """Mean, median, mode, spread and quartiles of numbers."""
    if not numbers:
        raise Refused("too_few_numbers", field="numbers")
    values = sorted(sympy.Rational(str(number)) for number in numbers)
    count = len(values)
    total = sum(values, sympy.Integer(0))
    mean = total / count
    squares = sum(((value - mean) ** 2 for value in values), sympy.Integer(0))
    most = max(values.count(value) for value in set(values))
    modes = [] if most == 1 else sorted({value for value in values if values.count(value) == most})
    found = {
        "count": sympy.Integer(count),
        "sum": total,
        "mean": mean,
        "median": _quantile(values, sympy.Rational(1, 2)),
        "min": values[0],
        "max": values[-1],
        "range": values[-1] - values[0],
        "first_quartile": _quantile(values, sympy.Rational(1, 4)),
        "third_quartile": _quantile(values, sympy.Rational(3, 4)),
        "variance": squares / count,
        "standard_deviation": sympy.sqrt(squares / count),
    }
    if count > 1:
        found["sample_variance"] = squares / (count - 1)
        found["sample_standard_deviation"] = sympy.sqrt(squares / (count - 1))
    shown = {name: decimal(value) for name, value in found.items()}
    mode = ", ".join(decimal(value) for value in modes)
    formula = rf"\bar x = \frac{{{latex(total)}}}{{{count}}} = {shown['mean']}"
    return Answer(
        "statistics", {**shown, "mode": mode}, {**shown, "mode": [decimal(value) for value in modes]}, formula
    )


def _quantile(values: Sequence[Any], part: Any) -> Any:
    """Between the two nearest values in proportion, as spreadsheets do."""
    place = part * (len(values) - 1)
    below = int(sympy.floor(place))
    above = min(below + 1, len(values) - 1)
    return values[below] + (place - below) * (values[above] - values[below])
