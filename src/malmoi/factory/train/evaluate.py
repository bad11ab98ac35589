"""Bits per byte on held-out text: a model's loss in a unit that no tokenizer changes.

    bits per byte = (nats of all targets / ln 2) / (UTF-8 bytes of the text)

Every token of the text is a target once; the bytes are those of the text itself. So models with different
vocabularies compare (Gao et al. 2020, "The Pile", arXiv 2101.00027, section 3.1).
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from malmoi.factory.corpus.tokens import EvaluationWindow, TokenSet, document_places, evaluation_windows
from malmoi.factory.train.batch import IGNORED, Batch
from malmoi.factory.train.distributed import ALONE, Ranks, global_sums
from malmoi.factory.train.loss import language_model_loss

ALL = "all"
"""The slice of all text together."""


@dataclass(frozen=True, slots=True)
class BitsPerByte:
    """How well a model foretells a slice of text."""

    nats: float
    """Loss summed over the targets."""
    bytes: int
    """UTF-8 bytes of the text that the targets stand for."""
    num_targets: int

    @property
    def value(self) -> float:
        """Bits per byte."""
        return self.nats / math.log(2) / self.bytes if self.bytes else math.nan

    def __add__(self, other: "BitsPerByte") -> "BitsPerByte":
        return BitsPerByte(
            self.nats + other.nats, self.bytes + other.bytes, self.num_targets + other.num_targets
        )


class _Part(NamedTuple):
    """A batch of windows of one source."""

    source: str
    batch: Batch
    bytes: int


def bits_per_byte(
    model: nn.Module,
    tokens: TokenSet,
    *,
    split: str = "validation",
    context_length: int,
    max_bytes: int | None = None,
    batch_size: int = 8,
    document_mask: bool = False,
    ranks: Ranks = ALONE,
) -> dict[str, BitsPerByte]:
    """Score the documents of a split.

    The result does not depend on `batch_size` or the number of ranks beyond rounding. Products are in float32
    unless the caller opened autocast.

    Args:
        model: a causal language model of transformers.
        tokens: the token files, made with the model's tokenizer.
        split: which documents.
        context_length: T, the most tokens that a prediction sees.
        max_bytes: of each source, in whole documents; None: all.
        batch_size: windows at a time.
        document_mask: keep attention within documents, for a model that was trained so.
        ranks: the processes that share the work; all must call.

    Returns:
        By slice: `all`, each language as `language/ko`, each source as `source/NAME`.
    """
    was_training = model.training
    model.eval()
    sums: dict[str, BitsPerByte] = {}
    try:
        for source in tokens.names(split):
            windows = evaluation_windows(tokens, split, source, context_length, max_bytes)
            parts = _parts(source, windows, batch_size, tokens.eot_id, document_mask)
            sums[source] = _score(model, parts, ranks)
    finally:
        model.train(was_training)
    results: dict[str, BitsPerByte] = {ALL: BitsPerByte(0.0, 0, 0)}
    for source, part in sums.items():
        language = f"language/{tokens.sources[source].language}"
        results[ALL] += part
        results[language] = results.get(language, BitsPerByte(0.0, 0, 0)) + part
    return results | {f"source/{source}": part for source, part in sums.items()}


def figures(results: Mapping[str, BitsPerByte]) -> dict[str, Any]:
    """Results as a line of metrics: `{"bits_per_byte": {slice: value}}`."""
    return {"bits_per_byte": {name: result.value for name, result in results.items()}}


def _score(model: nn.Module, parts: Iterator[_Part], ranks: Ranks) -> BitsPerByte:
    """Every rank takes one batch of each round; who has none runs an empty one, as sharded models need."""
    device = next(model.parameters()).device
    nats, num_bytes, num_targets = 0.0, 0, 0
    while group := list(islice(parts, ranks.world_size)):
        mine = group[ranks.rank] if ranks.rank < len(group) else None
        batch = mine.batch if mine is not None else _empty(group[0].batch)
        with torch.no_grad():
            loss, targets = language_model_loss(model, batch.to(device))
        if mine is not None:
            nats, num_bytes, num_targets = nats + float(loss), num_bytes + mine.bytes, num_targets + targets
    nats, total_bytes, total_targets = global_sums([nats, num_bytes, num_targets], ranks)
    return BitsPerByte(nats, round(total_bytes), round(total_targets))


def _empty(batch: Batch) -> Batch:
    return Batch(
        batch.input_ids, torch.full_like(batch.labels, IGNORED), batch.position_ids, batch.document_ids
    )


def _parts(
    source: str, windows: Iterator[EvaluationWindow], batch_size: int, eot_id: int, document_mask: bool
) -> Iterator[_Part]:
    while rows := list(islice(windows, batch_size)):
        longest = max(len(row.targets) for row in rows)
        ids = np.full((len(rows), longest), eot_id, dtype=np.int64)  # (B, T); what pads is at the right
        labels = np.full((len(rows), longest), IGNORED, dtype=np.int64)
        for number, row in enumerate(rows):
            ids[number, : len(row.targets)] = row.ids[:-1]
            labels[number, : len(row.targets)] = np.where(row.targets, row.ids[1:], IGNORED)
        batch = Batch(torch.from_numpy(ids), torch.from_numpy(labels))
        if document_mask:
            positions, documents = document_places(ids, eot_id)
            batch = Batch(
                batch.input_ids, batch.labels, torch.from_numpy(positions), torch.from_numpy(documents)
            )
        yield _Part(source, batch, sum(row.bytes for row in rows))
