"""How sure a figure is: bootstrap over items, and Wilson's interval for rates.

A figure is a `Statistic`: a function from how often each item counts to the figure. Nearly all figures are
functions of sums over items (a mean, an F1 from counts, a correlation from moments), so that a thousand
resamples of ten thousand items are one product of matrices.

The bootstrap (Efron 1979) draws as many items as there are, with replacement, a thousand times, and takes the
2.5th and 97.5th percentile of the figure. Where items hang together (templates, passages, events of one user)
whole groups are drawn. The draws depend on the seed and the number of groups alone, so that a figure has one
interval.

R resamples, N items, G groups, K sums.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Statistic: TypeAlias = Callable[[Array], Array]
"""Weights (R, N), how often each item counts -> figures (R,); NaN: not defined for these weights."""

LEVEL = 0.95
BLOCK = 4_000_000
"""Weights that are held at once; 32 MB."""
Z = 1.959963984540054  # of the standard normal, 97.5 %


def additive(columns: Array, finish: Callable[[Array], Array]) -> Statistic:
    """A statistic of sums over items.

    Args:
        columns: (N, K) what each item adds to each sum.
        finish: sums (R, K) -> figures (R,).
    """

    def statistic(weights: Array) -> Array:
        return finish(weights @ columns)

    return statistic


def mean_of(values: Sequence[float] | Array) -> Statistic:
    """The weighted mean of one value an item."""
    numbers = np.asarray(values, dtype=np.float64)
    return additive(np.stack([numbers, np.ones_like(numbers)], axis=1), lambda s: ratio(s[:, 0], s[:, 1]))


def ratio(above: Array, below: Array) -> Array:
    """`above / below`, NaN where nothing is below."""
    shape = np.broadcast_shapes(above.shape, below.shape)
    divided: Array = np.divide(above, below, out=np.full(shape, np.nan), where=below != 0)
    return divided


def draw_weights(
    size: int, *, seed: int, resamples: int, groups: Sequence[str] | NDArray[np.int64] | None = None
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
        names, places = np.unique(np.asarray(groups), return_inverse=True)
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
    groups: Sequence[str] | NDArray[np.int64] | None = None,
) -> list[Array]:
    """Figures of every statistic over the same resamples, each (R,)."""
    found: list[list[Array]] = [[] for _ in statistics]
    for weights in draw_weights(size, seed=seed, resamples=resamples, groups=groups):
        for own, statistic in zip(found, statistics, strict=True):
            own.append(statistic(weights))
    return [np.concatenate(own) if own else np.zeros(0) for own in found]


def wilson(successes: float, size: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a rate (1927); unlike the bootstrap it knows that 5 of 5 is not certainty."""
    if size <= 0:
        return 0.0, 1.0
    rate, square = successes / size, Z * Z
    middle = (rate + square / (2 * size)) / (1 + square / size)
    half = Z / (1 + square / size) * math.sqrt(rate * (1 - rate) / size + square / (4 * size * size))
    # At the ends the formula is exact, and rounding must not leave [0, 1].
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    return low, 1.0 if successes == size else min(1.0, middle + half)
