"""Figures of a classifier on one question, with bootstrap intervals over groups of texts.

N texts, L labels, R resamples.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from malmoi.core.intervals import Statistic, additive, bootstrap, percentiles, ratio
from malmoi.engine.classify.calibration import calibration_error

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
CLASSES = 10
"""Ranges of probability in the table of reliability."""


def describe(
    chances: Array,
    gold: Rows,
    labels: Sequence[str],
    decision: Sequence[float],
    groups: Sequence[str],
    *,
    seed: int = 0,
    resamples: int = 1000,
) -> dict[str, Any]:
    """All figures of one question as JSON values.

    Args:
        chances: (N, L) probabilities.
        gold: (N,) the right label's column.
        labels: names of the columns.
        decision: (L,) the label with the greatest `probability * decision` is chosen.
        groups: (N,) texts of one group are drawn together.
        seed: of the resamples.
        resamples: how many.
    """
    chosen = (chances * np.asarray(decision)).argmax(axis=1)
    statistics: dict[str, Statistic] = {
        "macro_f1": _of_confusion(chosen, gold, len(labels), _macro_f1),
        "balanced_accuracy": _of_confusion(chosen, gold, len(labels), _balanced_accuracy),
        "accuracy": _of_confusion(chosen, gold, len(labels), _accuracy),
    }
    for column, label in enumerate(labels):
        statistics[f"auprc_{label}"] = average_precision(chances[:, column], gold == column)
    ones = np.ones((1, gold.size))
    drawn = bootstrap(list(statistics.values()), gold.size, seed=seed, resamples=resamples, groups=groups)
    figures: dict[str, Any] = {}
    for (name, statistic), values in zip(statistics.items(), drawn, strict=True):
        spread = percentiles(values)
        figures[name] = [_round(float(statistic(ones)[0])), *map(_round, spread or (float("nan"),) * 2)]
    counts = np.zeros((len(labels), len(labels)), dtype=int)
    np.add.at(counts, (gold, chosen), 1)
    flat = np.eye(len(labels))[gold]
    return figures | {
        "texts": int(gold.size),
        "labels": {label: int(count) for label, count in zip(labels, counts.sum(axis=1), strict=True)},
        "confusion": counts.tolist(),
        "calibration_error": _round(
            float(np.mean([calibration_error(chances[:, c], flat[:, c]) for c in range(len(labels))]))
        ),
        "brier": _round(float(((chances - flat) ** 2).sum(axis=1).mean())),
        "log_loss": _round(float(-np.log(np.maximum(chances[np.arange(gold.size), gold], 1e-9)).mean())),
    }


def average_precision(scores: Array, is_positive: NDArray[np.bool_]) -> Statistic:
    """Area under precision over recall, chance being the share of positives; equal scores share one place.

    Args:
        scores: (N,).
        is_positive: (N,).
    """
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    # The last place of each run of equal scores, where its precision is read.
    last = np.searchsorted(-ordered, -ordered, side="right") - 1
    positive = is_positive[order].astype(np.float64)

    def statistic(weights: Array) -> Array:
        drawn = weights[:, order]
        hits = drawn * positive
        total = hits.sum(axis=1)
        seen = np.cumsum(drawn, axis=1)[:, last]
        precision = np.divide(np.cumsum(hits, axis=1)[:, last], seen, out=np.zeros_like(seen), where=seen > 0)
        return ratio((hits * precision).sum(axis=1), total)

    return statistic


def macro_f1(chosen: Rows, gold: Rows, labels: int) -> float:
    """Mean F1 over labels; a label that neither occurs nor is chosen counts as zero."""
    return float(_of_confusion(chosen, gold, labels, _macro_f1)(np.ones((1, gold.size)))[0])


def difference(
    chosen: Rows, other: Rows, gold: Rows, labels: int, groups: Sequence[str], *, seed: int = 0
) -> list[float]:
    """Macro-F1 of `chosen` minus that of `other` on the same texts, with its 95 % interval."""
    sides = [_of_confusion(each, gold, labels, _macro_f1) for each in (chosen, other)]
    ones = np.ones((1, gold.size))
    first, second = bootstrap(sides, gold.size, seed=seed, groups=groups)
    spread = percentiles(first - second) or (float("nan"), float("nan"))
    return [_round(float(sides[0](ones)[0] - sides[1](ones)[0])), *map(_round, spread)]


def reliability(scores: Array, is_positive: NDArray[np.bool_]) -> list[dict[str, float]]:
    """For each range of the score: mean score, share of positives, and number of texts."""
    place = np.minimum((scores * CLASSES).astype(np.int64), CLASSES - 1)
    rows = []
    for one in range(CLASSES):
        chosen = place == one
        if chosen.any():
            rows.append(
                {
                    "score": _round(float(scores[chosen].mean())),
                    "share": _round(float(is_positive[chosen].mean())),
                    "texts": int(chosen.sum()),
                }
            )
    return rows


def precision_curve(scores: Array, is_positive: NDArray[np.bool_], most: int = 200) -> list[list[float]]:
    """(recall, precision) pairs from the strictest threshold to the mildest."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(is_positive[order])
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    if ends.size > most:
        ends = ends[np.linspace(0, ends.size - 1, most).round().astype(int)]
    total = max(int(is_positive.sum()), 1)
    return [[_round(float(hits[end] / total)), _round(float(hits[end] / (end + 1)))] for end in ends]


def _of_confusion(chosen: Rows, gold: Rows, labels: int, finish: Callable[[Array], Array]) -> Statistic:
    """A statistic of the confusion matrix: sums (R, L, L), gold by chosen."""
    cells = np.zeros((gold.size, labels * labels))
    cells[np.arange(gold.size), gold * labels + chosen] = 1.0
    return additive(cells, lambda sums: finish(sums.reshape(len(sums), labels, labels)))


def _macro_f1(counts: Array) -> Array:
    hits = np.diagonal(counts, axis1=1, axis2=2)
    below = counts.sum(axis=1) + counts.sum(axis=2)
    return np.asarray((2 * hits / np.maximum(below, 1e-9)).mean(axis=1))


def _balanced_accuracy(counts: Array) -> Array:
    hits, there = np.diagonal(counts, axis1=1, axis2=2), counts.sum(axis=2)
    shares = np.divide(hits, there, out=np.full(hits.shape, np.nan), where=there > 0)
    return np.asarray(shares.mean(axis=1))


def _accuracy(counts: Array) -> Array:
    return np.asarray(np.trace(counts, axis1=1, axis2=2) / counts.sum(axis=(1, 2)))


def _round(value: float) -> float:
    return round(value, 4)
