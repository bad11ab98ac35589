"""Grades for keeping to a form: verifiable rules, given by the example's field `rules`.

"rules": [{"rule": "sentences", "at_most": 3}, {"rule": "ending", "style": "해요"}]
"""

from collections.abc import Sequence
from typing import Any

from malmoi.core.errors import InvalidInput
from malmoi.tasks.base import Example
from malmoi.tasks.graders.base import GraderSettings
from malmoi.tasks.graders.format_rules import keeps


class FormatGrader(GraderSettings):
    """1 when every rule is kept."""

    partial: bool = False
    """The grade is the share of rules that are kept, which suits rewards."""

    def grade(self, example: Example, answer: str) -> float:
        """1 when all rules are kept, or the share of them.

        Raises:
            InvalidInput: the example has a rule that there is not.
        """
        kept = _kept(example, answer)
        return sum(kept) / len(kept) if self.partial else float(all(kept))

    def grades(self, example: Example, answer: str) -> dict[str, float]:
        """`strict`: all rules; `rules`: the share of them; `loose`: all of them, in a kind reading.

        The kind reading tries the answer without bold marks, and without a first or last line of talk.
        """
        kept = _kept(example, answer)
        loose = any(all(_kept(example, version)) for version in _versions(answer))
        return {"strict": float(all(kept)), "rules": sum(kept) / len(kept), "loose": float(loose)}


def _kept(example: Example, answer: str) -> list[bool]:
    """Of each rule whether it is kept; an empty answer keeps none."""
    rules = example.fields.get("rules")
    if not isinstance(rules, Sequence) or isinstance(rules, str) or not rules:
        raise InvalidInput(f"the item {example.id} has no rules.", field="rules")
    if not answer.strip():
        return [False] * len(rules)
    return [_keeps(example, answer, rule) for rule in rules]


def _keeps(example: Example, answer: str, rule: Any) -> bool:
    if not isinstance(rule, dict):
        raise InvalidInput(f"the item {example.id}: a rule is not a table.", field="rules")
    try:
        return keeps(answer, rule)
    except ValueError as error:
        raise InvalidInput(f"the item {example.id}: {error}.", field="rules") from None


def _versions(answer: str) -> list[str]:
    lines = answer.strip().split("\n")
    cuts = [lines, lines[1:], lines[:-1], lines[1:-1]]
    texts = ["\n".join(cut).strip() for cut in cuts]
    return [version for text in texts if text for version in (text, text.replace("*", ""))]
