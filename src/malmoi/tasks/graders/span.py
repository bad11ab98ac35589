"""Overlap of a short answer with the right ones, as reading-comprehension tasks measure it.

KorQuAD 1.0 (Lim et al. 2019) counts characters, because Korean particles are glued to words; SQuAD
(Rajpurkar et al. 2016) counts words. Both take the best of several right answers.
"""

import re
from collections import Counter
from typing import Literal

from malmoi.tasks.base import Example
from malmoi.tasks.graders.base import GraderSettings, right_answers
from malmoi.tasks.graders.text import normalise

_ARTICLES = re.compile(r"\b(a|an|the)\b")


def f1(given: list[str], gold: list[str]) -> float:
    """Harmonic mean of precision and recall over two bags of characters or words."""
    if not given or not gold:
        return float(given == gold)
    common = sum((Counter(given) & Counter(gold)).values())
    return 2 * common / (len(given) + len(gold))


class SpanGrader(GraderSettings):
    """F1 with the nearest right answer."""

    unit: Literal["character", "word"] = "character"
    """What is counted."""

    def grade(self, example: Example, answer: str) -> float:
        """The best F1."""
        given = self._units(answer)
        return max((f1(given, self._units(gold)) for gold in right_answers(example)), default=0.0)

    def grades(self, example: Example, answer: str) -> dict[str, float]:
        """`exact_match` beside `f1`."""
        given = self._units(answer)
        exact = any(given == self._units(gold) for gold in right_answers(example))
        return {"exact_match": float(exact), "f1": self.grade(example, answer)}

    def _units(self, text: str) -> list[str]:
        plain = normalise(text, ("case", "punctuation"))
        if self.unit == "word":
            return _ARTICLES.sub(" ", plain).split()
        return list(plain.replace(" ", ""))
