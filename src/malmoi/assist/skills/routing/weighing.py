"""The few numbers of the router, in `weights.json`, with how they were fitted (`fitting.py`).

There is one set for each encoder, which is known by the length of its vectors.
"""

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
        centred: 1: sentence vectors are taken from their mean. Those of some encoders all lie close together.
        told: how they were fitted.
    """

    sense: float = 0.5
    ridge: float = 0.1
    slope: float = 8.0
    offset: float = 0.0
    threshold: float = 0.5
    sure: float = 0.6
    centred: float = 0.0
    told: Mapping[str, Any] = field(default_factory=dict)

    def probability(self, margin: float) -> float:
        """That a skill is meant, by how far it is above none."""
        total = self.slope * margin + self.offset
        return 1 / (1 + math.exp(-max(-60.0, min(60.0, total))))


_USUAL = "use"
_NUMBERS = ("sense", "ridge", "slope", "offset", "threshold", "sure", "centred")


def load_weights(size: int = 0) -> Weights:
    """The weights of this package.

    Args:
        size: of the vectors; those of the usual encoder where no encoder is known that makes such.
    """
    sets = json.loads(files(__package__).joinpath("weights.json").read_text(encoding="utf-8"))
    told = next((one for one in sets.values() if one["size"] == size), sets[_USUAL])
    return Weights(**{name: float(told[name]) for name in _NUMBERS}, told=told["fitted"])
