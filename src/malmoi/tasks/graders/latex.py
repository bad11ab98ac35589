r"""Grades for answers of the MATH data set (Hendrycks et al. 2021), which are short LaTeX expressions.

Two expressions are equal when they have the same value, or are the same text after what does not change the
meaning is gone: spacing, `\left` and `\right`, `\dfrac` for `\frac`, `\frac12` for `\frac{1}{2}`, units in
`\text{}`, dollar, percent and degree signs, a leading `x=`.
"""

import re
from fractions import Fraction

from malmoi.tasks.base import Example
from malmoi.tasks.graders.base import GraderSettings, right_answers

_SAYS = re.compile(r"(?:final answer is|answer is|정답은|답은|정답\s*[:：]|답\s*[:：])\s*(.+)", re.IGNORECASE)
_DROPPED = re.compile(
    r"\\left(?![a-z])|\\right(?![a-z])|\\[!,;:> ]|\\q?quad|~|\\\$|\$|\\%|%"
    r"|\^\\circ|\^\{\\circ\}|\\displaystyle|\\big[lr]?(?![a-z])"
)
_UNIT = re.compile(r"(?<=[\d}\)])\s*\\(?:text|mathrm|mbox)\{[^{}]*\}(?:\^\{?\d\}?)?$")
_TEXT = re.compile(r"\\(?:text|mathrm|mathbf|textbf|mbox)\{([^{}]*)\}")
_NAMED = re.compile(r"^(?:[a-zA-Z]|[a-zA-Z]\([a-zA-Z]\))=(?!=)")
_SHORT_FRACTION = re.compile(r"\\frac(?:\{([^{}]+)\}|(\w))(?:\{([^{}]+)\}|(\w))")
_SHORT_ROOT = re.compile(r"\\sqrt(\w)")
_SLASH = re.compile(r"(?<![\w}])(-?\d+)/(\d+)(?![\w{])")
_THOUSANDS = re.compile(r"(?<=\d),(?:\\!)?(?=\d{3}(?!\d))")


class LatexGrader(GraderSettings):
    r"""1 when the expression in the answer's last `\boxed{}` equals the right one."""

    def grade(self, example: Example, answer: str) -> float:
        """1 for an equal expression."""
        given = final_expression(answer)
        if given is None:
            return 0.0
        golds = [final_expression(gold) or gold for gold in right_answers(example)]
        return float(any(is_equal(given, gold) for gold in golds))


def boxed(text: str) -> str | None:
    r"""What the last `\boxed{}` or `\fbox{}` holds, its own braces counted; None: there is none."""
    start = max(text.rfind("\\boxed"), text.rfind("\\fbox"))
    if start < 0:
        return None
    opening = text.find("{", start)
    if opening < 0 or text[start:opening].strip() not in ("\\boxed", "\\fbox"):
        rest = text[start:].removeprefix("\\boxed").removeprefix("\\fbox").split("$")[0].split()
        return rest[0] if rest else None
    depth = 0
    for place in range(opening, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return text[opening + 1 : place]
    return None


def final_expression(text: str) -> str | None:
    """The expression that an answer gives: boxed, after "the answer is", or all of a short text."""
    inside = boxed(text)
    if inside is not None:
        return inside
    said = _SAYS.findall(text)
    if said:
        return re.sub(r"[.\s]+$", "", str(said[-1]).split(". ")[0])
    text = text.strip()
    return text if text and "\n" not in text else None


def is_equal(one: str, other: str) -> bool:
    """Whether two expressions are the same by value or by normalised text."""
    left, right = normalise_latex(one), normalise_latex(other)
    if left == right:
        return True
    first, second = _value(left), _value(right)
    return first is not None and first == second


def normalise_latex(text: str) -> str:
    """The expression without what does not change its meaning."""
    text = text.strip().strip("$").strip().rstrip(".").replace("\n", "")
    text = _THOUSANDS.sub("", text).replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac")
    text = _UNIT.sub("", text)
    text = _TEXT.sub(r"\1", text)
    text = _DROPPED.sub("", text)
    text = re.sub(r"\s+", "", text)
    text = _NAMED.sub("", text)
    text = _SHORT_ROOT.sub(r"\\sqrt{\1}", text)
    text = _SHORT_FRACTION.sub(_long_fraction, text)
    text = _SLASH.sub(r"\\frac{\1}{\2}", text)
    text = re.sub(r"(?<!\d)\.(?=\d)", "0.", text)
    return text.replace("\\frac{-", "-\\frac{").removeprefix("+")


def _long_fraction(match: re.Match[str]) -> str:
    above, below = match.group(1) or match.group(2), match.group(3) or match.group(4)
    return f"\\frac{{{above}}}{{{below}}}"


def _value(text: str) -> Fraction | None:
    """The value of a number or a fraction of whole numbers."""
    match = re.fullmatch(r"(-?)\\frac\{(\d{1,30})\}\{(\d{1,30})\}", text)
    if match and int(match.group(3)):
        value = Fraction(int(match.group(2)), int(match.group(3)))
        return -value if match.group(1) else value
    if re.fullmatch(r"-?\d{1,60}(?:\.\d{1,60})?", text):
        return Fraction(text)
    return None
