"""How sure a figure is: bootstrap over items, and Wilson's interval for rates.

The bootstrap (Efron 1979) draws as many items as there are, with replacement, a thousand times, and takes the
2.5th and 97.5th percentile of the figure. Where items hang together (templates, passages) whole groups are
drawn. The draws depend on the seed and the number of groups alone, so that a figure has one interval.

R resamples, N items, G groups.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from malmoi.evals.statistic import Array, Statistic

LEVEL = 0.95
BLOCK = 4_000_000
"""Weights that are held at once; 32 MB."""
Z = 1.959963984540054  # of the standard normal, 97.5 %


def draw_weights(
    size: int, *, seed: int, resamples: int, groups: Sequence[str] | None = None
) -> Iterator[Array]:
    """How often each of `size` items is drawn, (R, N), in blocks of some resamples each.

    Args:
        size: number of items N.
        seed: of the draws.
        resamples: how many are drawn in all.
        groups: of each item the group that is drawn with it; None: each item by itself.
    """
    places: np.ndarray | None = None
    count = size
    if groups is not None:
        names, places = np.unique(np.array(groups), return_inverse=True)
        places, count = places.reshape(-1), len(names)
    random = np.random.default_rng([seed, count])
    rows = max(1, min(resamples, BLOCK // max(size, 1)))
    for start in range(0, resamples, rows):
        weights = np.empty((min(rows, resamples - start), size))
        for row in weights:
            drawn = np.bincount(random.integers(0, count, count, dtype=np.int32), minlength=count)
            row[:] = drawn if places is None else drawn[places]
        yield weights


def percentiles(values: Array) -> tuple[float, float] | None:
    """The middle 95 % of the figures that are defined; None where fewer than half are."""
    there = values[np.isfinite(values)]
    if len(there) < max(len(values) / 2, 2):
        return None
    low, high = np.percentile(there, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return float(low), float(high)


def bootstrap(
    statistics: Sequence[Statistic],
    size: int,
    *,
    seed: int = 0,
    resamples: int = 1000,
    groups: Sequence[str] | None = None,
) -> list[Array]:
    """Figures of every statistic over the same resamples, each (R,)."""
    found: list[list[Array]] = [[] for _ in statistics]
    for weights in draw_weights(size, seed=seed, resamples=resamples, groups=groups):
        for own, statistic in zip(found, statistics, strict=True):
            own.append(statistic(weights))
    return [np.concatenate(own) if own else np.zeros(0) for own in found]


def wilson(successes: float, size: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a rate (1927); unlike the bootstrap it knows that 5 of 5 is not certainty."""
    if size <= 0:
        return 0.0, 1.0
    rate = successes / size
    middle = rate + Z * Z / (2 * size)
    half = Z * math.sqrt(rate * (1 - rate) / size + Z * Z / (4 * size * size))
    below = 1 + Z * Z / size
    return max(0.0, (middle - half) / below), min(1.0, (middle + half) / below)
