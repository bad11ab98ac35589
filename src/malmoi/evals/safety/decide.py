"""From calibrated probabilities to decisions: which label is chosen, and from which threshold on to act.

Both are chosen on texts that the members have not seen (out of fold), never on the texts held out.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from malmoi.engine.classify.base import OperatingPoint
from malmoi.evals.safety.figures import macro_f1

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

FALSE_POSITIVES = (0.01, 0.05, 0.1)
PRECISIONS = (0.9, 0.8)
LEAST_RECALL = 0.05
"""A handful of lucky texts states nothing of a precision."""


def find_decision(chances: Array, gold: Rows) -> Array:
    """Factors of the labels (L,): the greatest `probability * factor` gives the best macro-F1 here.

    Calibrated probabilities know how rare a label is and so seldom choose it; macro-F1 counts all alike. One
    label after another is tried with larger and smaller factors, twice; among equals the nearest to one.
    """
    labels = chances.shape[1]
    factors = np.ones(labels)
    tried = np.exp(np.linspace(-4, 4, 81)) if labels == 2 else np.exp(np.linspace(-2, 2, 41))
    tried = tried[np.argsort(np.abs(np.log(tried)), kind="stable")]
    best = macro_f1((chances * factors).argmax(axis=1), gold, labels)
    for _ in range(1 if labels == 2 else 2):
        for label in range(1, labels):
            kept = factors[label]
            for factor in tried:
                factors[label] = factor
                found = macro_f1((chances * factors).argmax(axis=1), gold, labels)
                if found > best + 1e-9:
                    best, kept = found, factor
            factors[label] = kept
    return factors


def find_thresholds(risk: Array, is_risky: NDArray[np.bool_]) -> dict[str, float]:
    """The lowest thresholds that keep what their names state, where any does.

    A precision that flagging every text would have, or that hardly a text reaches, states nothing and gets no
    threshold.

    Args:
        risk: (N,) probability of all labels but the harmless one.
        is_risky: (N,).
    """
    order = np.argsort(-risk, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(risk[order]) != 0, True))
    hits = np.cumsum(is_risky[order])[ends]
    wrong = ends + 1 - hits
    thresholds = risk[order][ends]
    found = {}
    harmless = max(int((~is_risky).sum()), 1)
    for share in FALSE_POSITIVES:
        fits = np.flatnonzero(wrong <= share * harmless)
        if fits.size:
            found[f"false_positives_{share:g}"] = float(thresholds[fits[-1]])
    for share in PRECISIONS:
        if is_risky.mean() >= share:
            continue
        enough = max(10, LEAST_RECALL * int(is_risky.sum()))
        fits = np.flatnonzero((hits >= share * (hits + wrong)) & (hits >= enough))
        if fits.size:
            found[f"precision_{share:g}"] = float(thresholds[fits[-1]])
    return found


def measured_point(
    name: str, flagged: Sequence[str], threshold: float, risk: Array, is_risky: NDArray[np.bool_]
) -> OperatingPoint:
    """An operating point with its rates on texts held out."""
    chosen = risk >= threshold
    hits = int((chosen & is_risky).sum())
    return OperatingPoint(
        name,
        tuple(flagged),
        round(threshold, 6),
        round(hits / int(chosen.sum()), 4) if chosen.any() else None,
        round(hits / max(int(is_risky.sum()), 1), 4),
        round(int((chosen & ~is_risky).sum()) / max(int((~is_risky).sum()), 1), 4),
    )
