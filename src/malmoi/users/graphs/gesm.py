"""GESM: a mixture of steps of random walks over attention to neighbours.

N nodes, F features, m heads of width h, C classes, s steps.

    Z_i = X W0_i;   H = ||_i ELU(alpha_i Z_i + b_i + Z_i);   scores = dropout(||_k P^k H) W1 + b

Source: Shin et al. 2020, arXiv 2005.08485, equations 3 to 5, and its authors' program for Cora, which differs
from the paper's text: the attention multiplies (attention.py), Z is added once more after it, and b_i counts
in the squared weights because its name lacks "bias". Ours: the edges and nodes of the structure regulariser
are drawn anew at each step (the program draws them once), and hop sampling by blocks (hops.py).
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from malmoi.users.graphs.attention import attend
from malmoi.users.graphs.graph import Graph
from malmoi.users.graphs.gsm import StepMixture
from malmoi.users.graphs.hop_modes import HopMode
from malmoi.users.graphs.hops import HopSampler
from malmoi.users.graphs.kinds import NodeSettings
from malmoi.users.graphs.nodes import Scored
from malmoi.users.graphs.walk import feature_matrix, random_walk


class GESMSettings(NodeSettings):
    """GESM; the defaults are those of the Cora program."""

    heads: int = Field(8, ge=1)
    """Of attention, m."""
    head_width: int = Field(64, ge=1)
    """Numbers of a head, h."""
    depth: int = Field(14, ge=1)
    """Steps of the walk, s; blocks 0..s are concatenated."""
    dropout: float = Field(0.3, ge=0, lt=1)
    """Of the concatenated blocks."""
    attention_dropout: float = Field(0.7, ge=0, lt=1)
    """Of the attention's weights."""
    hops: HopMode = "fixed"
    """Whether the number of blocks is drawn at each step of training."""
    structure: float = Field(1.0, ge=0)
    """Weight of the structure regulariser; 0: none."""


class GESM(nn.Module):
    """GESM over one graph."""

    settings_type: ClassVar[type[NodeSettings]] = GESMSettings

    def __init__(self, settings: GESMSettings, graph: Graph) -> None:
        super().__init__()
        heads, width = settings.heads, settings.head_width
        self.shape = (heads, width)
        self.attention_dropout = settings.attention_dropout
        self.features = feature_matrix(graph.features.normalized())
        self.walk = random_walk(graph.edges, len(graph))
        self.entry = nn.Parameter(torch.empty(graph.features.width, heads * width))
        for head in self.entry.data.split(width, dim=1):
            nn.init.xavier_uniform_(head)
        self.left = nn.Parameter(_attention_vectors(heads, width))
        self.right = nn.Parameter(_attention_vectors(heads, width))
        self.left_bias = nn.Parameter(torch.zeros(heads))
        self.right_bias = nn.Parameter(torch.zeros(heads))
        self.offset = nn.Parameter(torch.zeros(heads * width))
        sampler = HopSampler(settings.depth, settings.hops)
        self.mixture = StepMixture(self.walk, heads * width, graph.num_classes, sampler, settings.dropout)

    def forward(self, rows: Tensor | None) -> Scored:
        """Class scores of `rows`."""
        z = self.features @ self.entry  # (N, m h)
        parts = z.view(len(z), *self.shape)
        left = (parts * self.left).sum(2) + self.left_bias
        right = (parts * self.right).sum(2) + self.right_bias
        mixed = attend(self.walk, parts, left, right, self.attention_dropout, self.training)
        return Scored(self.mixture(functional.elu(mixed + self.offset + z), rows), z)

    def penalised(self) -> Sequence[nn.Parameter]:
        """All weights but those called bias."""
        return [parameter for name, parameter in self.named_parameters() if "bias" not in name]


def _attention_vectors(heads: int, width: int) -> Tensor:
    """Glorot's uniform distribution for a map from `width` numbers to one, for each head."""
    limit = (6.0 / (width + 1)) ** 0.5
    return torch.empty(heads, width).uniform_(-limit, limit)
