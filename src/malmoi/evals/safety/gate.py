"""When a question asks the sentence encoder: a bound on the risk that n-grams alone see, chosen out of fold.

A cascade after Viola and Jones 2001: what the cheap model finds clearly harmless never reaches the dear one.
What that costs is measured on texts that no member has seen, with thresholds and decisions found anew.

N texts, L labels.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from malmoi.evals.safety.decide import find_decision, find_thresholds
from malmoi.evals.safety.figures import macro_f1

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

_SKIPPED = (0.01, 0.02, 0.03, 0.04, *(step / 20 for step in range(1, 20)))
"""Shares of the texts that bounds which are tried leave out: other texts may all lie below a low one."""


@dataclass(frozen=True, slots=True)
class Gate:
    """From which risk on the encoder is asked, how many texts do without it, and what that costs."""

    bound: float
    skipped: float
    lost: Mapping[str, float]
    """Operating point -> recall that is lost; `macro_f1` -> macro-F1 that is lost."""


def find_gate(light: Array, full: Array, gold: Rows, column: int, most_lost: float) -> Gate:
    """The highest bound that costs no operating point more than `most_lost` of its recall.

    Of what the encoder adds to macro-F1 at least half must stay. Where no bound does that, all texts ask.

    Args:
        light: (N, L) probabilities by n-grams alone.
        full: (N, L) those of all members.
        gold: (N,) the right columns.
        column: of the harmless label.
        most_lost: recall that an operating point may lose.
    """
    risk = 1 - light[:, column]
    whole, least = _worth(full, gold, column), _worth(light, gold, column)
    added = max(0.0, whole["macro_f1"] - least["macro_f1"])
    for bound in np.unique(np.quantile(risk, _SKIPPED))[::-1]:
        # As it is written: rounded down, so that no text is left out that was not left out here.
        bound = float(np.floor(bound * 1e6) / 1e6)
        worth = _worth(gated(light, full, column, bound), gold, column)
        lost = {name: value - worth.get(name, 0.0) for name, value in whole.items()}
        if lost.pop("macro_f1") <= added / 2 and all(share <= most_lost for share in lost.values()):
            lost["macro_f1"] = whole["macro_f1"] - worth["macro_f1"]
            return Gate(bound, float((risk < bound).mean()), {k: round(v, 4) for k, v in lost.items()})
    return Gate(0.0, 0.0, dict.fromkeys(whole, 0.0))


def gated(light: Array, full: Array, column: int, bound: float) -> Array:
    """The probabilities that a classifier with this bound gives: (N, L)."""
    return np.where((1 - light[:, column] >= bound)[:, None], full, light)


def _worth(chances: Array, gold: Rows, column: int) -> dict[str, float]:
    """Recall at each operating point, and macro-F1, of probabilities of texts that were not seen."""
    risk, is_risky = 1 - chances[:, column], gold != column
    chosen = (chances * find_decision(chances, gold)).argmax(axis=1)
    return {"macro_f1": macro_f1(chosen, gold, chances.shape[1])} | {
        name: float((risk[is_risky] >= threshold).mean())
        for name, threshold in find_thresholds(risk, is_risky).items()
    }
