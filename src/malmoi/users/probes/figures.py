"""How good chances of classes are: AUROC, AP, accuracy and macro-F1, each for many weightings at once.

Every figure takes weights, how often each user counts, so that the bootstrap is one call for a thousand
resamples. R weightings, N users, K classes. With more than two classes AUROC and AP are means over the
classes, each against the rest; with two they are those of the second class.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from malmoi.core.intervals import Array, Statistic, ratio

OneClass = Callable[[Array, Array, NDArray[np.bool_]], Array]


def figures_of(chances: Array, labels: NDArray[np.int64]) -> Mapping[str, Statistic]:
    """All figures by name, as statistics of the weights.

    Args:
        chances: (N, K).
        labels: (N,).
    """
    count = chances.shape[1]
    asked = [1] if count == 2 else range(count)
    guess = chances.argmax(1)

    def over_classes(one: OneClass) -> Statistic:
        def mean(weights: Array) -> Array:
            return np.mean([one(weights, chances[:, k], labels == k) for k in asked], axis=0)

        return mean

    def accuracy(weights: Array) -> Array:
        return ratio(weights @ (guess == labels), weights.sum(1))

    def macro_f1(weights: Array) -> Array:
        found = []
        for k in range(count):
            both = weights @ ((guess == k) & (labels == k))
            either = weights @ (guess == k) + weights @ (labels == k)
            found.append(np.where(either > 0, 2 * both / np.maximum(either, 1e-12), 0.0))
        return np.mean(found, axis=0)

    return {
        "auroc": over_classes(auroc),
        "ap": over_classes(average_precision),
        "accuracy": accuracy,
        "macro_f1": macro_f1,
    }


def auroc(weights: Array, scores: Array, positive: NDArray[np.bool_]) -> Array:
    """Chance that a positive user's score is above a negative one's, equals counting half, (R,)."""
    above, below = _by_score(weights, scores, positive)
    negatives_under = np.cumsum(below, axis=1) - below
    won = (above * (negatives_under + 0.5 * below)).sum(1)
    return ratio(won, above.sum(1) * below.sum(1))


def average_precision(weights: Array, scores: Array, positive: NDArray[np.bool_]) -> Array:
    """Mean precision at each positive user, the best score first; equal scores come in together, (R,)."""
    above, below = _by_score(weights, -scores, positive)
    found = np.cumsum(above, axis=1)
    precision = np.nan_to_num(ratio(found, found + np.cumsum(below, axis=1)))
    return ratio((above * precision).sum(1), above.sum(1))


def _by_score(weights: Array, scores: Array, positive: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Weights of positive and of negative users at each distinct score, ascending, (R, distinct)."""
    order = np.argsort(scores, kind="stable")
    first = np.flatnonzero(np.diff(scores[order], prepend=-np.inf) > 0)
    first = first if len(first) else np.zeros(1, dtype=np.int64)
    sorted_weights = weights[:, order]
    yes = positive[order]
    above = np.add.reduceat(sorted_weights * yes, first, axis=1)
    below = np.add.reduceat(sorted_weights * ~yes, first, axis=1)
    return above, below
