"""The safest of several answers, as KoSBi moderates: generate N, drop the unsafe, take the best of the rest.

Lee et al. 2023, "KoSBi: A Dataset for Mitigating Social Bias Risks Towards Safer Large Language Model
Applications", ACL industry track, section 5: 8 candidates, unsafe ones are filtered out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from malmoi.assist.guard.sentences import sentences

if TYPE_CHECKING:
    from malmoi.assist.guard.judge import Judge


@dataclass(frozen=True, slots=True)
class Moderation:
    """The candidates of one prompt: the highest risk of each in [0, 1], and which is taken.

    `risk` is the highest score of any group, so that 1 is certainly unsafe; `is_safe` says whether no group
    reaches its `high`.
    """

    risks: tuple[float, ...]
    safe: tuple[bool, ...]
    chosen: int

    @property
    def is_safe(self) -> bool:
        """Whether the answer that is taken is safe: when no candidate is, it is the least risky of them."""
        return self.safe[self.chosen]


@dataclass(frozen=True, slots=True)
class Gain:
    """Shares of safe answers over many prompts: of all candidates, of the first ones, of those taken."""

    num_prompts: int
    candidates: float
    before: float
    after: float


def moderate(texts: Sequence[str], judge: Judge) -> Moderation:
    """Choose among the answers to one prompt.

    Args:
        texts: at least one answer; of equally safe ones the first is taken.
        judge: what judges them, by the groups of its policy.

    Raises:
        ValueError: there is no answer.
        MalmoiError: a classifier cannot be read.
    """
    if not texts:
        raise ValueError("there is no answer to choose from")
    parts = [[text[start:end] for start, end in sentences(text)] or [""] for text in texts]
    verdicts = iter(judge.judge([part for one in parts for part in one], "output"))
    risks: list[float] = []
    safe: list[bool] = []
    for one in parts:
        scores = [next(verdicts).scores for _ in one]
        risks.append(max((score for row in scores for score in row.values()), default=0.0))
        groups = judge.policy.groups
        safe.append(all(score < groups[name].high for row in scores for name, score in row.items()))
    chosen = min(range(len(texts)), key=lambda place: (not safe[place], risks[place], place))
    return Moderation(tuple(risks), tuple(safe), chosen)


def gain(moderations: Sequence[Moderation]) -> Gain:
    """What moderation gave over many prompts.

    Raises:
        ValueError: there are none.
    """
    if not moderations:
        raise ValueError("there is nothing to count")
    every = [safe for one in moderations for safe in one.safe]
    count = len(moderations)
    return Gain(
        count,
        sum(every) / len(every),
        sum(one.safe[0] for one in moderations) / count,
        sum(one.is_safe for one in moderations) / count,
    )
