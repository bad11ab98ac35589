"""What a model is trained on: sequences of tokens in an order that is a pure function of (seed, number).

    tokens = load_tokens(folder)
    mixture = TokenMixture(tokens, context_length=1024, seed=1)
    batch = mixture.batch(range(step * 8, step * 8 + 8))

Each sequence number belongs to one source, by its weight (`tokens_order.Interleave`). A source is a ring of
tokens: its documents one after another, each followed by the end-of-text token, the last by the first. In
every epoch the ring is cut into windows of T tokens from another random place, and the windows are walked in
another seeded permutation. A sequence is T + 1 tokens long, one more than a window, so that the last token of
a window has its target: over an epoch every token but a rest shorter than a window is a target exactly once.

Documents are packed one after another without padding. The end-of-text token is both the last target of a
document and the first input of the next, so the first token of a document is predicted too. With
`document_mask` attention stays within a document: the end-of-text token before a document opens it, at
position 0, and all targets count. That is also how evaluation and generation begin.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import InvalidInput, UnknownName
from malmoi.factory.corpus.fim import Encoder, FimSettings, Infilling
from malmoi.factory.corpus.tokens_files import SourceTokens, TokenSet, load_tokens
from malmoi.factory.corpus.tokens_order import Draws, Interleave, Permutation, key_of
from malmoi.factory.corpus.tokens_windows import EvaluationWindow, evaluation_windows

if TYPE_CHECKING:
    from malmoi.factory.train.batch import Batch

__all__ = [
    "EvaluationWindow",
    "MixtureShare",
    "TokenMixture",
    "TokenSequence",
    "TokenSet",
    "evaluation_windows",
    "load_tokens",
]


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """One training sequence and where it is from."""

    ids: NDArray[np.int64]  # (T + 1,)
    num_tokens: int
    """How many of the ids are text; those after are padding and no targets."""
    source: str
    epoch: int
    """How often this source had been walked through before."""


@dataclass(frozen=True, slots=True)
class MixtureShare:
    """What a number of sequences takes from one source."""

    source: str
    group: str
    weight: float
    sequences: int
    tokens: int
    epochs: float


class TokenMixture:
    """Training sequences from the sources of a tokens artifact.

    Args:
        tokens: the token files.
        split: "train", or "validation".
        context_length: T.
        seed: of the order and of infilling.
        weights: share of each source, of any sum; those of the artifact where not given. Sources that have no
            tokens in the split are left out.
        fim: infilling; None: none.
        document_mask: keep attention within documents.
        tokenizer: for infilling; the artifact's own where not given.

    Raises:
        UnknownName: a weight for a source that is not there.
        InvalidInput: no tokens, a negative weight, or a tokenizer without sentinels.
    """

    def __init__(
        self,
        tokens: TokenSet,
        *,
        split: str = "train",
        context_length: int,
        seed: int,
        weights: Mapping[str, float] | None = None,
        fim: FimSettings | None = None,
        document_mask: bool = False,
        tokenizer: Encoder | None = None,
    ) -> None:
        if context_length < 1:
            raise InvalidInput(f"a context of {context_length} tokens.", field="context_length")
        self.tokens = tokens
        self.split = split
        self.context_length = context_length
        self.seed = seed
        self.document_mask = document_mask
        shares = _shares(tokens, split, weights)
        self._sources = [tokens.source(split, name) for name in shares]
        self._interleave = Interleave(list(shares.values()))
        self._infilling = _infilling(tokens, fim, tokenizer)
        groups = fim.groups if fim is not None else None
        self._infilled = [groups is None or tokens.sources[name].group in groups for name in shares]
        # The walk of an epoch is a few integers; a cache spares hashing its key for each sequence.
        self._walk = lru_cache(maxsize=256)(self._walk_of)

    def sequence(self, number: int) -> TokenSequence:
        """Sequence `number`, from 0 without end: a pure function of the seed and the number."""
        index, before = self._interleave(number)
        source = self._sources[index]
        epoch, window = divmod(before, self._windows(source))
        start, permutation = self._walk(index, epoch)
        ids = _ring(source.ids, start + permutation(window) * self.context_length, self.context_length + 1)
        if self._infilling is None or not self._infilled[index]:
            return TokenSequence(ids, len(ids), source.name, epoch)
        draws = Draws(key_of(self.seed, "fim", self.split, number))
        rearranged = self._infilling.rearrange(ids, draws)
        padded = np.full(len(ids), self.tokens.eot_id, dtype=np.int64)
        padded[: len(rearranged)] = rearranged
        return TokenSequence(padded, len(rearranged), source.name, epoch)

    def batch(self, numbers: range) -> "Batch":
        """The sequences with these numbers as one batch, one a row."""
        import torch

        from malmoi.factory.train.batch import IGNORED, Batch

        rows = [self.sequence(number) for number in numbers]
        ids = np.stack([row.ids for row in rows])  # (B, T + 1)
        labels = ids[:, 1:].copy()
        for row, label in zip(rows, labels, strict=True):
            label[max(row.num_tokens - 1, 0) :] = IGNORED
        inputs = torch.from_numpy(ids[:, :-1].copy())
        if not self.document_mask:
            return Batch(inputs, torch.from_numpy(labels))
        positions, documents = document_places(ids[:, :-1], self.tokens.eot_id)
        return Batch(
            inputs, torch.from_numpy(labels), torch.from_numpy(positions), torch.from_numpy(documents)
        )

    def batches(self, size: int, *, start: int = 0) -> Iterator["Batch"]:
        """Batches of `size` sequences one after another, from sequence `start`, without end."""
        while True:
            yield self.batch(range(start, start + size))
            start += size

    def describe(self, num_sequences: int) -> list[MixtureShare]:
        """What the first `num_sequences` sequences take from each source."""
        shares = []
        for index, source in enumerate(self._sources):
            count = self._interleave.count(index, num_sequences)
            shares.append(
                MixtureShare(
                    source=source.name,
                    group=self.tokens.sources[source.name].group,
                    weight=self._interleave.counts[index] / self._interleave.num_slots,
                    sequences=count,
                    tokens=count * self.context_length,
                    epochs=count * self.context_length / source.num_tokens,
                )
            )
        return shares

    def _windows(self, source: SourceTokens) -> int:
        return max(1, source.num_tokens // self.context_length)

    def _walk_of(self, index: int, epoch: int) -> tuple[int, Permutation]:
        source = self._sources[index]
        key = key_of(self.seed, "order", self.split, source.name, epoch)
        return Draws(key).below(source.num_tokens), Permutation(self._windows(source), key)


def document_places(ids: NDArray[np.int64], eot_id: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each token stands in its document, and which document of its row that is.

    The end-of-text token before a document is its position 0.

    Args:
        ids: (B, T).
        eot_id: the end-of-text token.

    Returns:
        Position ids and document ids, both (B, T).
    """
    opens = ids == eot_id
    documents = np.cumsum(opens, axis=1, dtype=np.int64)
    places = np.broadcast_to(np.arange(ids.shape[1], dtype=np.int64), ids.shape)
    starts = np.maximum.accumulate(np.where(opens, places, 0), axis=1)
    return places - starts, documents


