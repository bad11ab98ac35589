"""The few numbers of the router, in `weights.json`, with how they were fitted (`fitting.py`)."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class Weights:
    """How the router weighs what it sees.

    Attributes:
        sense: how much sentence vectors count against n-grams, from 0 to 1.
        ridge: how little a single example is believed.
        slope: of the probability, by the margin between a skill and none.
        offset: of the probability.
        threshold: below it, a query is for none.
        sure: share of its skill that an operation needs to be taken without asking further.
        told: how they were fitted.
    """

    sense: float = 0.5
    ridge: float = 0.1
    slope: float = 8.0
    offset: float = 0.0
    threshold: float = 0.5
    sure: float = 0.6
    told: Mapping[str, Any] = field(default_factory=dict)

    def probability(self, margin: float) -> float:
        """That a skill is meant, by how far it is above none."""
        total = self.slope * margin + self.offset
        return 1 / (1 + math.exp(-max(-60.0, min(60.0, total))))


def load_weights() -> Weights:
    """The weights of this package."""
    told = json.loads(files(__package__).joinpath("weights.json").read_text(encoding="utf-8"))
    return Weights(
        **{name: float(told[name]) for name in ("sense", "ridge", "slope", "offset", "threshold", "sure")},
        told=told["fitted"],
    )
