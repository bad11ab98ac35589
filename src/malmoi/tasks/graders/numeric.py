"""Grades for answers that are a number.

Two readings, as the field reports GSM8K (Cobbe et al. 2021): `strict`, the number after `#### `; `flexible`,
the last number of the text. Both are compared by value.
"""

import re
from fractions import Fraction
from typing import Literal

from pydantic import Field

from malmoi.tasks.base import Example
from malmoi.tasks.graders.base import GraderSettings, right_answers
from malmoi.tasks.graders.numbers import last_number, parse_number

_STRICT = re.compile(r"####[ \t]*([^\n]*)")


class NumericGrader(GraderSettings):
    """1 when the number is the right one."""

    main: Literal["flexible", "strict"] = "flexible"
    """Which reading is the grade; both are among the further grades."""
    tolerance: float = Field(default=0.0, ge=0.0)
    """Largest relative difference that still counts as equal; 0: none."""

    def grade(self, example: Example, answer: str) -> float:
        """1 when the number of the main reading is right."""
        return self.grades(example, answer)[self.main]

    def grades(self, example: Example, answer: str) -> dict[str, float]:
        """`strict` and `flexible`."""
        golds = [number for gold in right_answers(example) if (number := gold_number(gold)) is not None]
        marked = _STRICT.search(answer)
        readings = {
            "strict": parse_number(marked.group(1)) if marked else None,
            "flexible": last_number(answer),
        }
        return {name: float(self._is_right(number, golds)) for name, number in readings.items()}

    def _is_right(self, number: Fraction | None, golds: list[Fraction]) -> bool:
        if number is None:
            return False
        return any(abs(number - gold) <= abs(gold) * Fraction(self.tolerance) for gold in golds)


def gold_number(gold: str) -> Fraction | None:
    """The number of a right answer: after its `####` where it has one, else its last."""
    marked = _STRICT.search(gold)
    return last_number(marked.group(1) if marked else gold)
