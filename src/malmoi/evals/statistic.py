"""What a metric is: it looks at the items once and gives a `Statistic` (core/intervals.py).

So the figure can be computed again for every resample of the items at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from malmoi.core.intervals import Statistic
from malmoi.evals.results import ItemResult

Items: TypeAlias = Sequence[ItemResult]


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
