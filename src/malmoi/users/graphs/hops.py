"""Hop Sampling: how often a graph model propagates, drawn anew at every step of training.

    sampler = HopSampler(8, "sampled")
    for _ in range(sampler(training=True)):
        x = walk @ x

Source: Park et al. 2020, "Hop Sampling", arXiv 2006.14897, after the published description: the number of
propagation steps is random at each training step instead of fixed, which regularises against drift and lets
deep models escape oversmoothing. Ours, as the paper was not available in full: k is uniform over 1..K, and
what answers: the deepest state, or the mean over 1..K, the expectation of what training has drawn.
"""

from dataclasses import dataclass

import torch

from malmoi.core.errors import InvalidInput
from malmoi.users.graphs.hop_modes import HopMode


@dataclass(frozen=True, slots=True)
class HopSampler:
    """Gives the number of hops k to any loop that propagates.

    Attributes:
        depth: the most hops, K, at least 1.
        mode: whether k is drawn while training.
    """

    depth: int
    mode: HopMode = "fixed"

    def __post_init__(self) -> None:
        if self.depth < 1:
            raise InvalidInput(
                f"a depth of {self.depth} propagates nothing.", field="depth", fix="Use 1 or more."
            )

    def __call__(self, training: bool) -> int:
        """k: uniform over 1..K while training by samples, else K. Draws from torch's random numbers."""
        if not training or self.mode == "fixed" or self.depth == 1:
            return self.depth
        return int(torch.randint(1, self.depth + 1, ()))

    def block_scale(self, hops: int) -> float:
        """What blocks 0..k are multiplied by where a model concatenates K + 1 of them and drops the rest.

        As in dropout, the sum over the blocks keeps its expected size: (K + 1) / (k + 1).
        """
        return (self.depth + 1) / (hops + 1)
