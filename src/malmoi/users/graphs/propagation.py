"""Propagation: two linear maps, then K steps over the graph, in the manner of SGC and APPNP.

N nodes, F features, D hidden numbers, C classes.

    H_0 = dropout(dropout(X) W0 + b0) W1 + b1;   H_k = (1 - t) S H_(k-1) + t H_0;   scores = H_K

Source: Wu et al. 2019 (SGC, arXiv 1902.07153) for t = 0, Gasteiger et al. 2019 (APPNP, arXiv 1810.05997,
equation 4) for t > 0; S is the symmetric walk. Ours: no non-linearity between the maps, and hop sampling
(hops.py) with two ways to answer.
Only W0 is penalised, as in both papers' programs.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from malmoi.users.graphs.graph import Graph
from malmoi.users.graphs.hop_modes import HopInference, HopMode
from malmoi.users.graphs.hops import HopSampler
from malmoi.users.graphs.kinds import NodeSettings
from malmoi.users.graphs.nodes import Scored
from malmoi.users.graphs.walk import feature_matrix, product, symmetric_walk


class PropagationSettings(NodeSettings):
    """Propagation of a linear network's scores."""

    hidden: int = Field(64, ge=1)
    """Numbers between the two maps, D."""
    depth: int = Field(2, ge=1)
    """Steps of propagation, K."""
    teleport: float = Field(0.0, ge=0, lt=1)
    """Share of H_0 that every step mixes in again, t; APPNP uses 0.1."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """Of the features and of the hidden numbers."""
    hops: HopMode = "fixed"
    """Whether the number of steps is drawn at each step of training."""
    inference: HopInference = "mean"
    """What a model with drawn hops answers with: the mean of its scores at 1..K steps, or those at K."""
    learning_rate: float = Field(1e-2, gt=0)
    """Of Adam."""
    l2: float = Field(5e-3, ge=0)
    """The loss has l2 / 2 times the sum of W0's squares."""


class Propagation(nn.Module):
    """Propagation over one graph."""

    settings_type: ClassVar[type[NodeSettings]] = PropagationSettings

    def __init__(self, settings: PropagationSettings, graph: Graph) -> None:
        super().__init__()
        self.settings = settings
        self.sampler = HopSampler(settings.depth, settings.hops)
        self.features = feature_matrix(graph.features.normalized())
        self.walk = symmetric_walk(graph.edges, len(graph))
        self.entry = nn.Parameter(torch.empty(graph.features.width, settings.hidden))
        self.entry_bias = nn.Parameter(torch.zeros(settings.hidden))
        self.exit = nn.Parameter(torch.empty(settings.hidden, graph.num_classes))
        self.exit_bias = nn.Parameter(torch.zeros(graph.num_classes))
        nn.init.xavier_uniform_(self.entry)
        nn.init.xavier_uniform_(self.exit)

    def forward(self, rows: Tensor | None) -> Scored:
        """Class scores of `rows`."""
        dropped = functional.dropout(self.features.values, self.settings.dropout, self.training)
        hidden = product(self.features.pattern, dropped, self.entry) + self.entry_bias
        first = functional.dropout(hidden, self.settings.dropout, self.training) @ self.exit + self.exit_bias
        kept = self.settings.teleport
        x, total = first, torch.zeros_like(first)
        hops = self.sampler(self.training)
        for _ in range(hops):
            x = self.walk @ x
            if kept:
                x = (1 - kept) * x + kept * first
            total = total + x
        averaged = self.settings.hops == "sampled" and self.settings.inference == "mean" and not self.training
        scores = total / hops if averaged else x
        return Scored(scores if rows is None else scores[rows])

    def penalised(self) -> Sequence[nn.Parameter]:
        """The first map."""
        return [self.entry]
