"""What a trained encoder says of texts and histories: vectors, and the features that a head reads.

B histories of at most L events, X known texts, U texts, width d, sketch k.

A text's row is its vector h and, where the head wants it, a sketch of it (ours): the sum of its tokens, each
being a fixed random vector, or a fixed random projection of its vector by the sentence encoder. Contrast
keeps of a text what tells people apart; which of many like items it was is what the sketch still knows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from malmoi.factory.tokenizer.tokenizer import Tokenizer
from malmoi.users.baselines.mean_text import SENTENCE, MeanTextSettings, embed_texts
from malmoi.users.sequences.next_item_head import SketchKind
from malmoi.users.sequences.user_encoder import UserEncoder, gather_events
from malmoi.users.sequences.vocabulary import build_table, number_texts

_ROWS = 512
"""Texts or histories at once: measured 512 is as quick as more, on one core, and needs less memory."""
_DECAY = 0.8
"""Of the mean of recent events a step back in time; as the baselines' recency (users/baselines/item_knn)."""


@dataclass(frozen=True)
class KnownTexts:
    """Rows of texts that were computed once.

    Attributes:
        numbers: of each text its row.
        vectors: (X, d + k) float32.
    """

    numbers: dict[str, int]
    vectors: Tensor


class FeatureReader:
    """Encodes texts and histories without a gradient.

    Args:
        encoder: in evaluation mode.
        tokenizer: of its vocabulary.
        sketch: numbers of a text's sketch, k; 0: none.
        sketch_of: what it is made of.
        reads_encoder: whether a head's features hold the encoder's vectors.
        known: rows that need not be computed again; they must be this encoder's.
    """

    def __init__(
        self,
        encoder: UserEncoder,
        tokenizer: Tokenizer,
        *,
        sketch: int = 0,
        sketch_of: SketchKind = "tokens",
        reads_encoder: bool = True,
        known: KnownTexts | None = None,
    ) -> None:
        self._encoder = encoder
        self._tokenizer = tokenizer
        self._reads_encoder = reads_encoder
        self._sketch_of = sketch_of
        rows = tokenizer.vocab_size if sketch_of == "tokens" else SENTENCE
        self._random = _random_rows(rows, sketch)
        self.known = known or KnownTexts({}, torch.zeros(0, self.width + sketch))

    @property
    def width(self) -> int:
        """Length of the vectors h and z, d."""
        return self._encoder.settings.width

    @property
    def length(self) -> int:
        """Events of a history that are read."""
        return self._encoder.settings.history_length

    def learn(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Compute and keep the vectors of these texts; gives their rows in `known`, (len(texts),)."""
        rows, distinct = number_texts(texts)
        numbers = {text: row for row, text in enumerate(distinct)}
        self.known = KnownTexts(numbers, self._compute(distinct))
        return rows

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Rows, (U, d + k); a text that comes twice is encoded once."""
        rows, distinct = number_texts(texts)
        known = [self.known.numbers.get(text, -1) for text in distinct]
        vectors = torch.zeros(len(distinct), self.known.vectors.shape[1])
        old = torch.tensor([place for place, row in enumerate(known) if row >= 0], dtype=torch.int64)
        vectors[old] = self.known.vectors[torch.tensor([row for row in known if row >= 0], dtype=torch.int64)]
        new = [place for place, row in enumerate(known) if row < 0]
        if new:
            vectors[torch.tensor(new)] = self._compute([distinct[place] for place in new])
        return vectors[torch.from_numpy(rows)]

    def events(self, histories: Sequence[Sequence[str]]) -> tuple[Tensor, Tensor]:
        """Rows of the newest events, padded on the right: (B, L, d + k) and counts (B,)."""
        recent = [history[-self.length :] for history in histories]
        flat = self.texts([text for history in recent for text in history])
        counts = torch.tensor([len(history) for history in recent], dtype=torch.int64)
        at = torch.full((len(recent), max(int(counts.max()) if len(counts) else 1, 1)), -1)
        places = torch.arange(at.shape[1])
        at[places < counts[:, None]] = torch.arange(len(flat))
        if not len(flat):
            return torch.zeros(len(recent), 1, flat.shape[1]), counts
        return gather_events(flat, at)

    @torch.no_grad()
    def users(self, vectors: Tensor, counts: Tensor) -> Tensor:
        """The general-purpose vector z, (B, d), of events as `events` gives them."""
        return torch.cat(
            [
                self._encoder.users(vectors[at][:, :, : self.width], counts[at]).float()
                for at in torch.arange(len(counts)).split(_ROWS)
            ]
        )

    def user_features(self, vectors: Tensor, counts: Tensor) -> Tensor:
        """What a head reads of a user: z, the newest event's row, mean of rows by recency, (B, 3 d + 2 k).

        Nothing of it is trained with the head; z alone is what the paper names, the other two are ours: a
        mean over events forgets which was the last. A head without the encoder reads (B, 2 k).
        """
        rows = self.item_features(vectors)
        age = counts[:, None] - 1 - torch.arange(rows.shape[1])
        weight = torch.where(age >= 0, _DECAY ** age.clamp(min=0).float(), torch.zeros(()))
        recent = (rows * weight[:, :, None]).sum(1) / weight.sum(1, keepdim=True).clamp(min=1e-9)
        last = rows[torch.arange(len(rows)), (counts - 1).clamp(min=0)] * (counts > 0)[:, None]
        read = [self.users(vectors, counts)] if self._reads_encoder else []
        return torch.cat([*read, last, recent], dim=1)

    def item_features(self, vectors: Tensor) -> Tensor:
        """What a head reads of rows: all, (..., d + k), or without the encoder the sketch, (..., k)."""
        return vectors if self._reads_encoder else vectors[..., self.width :]

    @torch.no_grad()
    def project(self, users: Tensor) -> Tensor:
        """The contrasted vector e, (B, D), of length 1."""
        return self._encoder.project(users)

    @torch.no_grad()
    def _compute(self, texts: Sequence[str]) -> Tensor:
        table = build_table(self._tokenizer, texts, longest=self._encoder.settings.item_length)
        # By length, so that a batch holds little padding.
        order = np.argsort(table.lengths, kind="stable")
        size = self._random.shape[1]
        vectors = torch.empty(len(texts), self.width + size)
        if size and self._sketch_of == "sentences":
            vectors[:, self.width :] = torch.from_numpy(embed_texts(texts, MeanTextSettings())) @ self._random
        for rows in np.array_split(order, max(-(-len(order) // _ROWS), 1)):
            if len(rows):
                ids, lengths = torch.from_numpy(table.ids[rows]), torch.from_numpy(table.lengths[rows])
                at = torch.from_numpy(rows)
                vectors[at, : self.width] = self._encoder.items(ids, lengths).float()
                if size and self._sketch_of == "tokens":
                    there = torch.arange(ids.shape[1]) < lengths[:, None]
                    vectors[at, self.width :] = (self._random[ids] * there[:, :, None]).sum(1)
        return vectors


def _random_rows(count: int, size: int) -> Tensor:
    """A random vector for each token or number; inner products of sums are those of the counts, nearly."""
    drawn = np.random.default_rng(0).standard_normal((count, size), dtype=np.float32)
    return torch.from_numpy(drawn / max(size, 1) ** 0.5)
