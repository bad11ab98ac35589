"""Dependency trees, written as one `head:relation` a word, in order: `2:NP 6:NP_SBJ ... 0:VP`."""

import re
from typing import TypeAlias

from malmoi.tasks.base import Example
from malmoi.tasks.graders.base import GraderSettings

Arc: TypeAlias = tuple[int, str]
"""Number of the head from 1, 0 for the root; and the relation."""

_ARC = re.compile(r"(?<![\w.])(\d{1,4})\s?[:/]\s?([A-Z][A-Z_]*)")


def parse_arcs(answer: str, words: int) -> tuple[Arc | None, ...]:
    """The arc of each word; None where the answer has none, or a head that is no word of the sentence.

    Args:
        answer: what was written; further arcs than the sentence has words are left out.
        words: of the sentence.
    """
    found: list[Arc | None] = [
        (head, mark[2]) if (head := int(mark[1])) <= words else None for mark in _ARC.finditer(answer)
    ]
    return tuple((found + [None] * words)[:words])


class DependencyGrader(GraderSettings):
    """Share of words with the right head and the right relation (labelled attachment score)."""

    def grade(self, example: Example, answer: str) -> float:
        """The labelled attachment score of the item."""
        return self.grades(example, answer)["labelled"]

    def grades(self, example: Example, answer: str) -> dict[str, float]:
        """`labelled`, `unlabelled`, and `unread`: the share of words of which the answer says nothing."""
        gold = parse_arcs(example.answer, len(example.answer.split()))
        given = parse_arcs(answer, len(gold))
        pairs = [(right, arc) for right, arc in zip(gold, given, strict=True) if right is not None]
        if not pairs:
            return {"labelled": 0.0, "unlabelled": 0.0, "unread": 0.0}
        return {
            "labelled": sum(arc == right for right, arc in pairs) / len(pairs),
            "unlabelled": sum(arc is not None and arc[0] == right[0] for right, arc in pairs) / len(pairs),
            "unread": sum(arc is None for _, arc in pairs) / len(pairs),
        }
