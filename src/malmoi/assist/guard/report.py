"""What the guard found in one request, for the answer's own fields and for people who look into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from malmoi.assist.guard.verdict import Action, Direction, Reason, Verdict

if TYPE_CHECKING:
    from malmoi.assist.guard.judge import Judge

Level: TypeAlias = Literal[-1, 0, 1, 2]
"""0: high risk, 1: possible, 2: low, -1: it could not be judged."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The risk of an answer in one group; the lower, the riskier."""

    group: str
    level: Level


@dataclass(slots=True)
class Report:
    """What was found in a request and in one of its answers.

    Attributes:
        reasons: what was found, by direction.
        action: the hardest action that was taken.
        message: what the guard said in the place of the answer, or of its rest; empty: nothing.
        filter: the risk of the answer by group, if it was asked for.
    """

    reasons: dict[Direction, list[Reason]] = field(default_factory=dict)
    action: Action = "pass"
    message: str = ""
    filter: tuple[Entry, ...] = ()

    @property
    def is_blocked(self) -> bool:
        """Whether the answer was cut off or withheld."""
        return self.action == "block"

    def copy(self) -> Report:
        """A report of its own for each of several answers to one request."""
        reasons: dict[Direction, list[Reason]] = {
            direction: list(found) for direction, found in self.reasons.items()
        }
        return Report(reasons, self.action, self.message, self.filter)


def entries(judge: Judge, verdicts: Sequence[Verdict]) -> tuple[Entry, ...]:
    """The risk by group of an answer whose sentences were judged."""
    found: list[Entry] = []
    for name, group in judge.policy.groups.items():
        score = max((verdict.scores.get(name, 0.0) for verdict in verdicts), default=0.0)
        level: Level = 0 if score >= group.high else 1 if score >= group.possible else 2
        can = judge.can_judge(name) and group.output != "pass"
        found.append(Entry(name, level if can else -1))
    return tuple(found)
