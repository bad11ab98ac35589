"""The network of SASRec: causal self-attention over item embeddings with learned positions.

Kang and McAuley 2018, "Self-Attentive Sequential Recommendation", arXiv 1808.09781, with pre-norm blocks.

Letters: B sequences, T positions, N real (not padded) positions of all sequences, D width, H heads, M items.

Everything but attention runs on the N real positions, one behind the other. For attention sequences of about
the same length are padded together, on the right, so that under a causal mask no real position sees padding.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import gelu

from malmoi.factory.train.blocks import causal_attention

EMBEDDING_STD = 0.02


class Group(NamedTuple):
    """Sequences whose lengths differ by less than a factor of two."""

    span: slice
    """Their positions among all, in (N,)."""
    row: Tensor
    """The sequence of each position, counted within the group."""
    position: Tensor
    """Its place in the sequence, from 0."""
    shape: tuple[int, int]
    """(B, T) of the group."""


class Packed(NamedTuple):
    """Sequences without their padding, the short ones first."""

    items: Tensor
    """(N,) int64."""
    position: Tensor
    """The place of each in its sequence, from 0, (N,)."""
    last: Tensor
    """Index in (N,) of the last position of each sequence, in the order that they were given, (B,)."""
    groups: tuple[Group, ...]


def pack(sequences: Sequence[NDArray[np.int32]]) -> Packed:
    """Put sequences of one item or more behind each other, sorted by length; equal ones keep their order."""
    lengths = np.array([len(sequence) for sequence in sequences])
    order = np.argsort(lengths, kind="stable")
    lengths = lengths[order]
    ends = np.cumsum(lengths)
    position = np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)
    last = np.empty(len(order), np.int64)
    last[order] = ends - 1
    borders = np.flatnonzero(np.diff(np.log2(lengths).astype(int))) + 1
    groups = []
    for rows in np.split(np.arange(len(order)), borders):
        span = slice(int(ends[rows[0]] - lengths[rows[0]]), int(ends[rows[-1]]))
        row = torch.from_numpy(np.repeat(np.arange(len(rows)), lengths[rows]))
        shape = (len(rows), int(lengths[rows[-1]]))
        groups.append(Group(span, row, torch.from_numpy(position[span]), shape))
    items = np.concatenate([sequences[row] for row in order]).astype(np.int64)
    return Packed(torch.from_numpy(items), torch.from_numpy(position), torch.from_numpy(last), tuple(groups))


class SequenceNetwork(nn.Module):
    """Items to states: the state of a position foretells the item after it by its product with E."""

    def __init__(
        self, num_items: int, *, size: int, layers: int, heads: int, length: int, dropout: float
    ) -> None:
        super().__init__()
        self.item = nn.Embedding(num_items, size)
        self.position = nn.Embedding(length, size)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(_Block(size, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(size)
        for parameter in self.parameters():
            if parameter.ndim >= 2:
                nn.init.normal_(parameter, std=EMBEDDING_STD)

    def forward(self, batch: Packed) -> Tensor:
        """(N, D)."""
        x = self.dropout(self.item(batch.items) + self.position(batch.position))
        for block in self.blocks:
            x = block(x, batch)
        return self.norm(x)


class _Block(nn.Module):
    def __init__(self, size: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.norm = nn.LayerNorm(size), nn.LayerNorm(size)
        self.qkv = nn.Linear(size, 3 * size)
        self.out = nn.Linear(size, size)
        self.up, self.down = nn.Linear(size, 4 * size), nn.Linear(4 * size, size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, batch: Packed) -> Tensor:
        x = x + self.dropout(self.out(self._attend(self.qkv(self.attention_norm(x)), batch)))
        return x + self.dropout(self.down(gelu(self.up(self.norm(x)))))

    def _attend(self, qkv: Tensor, batch: Packed) -> Tensor:
        mixed = []
        for group in batch.groups:
            where = (group.row, group.position)
            padded = qkv.new_zeros((*group.shape, qkv.shape[1])).index_put(where, qkv[group.span])
            q, k, v = padded.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (B, H, T, D / H)
            # torch's own attention takes ten times as long for bfloat16 gradients on a processor.
            attended = causal_attention(q, k, v, q.shape[-1] ** -0.5)
            mixed.append(attended.transpose(1, 2).flatten(2)[where])
        return torch.cat(mixed)
