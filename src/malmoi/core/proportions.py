"""Shares with intervals: how often something happened among attempts, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from malmoi.core.intervals import wilson


@dataclass(frozen=True, slots=True)
class Proportion:
    """A share of attempts with its 95 % interval.

    Attributes:
        count: how often it happened.
        total: attempts.
        low: lower end of the interval, in [0, 1].
        high: upper end.
    """

    count: int
    total: int
    low: float
    high: float

    @property
    def value(self) -> float | None:
        """The share; None: there were no attempts."""
        return self.count / self.total if self.total else None


def wilson_proportion(count: int, total: int) -> Proportion:
    """A share of independent attempts with Wilson's score interval (Wilson 1927), sound for small totals.

    Raises:
        ValueError: `count` is not between 0 and `total`.
    """
    if not 0 <= count <= total:
        raise ValueError(f"{count} of {total} is no share")
    return Proportion(count, total, *wilson(count, total))


def clustered_proportion(
    clusters: Sequence[tuple[int, int]], *, seed: int = 0, resamples: int = 1000
) -> Proportion:
    """A share of attempts that come in groups (the turns of one dialogue), which are not independent.

    The interval is a percentile bootstrap over whole groups. With fewer than two groups, or where every
    attempt ended alike and the bootstrap would be sure of itself, it is Wilson's over the attempts.

    Args:
        clusters: (count, total) of each group.
        seed: of the draws.
        resamples: draws.
    """
    kept = [(count, total) for count, total in clusters if total]
    whole = wilson_proportion(sum(c for c, _ in kept), sum(t for _, t in kept))
    if len(kept) < 2 or whole.count in (0, whole.total):
        return whole
    table = np.asarray(kept, dtype=np.float64)
    random = np.random.default_rng(seed)
    times = random.multinomial(len(kept), np.full(len(kept), 1 / len(kept)), size=resamples)
    drawn = times @ table
    low, high = np.percentile(drawn[:, 0] / drawn[:, 1], [2.5, 97.5])
    return Proportion(whole.count, whole.total, float(low), float(high))
