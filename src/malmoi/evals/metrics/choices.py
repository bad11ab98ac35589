"""Which choice is likeliest, by other measures than the sum of its log-probabilities."""

from collections.abc import Callable

import numpy as np

from malmoi.core.intervals import Statistic, mean_of
from malmoi.evals.results import ItemResult
from malmoi.evals.statistic import Items


def accuracy_by(name: str, length: Callable[[str], int]) -> Callable[[Items], Statistic | None]:
    """Accuracy where each choice's log-probability is divided by its length.

    Args:
        name: of the grade that items may already hold; it is taken where it is there.
        length: of a choice, in the unit that is counted.
    """

    def one(item: ItemResult) -> float | None:
        if name in item.grades:
            return item.grades[name]
        if not item.choices or len(item.logprobs) != len(item.choices) or item.gold not in item.choices:
            return None
        by_unit = [p / max(length(c), 1) for p, c in zip(item.logprobs, item.choices, strict=True)]
        return float(item.choices[int(np.argmax(by_unit))] == item.gold)

    def prepare(items: Items) -> Statistic | None:
        values = [one(item) for item in items]
        if any(value is None for value in values):
            return None
        return mean_of([value for value in values if value is not None])

    return prepare


def byte_length(text: str) -> int:
    """Bytes in UTF-8."""
    return len(text.encode("utf-8"))


def mc2(items: Items) -> Statistic | None:
    """TruthfulQA: probability of the true answers as a share of that of all (Lin et al. 2022, MC2).

    The field `labels` says of each choice whether it is true (1) or false (0).
    """
    values = []
    for item in items:
        labels = _labels(item)
        if labels is None:
            return None
        logprobs = np.array(item.logprobs)
        mass = np.exp(logprobs - logprobs.max())
        values.append(float(mass[labels].sum() / mass.sum()))
    return mean_of(values)


def _labels(item: ItemResult) -> "np.ndarray | None":
    labels = item.fields.get("labels")
    if not item.logprobs or not isinstance(labels, list) or len(labels) != len(item.logprobs):
        return None
    return np.array([int(label) > 0 for label in labels])


def chance_of_mc2(items: Items) -> float | None:
    """The share of choices that are true."""
    shares = [labels.mean() for item in items if (labels := _labels(item)) is not None]
    return float(np.mean(shares)) if shares else None


def chance_of_accuracy(items: Items) -> float | None:
    """What guessing gives: the mean of one over the number of choices; None where there are none."""
    if not items or not all(item.choices for item in items):
        return None
    return float(np.mean([1 / len(item.choices) for item in items]))