def _ring(ids: NDArray[Any], start: int, length: int) -> NDArray[np.int64]:
    """`length` tokens from `start` on, past the end from the beginning again; (length,)."""
    start %= len(ids)
    if start + length <= len(ids):
        return np.asarray(ids[start : start + length], dtype=np.int64)
    return np.asarray(ids[(start + np.arange(length)) % len(ids)], dtype=np.int64)


def _shares(tokens: TokenSet, split: str, weights: Mapping[str, float] | None) -> dict[str, float]:
    if weights is None:
        weights = {name: source.weight for name, source in tokens.sources.items()}
    for name, weight in weights.items():
        if name not in tokens.sources:
            raise UnknownName("source", name, tokens.sources)
        if weight < 0 or weight != weight or weight == float("inf"):
            raise InvalidInput(f"the weight of {name!r} is {weight}.", field=f"weights.{name}")
    shares = {name: weights[name] for name in tokens.names(split) if weights.get(name, 0) > 0}
    if not shares:
        raise InvalidInput(
            f"{tokens.folder}: no source with a weight has tokens in the split {split!r}.",
            fix="Add documents, or give a source that has some a weight.",
        )
    return shares


def _infilling(tokens: TokenSet, fim: FimSettings | None, tokenizer: Encoder | None) -> Infilling | None:
    if fim is None or fim.fim_rate == 0:
        return None
    if tokenizer is None:
        from malmoi.factory.tokenizer.tokenizer import Tokenizer

        tokenizer = Tokenizer.load(tokens.tokenizer_folder)
    return Infilling(fim, tokenizer)
