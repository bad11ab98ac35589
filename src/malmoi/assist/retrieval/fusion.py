"""Several rankings as one. Pure functions.

Reciprocal rank fusion (Cormack, Clarke and Büttcher 2009): a thing scores the sum over the rankings of
`weight / (k + rank)`. It needs no scores that can be compared, only ranks.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

K = 60.0
"""The paper's constant: how little the very first ranks differ from the next."""

T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Fused(Generic[T]):
    """One thing of the rankings.

    Attributes:
        item: the thing.
        score: the sum of its parts; higher is better.
        ranks: its place in each ranking that has it, from 1.
    """

    item: T
    score: float
    ranks: Mapping[str, int]


def fuse(
    rankings: Mapping[str, Sequence[T]], *, weights: Mapping[str, float] | None = None, k: float = K
) -> list[Fused[T]]:
    """All things of all rankings, best first; of equal ones, the one that comes first in a ranking is first.

    Args:
        rankings: name -> things, best first, each once.
        weights: name -> how much its ranking counts; one that is not named counts 1.
        k: the constant of the formula.

    Raises:
        ValueError: a thing stands twice in a ranking, or `k` is negative.
    """
    if k < 0:
        raise ValueError("k is negative")
    scores: dict[T, float] = {}
    ranks: dict[T, dict[str, int]] = {}
    for name, ranking in rankings.items():
        weight = 1.0 if weights is None else weights.get(name, 1.0)
        for rank, item in enumerate(ranking, start=1):
            own = ranks.setdefault(item, {})
            if name in own:
                raise ValueError(f"{item!r} stands twice in the ranking {name!r}")
            own[name] = rank
            scores[item] = scores.get(item, 0.0) + weight / (k + rank)
    return sorted(
        (Fused(item, score, ranks[item]) for item, score in scores.items()),
        key=lambda fused: -fused.score,
    )
