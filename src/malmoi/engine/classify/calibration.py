"""From margins to probabilities that mean what they say."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def sigmoid(value: Any) -> Any:
    """1 / (1 + e^-value), for numbers and arrays."""
    return 1.0 / (1.0 + np.exp(-np.clip(value, -30.0, 30.0)))


def softmax(logits: Any) -> Any:
    """Probabilities over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def fit_platt(margins: Array, labels: Array) -> tuple[float, float]:
    """Scale and shift so that sigmoid(scale * margin + shift) is a probability, both labels weighed alike.

    Platt 1999, by Newton's method, on his smoothed targets.

    Args:
        margins: (N,), larger for label 1.
        labels: (N,) of 0 and 1, both present.
    """
    good, bad = labels.sum(), (1 - labels).sum()
    target = np.where(labels > 0, (good + 1) / (good + 2), 1 / (bad + 2))
    weight = np.where(labels > 0, 0.5 / good, 0.5 / bad)
    # Newton needs margins of about 1.
    unit = float(np.abs(margins).mean()) or 1.0
    inputs = np.stack([margins / unit, np.ones_like(margins)])
    solution = np.array([1.0, 0.0])
    for _ in range(50):
        chance = sigmoid(solution @ inputs)
        gradient = inputs @ (weight * (chance - target)) + 1e-4 * solution
        curvature = (inputs * (weight * chance * (1 - chance))) @ inputs.T + 1e-4 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        solution = solution - np.clip(step, -2.0, 2.0)
        if float(np.abs(step).max()) < 1e-9:
            break
    # A larger margin must never lower the score, however few texts it was calibrated on.
    return max(1e-3, float(solution[0]) / unit), float(solution[1])


def calibration_error(
    scores: Array, labels: Array, weight: Array | None = None, *, classes: int = 10
) -> float:
    """Expected calibration error: mean distance between score and share of label 1 over classes of the score.

    Naeini et al. 2015, equal widths.

    Args:
        scores: (N,) in [0, 1].
        labels: (N,) of 0 and 1.
        weight: (N,) how much each counts; None: all alike.
        classes: how many ranges of the score.
    """
    shares = np.full(scores.size, 1.0 / scores.size) if weight is None else weight / weight.sum()
    place = np.minimum((scores * classes).astype(np.int64), classes - 1)
    gaps = np.bincount(place, shares * (scores - labels), minlength=classes)
    return float(np.abs(gaps).sum())
