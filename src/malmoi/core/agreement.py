"""How far people who judge the same things agree.

Ratings are one array (R annotators, U units); NaN: this annotator has not judged that unit.

- Krippendorff's alpha (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability"): any number of
  annotators, missing ratings, nominal, ordinal or interval values. 1: perfect, 0: as by chance.
- Cohen's kappa of two annotators, with weights for values that lie apart (Cohen 1968).
- Bias: by how much an annotator's ratings lie above or below those of the others on the same units.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ratings: TypeAlias = NDArray[np.float64]
Level: TypeAlias = Literal["nominal", "ordinal", "interval"]
Weights: TypeAlias = Literal["none", "linear", "quadratic"]


@dataclass(frozen=True, slots=True)
class Agreement:
    """A figure with its 95 % bootstrap interval over units.

    Attributes:
        value: the figure; None: it is not defined (nothing was judged twice, or all ratings are equal).
        low: lower end of the interval; None where too few resamples are defined.
        high: upper end.
        units: units that at least two annotators have judged.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    units: int = 0


@dataclass(frozen=True, slots=True)
class Bias:
    """How an annotator's ratings differ from those of the others.

    Attributes:
        mean: mean difference to the mean of the others; above 0: rates higher. None: no unit is shared.
        low: lower end of the 95 % bootstrap interval.
        high: upper end.
        units: units shared with at least one other.
    """

    mean: float | None
    low: float | None = None
    high: float | None = None
    units: int = 0


def krippendorff_alpha(ratings: Ratings, level: Level = "ordinal") -> float | None:
    """Krippendorff's alpha, `1 - D_o / D_e`.

    Args:
        ratings: (R, U), NaN where a rating is missing.
        level: what a difference between two values means.

    Returns:
        None where it is not defined: no unit has two ratings, or all paired ratings are equal.
    """
    values, counts = _value_counts(ratings)
    return _alpha(_coincidences(counts).sum(axis=0), values, level)


def alpha_interval(
    ratings: Ratings, level: Level = "ordinal", *, seed: int = 0, resamples: int = 1000
) -> Agreement:
    """Krippendorff's alpha with a percentile interval; whole units are drawn with replacement."""
    values, counts = _value_counts(ratings)
    tables = _coincidences(counts)
    value = _alpha(tables.sum(axis=0), values, level)
    units = len(tables)
    if value is None or units < 2:
        return Agreement(value, units=units)
    flat = tables.reshape(units, -1)
    found = []
    for times in _draws(units, seed, resamples):
        drawn = _alpha((times @ flat).reshape(tables.shape[1:]), values, level)
        if drawn is not None:
            found.append(drawn)
    low, high = _percentiles(found, resamples)
    return Agreement(value, low, high, units)


def weighted_kappa(first: Ratings, second: Ratings, weights: Weights = "quadratic") -> float | None:
    """Cohen's kappa of two annotators over the units that both have judged.

    Args:
        first: (U,) ratings, NaN where one is missing.
        second: (U,) those of the other.
        weights: how a difference counts: not at all, by its size, or by the square of its size.

    Returns:
        None where it is not defined: nothing is shared, or both always gave one and the same value.
    """
    shared = ~(np.isnan(first) | np.isnan(second))
    a, b = first[shared], second[shared]
    if not len(a):
        return None
    expected = _distance(a[:, None] - b[None, :], weights).mean()
    return None if expected == 0 else float(1 - _distance(a - b, weights).mean() / expected)


def annotator_bias(ratings: Ratings, *, seed: int = 0, resamples: int = 1000) -> tuple[Bias, ...]:
    """Each annotator's mean difference to the mean of all others on the units they share."""
    given = ~np.isnan(ratings)
    filled = np.where(given, ratings, 0.0)
    others = given.sum(axis=0) - given  # (R, U): how many others judged the unit
    sums = filled.sum(axis=0) - filled
    found = []
    for row in range(len(ratings)):
        shared = given[row] & (others[row] > 0)
        differences = filled[row, shared] - sums[row, shared] / others[row, shared]
        units = len(differences)
        if not units:
            found.append(Bias(None))
            continue
        low = high = None
        if units > 1:
            means = [float(times @ differences) / units for times in _draws(units, seed, resamples)]
            low, high = _percentiles(means, resamples)
        found.append(Bias(float(differences.mean()), low, high, units))
    return tuple(found)


def _value_counts(ratings: Ratings) -> tuple[Ratings, Ratings]:
    """The values (V,) in order, and how often each unit got each: (U, V), units with a pair only."""
    values = np.unique(ratings[~np.isnan(ratings)])
    counts = (ratings[:, :, None] == values).sum(axis=0).astype(np.float64)
    return values, counts[counts.sum(axis=1) >= 2]


def _coincidences(counts: Ratings) -> Ratings:
    """Each unit's coincidence table (U, V, V): its ordered pairs, divided by its ratings less one."""
    pairs = counts[:, :, None] * counts[:, None, :]
    diagonal = np.arange(counts.shape[1])
    pairs[:, diagonal, diagonal] -= counts
    divided: Ratings = pairs / (counts.sum(axis=1) - 1)[:, None, None]
    return divided


def _alpha(table: Ratings, values: Ratings, level: Level) -> float | None:
    totals = table.sum(axis=1)
    total = totals.sum()
    if total < 2:
        return None
    squares = _squared_differences(values, totals, level)
    expected = float(totals @ squares @ totals) / (total - 1)
    return None if expected == 0 else 1 - float((table * squares).sum()) / expected


def _squared_differences(values: Ratings, totals: Ratings, level: Level) -> Ratings:
    """The squared difference function of each pair of values (V, V); of ordinal ones it depends on totals."""
    if level == "nominal":
        return 1.0 - np.eye(len(values))
    if level == "interval":
        return np.asarray((values[:, None] - values[None, :]) ** 2)
    # Ordinal: all ratings between two values, those at the ends by half.
    middles = np.cumsum(totals) - totals / 2
    return np.asarray((middles[:, None] - middles[None, :]) ** 2)


def _distance(difference: Ratings, weights: Weights) -> Ratings:
    sizes: Ratings = np.abs(difference)
    if weights == "none":
        return np.sign(sizes)
    return sizes if weights == "linear" else sizes**2


def _draws(units: int, seed: int, resamples: int) -> NDArray[np.int64]:
    """How often each unit is drawn, a row a resample: (resamples, U)."""
    random = np.random.default_rng(seed)
    return random.multinomial(units, np.full(units, 1 / units), size=resamples)


def _percentiles(found: list[float], resamples: int) -> tuple[float | None, float | None]:
    if len(found) < resamples / 2:  # mostly undefined: an interval would pretend to know
        return None, None
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)
