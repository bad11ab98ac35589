"""What a metric is: a figure that can be computed again for every resample of the items at once.

A metric looks at the items once and gives a `Statistic`: a function from how often each item counts to the
figure. Nearly all figures are functions of sums over items (a mean, an F1 from counts, a correlation from
moments), so that a thousand resamples of ten thousand items are one product of matrices.

R resamples, N items, K sums.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from malmoi.evals.results import ItemResult

Array: TypeAlias = NDArray[np.float64]
Items: TypeAlias = Sequence[ItemResult]
Statistic: TypeAlias = Callable[[Array], Array]
"""Weights (R, N), how often each item counts -> figures (R,); NaN: not defined for these weights."""


def _no_chance(_: Items) -> float | None:
    return None


def _no_note(_: Items) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure over items; called with items it gives the figure, or None where it is not defined.

    Attributes:
        about: what it measures, in one line.
        prepare: items -> statistic, or None where these items cannot be measured so.
        top: the best value there is; 1 or 100, as the field writes this metric.
        lower_is_better: whether a smaller value is a better one.
        chance: items -> what guessing gives, or None where there is no such figure.
        note: items -> what a reader must know about the figure; may be empty.
        cluster: name of the group that an item belongs to; items of one group are resampled together.
    """

    about: str
    prepare: Callable[[Items], Statistic | None]
    top: float | None = 1.0
    lower_is_better: bool = False
    chance: Callable[[Items], float | None] = _no_chance
    note: Callable[[Items], str] = _no_note
    cluster: Callable[[ItemResult], str] | None = None

    def __call__(self, items: Items) -> float | None:
        """The figure over these items."""
        statistic = self.prepare(items) if items else None
        if statistic is None:
            return None
        value = float(statistic(np.ones((1, len(items))))[0])
        return value if np.isfinite(value) else None


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
