"""The words for how hops are chosen, in training and in answering (hops.py)."""

from typing import Literal

HopMode = Literal["fixed", "sampled"]
"""fixed: always the whole depth; sampled: a random one at each step of training."""

HopInference = Literal["deepest", "mean"]
"""deepest: answer with K hops; mean: with the mean over 1..K, the expectation over what is drawn."""
