"""The network of LMRec: one causal decoder for language and recommendation, and a linear layer a side.

    z_u = state of the decoder at EOS of a history      z_i = the same of an item's text
    p(u, i) = sigmoid(<W_u z_u, W_i z_i>)

Shin et al. 2023, "Pivotal Role of Language Modeling in Recommender Systems", arXiv 2212.03760, section 3. The
decoder is the platform's own (factory/models). Ours: W_u and W_i begin at a standard deviation of D^-3/4, so
that the first products have entries of order 1.

R rows of tokens, D width.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from malmoi.factory.train.batch import IGNORED, Batch
from malmoi.factory.train.blocks import quicken
from malmoi.factory.train.loss import chunked_cross_entropy, hidden_states, logits_scale, output_head

_TOKENS = 1 << 14  # of a batch where no gradient is kept


class LMRecNetwork(nn.Module):
    """The decoder with W_u and W_i.

    Args:
        decoder: a causal language model of transformers.
        seed: of the linear layers.
    """

    def __init__(self, decoder: Any, *, seed: int) -> None:
        super().__init__()
        self.decoder = decoder
        size = int(decoder.config.hidden_size)
        self.user = nn.Linear(size, size, bias=False)
        self.item = nn.Linear(size, size, bias=False)
        generator = torch.Generator().manual_seed(seed)
        for linear in (self.user, self.item):
            nn.init.normal_(linear.weight, std=size**-0.75, generator=generator)
        quicken(decoder)

    @property
    def size(self) -> int:
        """D."""
        return int(self.user.in_features)

    def language_loss(self, batch: Batch) -> Tensor:
        """L1: mean negative log-likelihood of the next token, in nats."""
        hidden = hidden_states(self.decoder, batch)
        total = chunked_cross_entropy(
            hidden.flatten(0, 1),
            output_head(self.decoder).weight,
            batch.labels.flatten(),
            logits_scaling=logits_scale(self.decoder.config),
        )
        return total.loss / max(total.num_targets, 1)

    def features(self, rows: Sequence[NDArray[np.int32]], counts: Sequence[int] | None = None) -> Tensor:
        """States at the last token of each row, which is its EOS; (R, D) float32.

        Args:
            rows: token ids, each of one or more.
            counts: of each row, at how many EOS, the last ones, states are wanted; None: at one. The states
                of a row stand together, in its order: (sum of counts, D).

        Rows of about the same length are padded together, on the right, where a causal decoder's states at
        real tokens cannot see the padding; the state is gathered at the row's own end.
        """
        lengths = np.array([len(row) for row in rows])
        wanted = np.ones(len(rows), np.int64) if counts is None else np.asarray(counts, np.int64)
        order = np.argsort(lengths, kind="stable")
        pieces = [
            self._states([rows[at] for at in piece], lengths[piece], wanted[piece])
            for piece in _pieces(order, lengths)
        ]
        begins = np.empty(len(order), np.int64)
        begins[order] = np.cumsum(wanted[order]) - wanted[order]
        inside = np.arange(wanted.sum()) - np.repeat(np.cumsum(wanted) - wanted, wanted)
        return torch.cat(pieces)[torch.from_numpy(np.repeat(begins, wanted) + inside)]

    def _states(
        self, rows: Sequence[NDArray[np.int32]], lengths: NDArray[np.int64], wanted: NDArray[np.int64]
    ) -> Tensor:
        """(sum of wanted, D)."""
        ids = np.zeros((len(rows), int(lengths.max())), np.int64)
        places = []
        for at, row in enumerate(rows):
            ids[at, : len(row)] = row
            # One state is that of the last token, whatever it is; more are those of its EOS.
            places.append(
                np.array([len(row) - 1])
                if wanted[at] == 1
                else np.flatnonzero(row == row[-1])[-int(wanted[at]) :]
            )
        inputs = torch.from_numpy(ids)
        hidden = hidden_states(self.decoder, Batch(inputs, torch.full_like(inputs, IGNORED)))
        row_numbers = torch.from_numpy(np.repeat(np.arange(len(rows)), wanted))
        states: Tensor = hidden[row_numbers, torch.from_numpy(np.concatenate(places))].float()
        return states


def _pieces(order: NDArray[np.int64], lengths: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Sorted rows cut where their length doubles, and where a piece would hold too many tokens."""
    pieces: list[list[int]] = []
    shortest = 0
    for row in order.tolist():
        length = int(lengths[row])
        if not pieces or length >= 2 * shortest or (len(pieces[-1]) + 1) * length > _TOKENS:
            pieces.append([])
            shortest = length
        pieces[-1].append(row)
    return [np.array(piece) for piece in pieces]
