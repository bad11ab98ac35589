"""What was worked out, as plain values: numbers and formulas for the model, keys of sentences for people."""

import re
from dataclasses import asdict, dataclass, field
from typing import Any

_SIGNIFICANT = 10
_LONGEST_EXACT = 60
_NOISE = 1e-15  # an imaginary part that small beside the real one is what rounding has left


@dataclass(slots=True)
class Answer:
    """The outcome of an operation.

    Attributes:
        say: the sentence of `texts.toml` that says it.
        values: what is put into the sentence.
        data: for the model.
        latex: the result as a formula.
        steps: (key of a sentence, what is put into it); the formula of a step is its value `latex`.
        remarks: keys of sentences to be said as well.
    """

    say: str
    values: dict[str, Any]
    data: dict[str, Any]
    latex: str
    steps: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def readable(value: Any) -> str:
    """An expression on one line, as people write it: 2x^2 + √3."""
    text = str(value).replace("**", "^")
    text = re.sub(r"\bsqrt\((\w+)\)", r"√\1", text).replace("sqrt(", "√(")
    for name, shown in (
        ("pi", "π"),
        ("oo", "∞"),
        ("E", "e"),
        ("I", "i"),
        ("log", "ln"),
        ("exp", "e^"),
        ("Abs", "abs"),
    ):
        text = re.sub(rf"\b{name}\b", shown, text)
    text = re.sub(r"\be\^\((\w+)\)", r"e^\1", text)
    text = re.sub(r"(\d)\*(?=[A-Za-z(√π가-힣])", r"\1", text)
    return re.sub(r"(?<=[A-Za-z)π])\*(?=[A-Za-z(√π])", "·", text)


def latex(value: Any) -> str:
    """An expression as a formula; the natural logarithm is ln."""
    import sympy

    return str(sympy.latex(value, ln_notation=True))


def tex_figures(text: str) -> str:
    """Figures of `told` as a formula."""
    return re.sub(r" × 10\^(-?\d+)", r" \\times 10^{\1}", text)


def decimal(value: Any) -> str:
    """The value in figures, to ten significant digits; empty where there is none."""
    try:
        number = value.evalf(25)
    except (TypeError, ValueError, ArithmeticError, AttributeError):
        return ""
    if number.is_Float or number.is_Rational:
        return _figures(number)
    real, imaginary = number.as_real_imag()
    if not (real.is_Float or real.is_Rational) or not (imaginary.is_Float or imaginary.is_Rational):
        return ""
    if abs(imaginary) < abs(real) * _NOISE:
        return _figures(real)
    sign = "-" if imaginary < 0 else "+"
    return f"{_figures(real)} {sign} {_figures(abs(imaginary))}i"


def _figures(number: Any) -> str:
    if number.is_Integer and abs(number) < 10**15:
        return str(number)
    ordinary = number == 0 or 1e-300 < abs(number) < 1e300
    text = format(float(number), f".{_SIGNIFICANT}g") if ordinary else str(number.evalf(_SIGNIFICANT))
    if "e" not in text:
        return text
    mantissa, _, exponent = text.partition("e")
    return f"{mantissa} × 10^{int(exponent)}"


def exact(value: Any) -> str:
    """The value as it is, or empty where it would be too long to read."""
    text = readable(value)
    return text if len(text) <= _LONGEST_EXACT else ""


def is_plain(value: Any) -> bool:
    """Whether the figures are the value itself: whole numbers and short decimals."""
    if value.is_Integer:
        return True
    if not value.is_Rational:
        return False
    rest = value.q
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return bool(rest == 1 and value.q <= 10**8)


def _numeric_kinds() -> tuple[Any, ...]:
    """Numbers that say nothing but their figures."""
    import sympy

    return (sympy.Float, sympy.CRootOf, sympy.LambertW)


def told(value: Any, *, decimals: bool = False) -> dict[str, str]:
    """The value for a sentence: `value`, and `about` where the figures are only near it."""
    figures = decimal(value)
    if value.has(*_numeric_kinds()):
        return {"value": figures or readable(value), "about": ""}
    if value.is_Integer:
        whole = str(value)
        return {"value": whole if len(whole) <= _LONGEST_EXACT else figures, "about": ""}
    if decimals and is_plain(value):
        return {"value": figures, "about": ""}
    shown = exact(value)
    if not shown:
        return {"value": figures, "about": ""}
    return {"value": shown, "about": figures if figures and figures != shown else ""}
