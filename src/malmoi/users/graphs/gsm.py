"""GSM: a mixture of steps of random walks, without attention.

N nodes, F features, D hidden numbers, C classes, s steps.

    H = sigma(X W0);   Z = softmax(dropout(H || P H || ... || P^s H) W1 + b)

Source: Shin et al. 2020, "Graphs, Entities, and Step Mixture for Enriching Graph Representation", arXiv
2005.08485, equation 2; the settings as its authors' program for Cora has them, without structure regulariser.
sigma is ELU as there, and D is that of one head, which validates better on Cora than that of all eight. Ours:
hop sampling by blocks (hops.py).

Cost: a step of training needs P^k H in full but class scores of the labelled nodes only, so dropout and W1
meet a few hundred rows. Without dropout W1 goes first, (((H W_s) P + H W_(s-1)) P + ...), and a walk carries
C numbers a node instead of D.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from malmoi.users.graphs.graph import Graph
from malmoi.users.graphs.hop_modes import HopMode
from malmoi.users.graphs.hops import HopSampler
from malmoi.users.graphs.kinds import NodeSettings
from malmoi.users.graphs.nodes import Scored
from malmoi.users.graphs.walk import Matrix, feature_matrix, random_walk, walk_blocks


class GSMSettings(NodeSettings):
    """GSM; the defaults are those of the Cora program."""

    hidden: int = Field(64, ge=1)
    """Numbers of a node's hidden vector, D."""
    depth: int = Field(14, ge=1)
    """Steps of the walk, s; blocks 0..s are concatenated."""
    dropout: float = Field(0.3, ge=0, lt=1)
    """Of the concatenated blocks."""
    hops: HopMode = "fixed"
    """Whether the number of blocks is drawn at each step of training."""


class StepMixture(nn.Module):
    """Classes from H, P H, ..., P^s H.

    Args:
        walk: P.
        width: columns of H, D.
        num_classes: C.
        sampler: gives s.
        dropout: of the concatenated blocks.
    """

    def __init__(
        self, walk: Matrix, width: int, num_classes: int, sampler: HopSampler, dropout: float
    ) -> None:
        super().__init__()
        self.walk = walk
        self.sampler = sampler
        self.dropout = dropout
        self.weight = nn.Parameter(torch.empty(num_classes, (sampler.depth + 1) * width))
        self.bias = nn.Parameter(torch.zeros(num_classes))
        nn.init.xavier_normal_(self.weight)

    def forward(self, hidden: Tensor, rows: Tensor | None) -> Tensor:
        """Class scores. Shapes: hidden (N, D), rows (R,), result (R, C); rows None: all N."""
        if not self.training:
            logits = self._walk_classes(hidden)
            return logits if rows is None else logits[rows]
        hops = self.sampler(training=True)
        rows = torch.arange(len(hidden)) if rows is None else rows
        mixed = functional.dropout(walk_blocks(self.walk, hidden, hops, rows), self.dropout)
        return (
            functional.linear(mixed, self.weight[:, : mixed.shape[1]]) * self.sampler.block_scale(hops)
            + self.bias
        )

    def _walk_classes(self, hidden: Tensor) -> Tensor:
        """The same without dropout, from the last block inwards."""
        blocks = self.weight.view(len(self.weight), -1, hidden.shape[1])  # (C, s + 1, D)
        parts = torch.einsum("nd,csd->snc", hidden, blocks)
        logits = parts[-1]
        for part in reversed(parts[:-1].unbind()):
            logits = self.walk @ logits + part
        return logits + self.bias


class GSM(nn.Module):
    """GSM over one graph."""

    settings_type: ClassVar[type[NodeSettings]] = GSMSettings

    def __init__(self, settings: GSMSettings, graph: Graph) -> None:
        super().__init__()
        self.features = feature_matrix(graph.features.normalized())
        self.entry = nn.Parameter(torch.empty(graph.features.width, settings.hidden))
        nn.init.xavier_uniform_(self.entry)
        walk = random_walk(graph.edges, len(graph))
        sampler = HopSampler(settings.depth, settings.hops)
        self.mixture = StepMixture(walk, settings.hidden, graph.num_classes, sampler, settings.dropout)

    def forward(self, rows: Tensor | None) -> Scored:
        """Class scores of `rows`."""
        z = self.features @ self.entry
        return Scored(self.mixture(functional.elu(z), rows), z)

    def penalised(self) -> Sequence[nn.Parameter]:
        """All weights but biases."""
        return [self.entry, self.mixture.weight]
