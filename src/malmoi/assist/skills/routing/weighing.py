"""How likely it is that an operation is what a query is for: a logistic model of a few likenesses.

Its weights are in `weights.json`, with how they were fitted (`fitting.py`).
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

FEATURES = ("nearest", "near_three", "described", "letters", "covered", "over_none", "letters_over_none")


@dataclass(frozen=True, slots=True)
class Weights:
    """A fitted model.

    Attributes:
        bias: of the sum.
        weights: by the name of the feature.
        threshold: below it, a query is for none.
        told: how it was fitted.
    """

    bias: float
    weights: Mapping[str, float]
    threshold: float
    told: Mapping[str, Any]

    def probability(self, features: Sequence[float]) -> float:
        """That an operation with these features fits."""
        total = self.bias + sum(
            self.weights[name] * value for name, value in zip(FEATURES, features, strict=True)
        )
        return 1 / (1 + math.exp(-max(-60.0, min(60.0, total))))


def load_weights() -> Weights:
    """The weights of this package."""
    told = json.loads(files(__package__).joinpath("weights.json").read_text(encoding="utf-8"))
    return Weights(
        bias=float(told["bias"]),
        weights={name: float(told["weights"][name]) for name in FEATURES},
        threshold=float(told["threshold"]),
        told=told["fitted"],
    )
