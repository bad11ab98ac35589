"""What is thought of a text, and what is to be done about it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Action: TypeAlias = Literal["pass", "flag", "mask", "replace", "block"]
Direction: TypeAlias = Literal["input", "output"]

ACTIONS: tuple[Action, ...] = ("pass", "flag", "mask", "replace", "block")
"""From the mildest to the hardest."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that was found in a text.

    Attributes:
        group: the group of the policy, or a topic such as `self_harm`, or `pii`, or `injection`.
        score: how sure it is, from 0 to 1.
        source: who says so: `list:curse`, `rule:self_harm`, `classifier:hate`, `pii:phone`.
        start: where it begins in the text that was judged.
        end: where it ends.
        action: what the policy does about it.
    """

    group: str
    score: float
    source: str
    start: int
    end: int
    action: Action = "flag"

    @property
    def is_exact(self) -> bool:
        """Whether the place is known to the word, so that masking it is enough; classifiers judge a whole."""
        return not self.source.startswith("classifier:")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found in one text, the hardest action among it, and the score of each group."""

    reasons: tuple[Reason, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)

    @property
    def action(self) -> Action:
        """The hardest action of all reasons."""
        return hardest(reason.action for reason in self.reasons)

    def first(self, action: Action) -> Reason | None:
        """The surest reason for an action."""
        found = [reason for reason in self.reasons if reason.action == action]
        return max(found, key=lambda reason: reason.score, default=None)


def hardest(actions: Iterable[Action]) -> Action:
    """The hardest of several actions; `pass` of none."""
    return max(actions, key=ACTIONS.index, default="pass")
