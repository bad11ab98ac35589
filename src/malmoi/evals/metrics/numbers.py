"""Means, correlations, pass@k and bits per byte."""

import math
from collections.abc import Callable

import numpy as np

from malmoi.core.intervals import Array, Statistic, additive, mean_of, ratio
from malmoi.evals.metrics.labels import first_number
from malmoi.evals.results import ItemResult
from malmoi.evals.statistic import Items


def mean_grade(items: Items) -> Statistic:
    """The mean grade."""
    return mean_of([item.grade for item in items])


def named_grade(name: str) -> Callable[[Items], Statistic | None]:
    """The mean of one of the further grades; items without it are not measured."""

    def prepare(items: Items) -> Statistic | None:
        if not any(name in item.grades for item in items):
            return None
        values = np.array([item.grades.get(name, np.nan) for item in items])
        there = np.isfinite(values)
        columns = np.stack([np.where(there, values, 0.0), there.astype(np.float64)], axis=1)
        return additive(columns, lambda s: ratio(s[:, 0], s[:, 1]))

    return prepare


def exact_match(items: Items) -> Statistic:
    """Share of answers that are right altogether."""
    return mean_of([item.grades.get("exact_match", float(item.grade >= 1.0)) for item in items])


def _pairs(items: Items) -> tuple[Array, Array] | None:
    """Numbers of gold and answer; an answer without one stands at the mean of the others."""
    gold = [_gold_number(item) for item in items]
    if any(value is None for value in gold):
        return None
    given = np.array([math.nan if (v := first_number(i.answer)) is None else v for i in items])
    readable = np.isfinite(given)
    if not readable.any():
        return None
    return np.array(gold, dtype=np.float64), np.where(readable, given, given[readable].mean())


def _gold_number(item: ItemResult) -> float | None:
    """The field `score` where an item has it (KLUE-STS: the exact score behind the rounded label)."""
    return first_number(str(item.fields.get("score", item.gold)))


def unreadable_numbers(items: Items) -> str:
    """How many answers hold no number."""
    missing = sum(first_number(item.answer) is None for item in items)
    return f"{missing} of {len(items)} answers hold no number and count as the mean." if missing else ""


def pearson(items: Items) -> Statistic | None:
    """Product-moment correlation of the first number of the answer with that of the gold."""
    pairs = _pairs(items)
    if pairs is None:
        return None
    # Centred first: sums of squares of large numbers would lose their last digits.
    x, y = (values - values.mean() for values in pairs)
    columns = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1)
    return additive(columns, _correlation)


def _correlation(sums: Array) -> Array:
    n, x, y, xx, yy, xy = sums.T
    below = (n * xx - x * x) * (n * yy - y * y)
    positive = below > 1e-12 * np.maximum(n * xx * n * yy, 1e-300)
    root = np.sqrt(np.where(positive, below, 0.0))
    return np.clip(ratio(n * xy - x * y, root), -1.0, 1.0)


def spearman(items: Items) -> Statistic | None:
    """Correlation of ranks; equal values share the mean of their ranks."""
    pairs = _pairs(items)
    if pairs is None:
        return None
    places = [np.unique(values, return_inverse=True)[1].reshape(-1) for values in pairs]

    def statistic(weights: Array) -> Array:
        return np.array([_rank_correlation(row, places[0], places[1]) for row in weights])

    return statistic


def _rank_correlation(weights: Array, first: np.ndarray, second: np.ndarray) -> float:
    ranks = []
    for places in (first, second):
        count = np.bincount(places, weights=weights)
        ranks.append((np.cumsum(count) - count / 2)[places])
    x, y = (rank - np.average(rank, weights=weights) for rank in ranks)
    below = float(np.sqrt((weights * x) @ x * ((weights * y) @ y)))
    return float(np.clip((weights * x) @ y / below, -1.0, 1.0)) if below > 0 else math.nan


def pass_at(k: int) -> Callable[[Items], Statistic | None]:
    """Chance that one of k samples passes, without bias: 1 - C(n-c, k) / C(n, k) (Chen et al. 2021, eq. 1).

    The fields `samples` (n) and `passed` (c) say how many were drawn and how many passed; without them the
    item is one sample and its grade says whether it passed.
    """

    def prepare(items: Items) -> Statistic | None:
        values = []
        for item in items:
            samples = int(item.fields.get("samples", 1))
            passed = int(item.fields["passed"]) if "passed" in item.fields else None
            if samples < k:
                return None
            if passed is None:
                values.append(item.grade)
            else:
                values.append(1.0 - math.comb(samples - passed, k) / math.comb(samples, k))
        return mean_of(values)

    return prepare


def few_samples(k: int) -> Callable[[Items], str]:
    """What to say where fewer than k answers were drawn."""

    def note(items: Items) -> str:
        least = min((int(item.fields.get("samples", 1)) for item in items), default=0)
        return f"It needs {k} answers to each item; there are {least}." if least < k else ""

    return note


def _coded(item: ItemResult) -> tuple[float, int, int] | None:
    """(bits, bytes, words) of what was scored: the gold choice, or the whole text."""
    if not item.logprobs:
        return None
    if item.choices:
        if item.gold not in item.choices or len(item.logprobs) != len(item.choices):
            return None
        nats, text = item.logprobs[item.choices.index(item.gold)], item.gold
    else:
        nats, text = sum(item.logprobs), item.answer or item.gold or item.prompt
    size = int(item.fields.get("bytes", len(text.encode("utf-8"))))
    return -nats / math.log(2), size, int(item.fields.get("words", len(text.split())))


def _coding(per: int, finish: Callable[[Array], Array]) -> Callable[[Items], Statistic | None]:
    def prepare(items: Items) -> Statistic | None:
        coded = [_coded(item) for item in items]
        if not all(coded):
            return None
        columns = np.array([(row[0], row[per]) for row in coded if row], dtype=np.float64)
        return additive(columns, lambda s: finish(ratio(s[:, 0], s[:, 1])))

    return prepare


bits_per_byte = _coding(1, lambda bits: bits)
byte_perplexity = _coding(1, lambda bits: np.exp2(bits))
word_perplexity = _coding(2, lambda bits: np.exp2(np.minimum(bits, 1000.0)))
