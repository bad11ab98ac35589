"""Texts as sparse rows of n-gram weights, the same that a classifier computes when it is used.

N texts, F buckets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from malmoi.core.stage import Task
from malmoi.engine.classify.folder import NgramSettings
from malmoi.engine.classify.model import count_ngrams
from malmoi.evals.safety.datasets import Example


@dataclass(frozen=True, slots=True)
class Counts:
    """log(1 + count) of the n-grams of texts: a CSR matrix whose columns are buckets as they are hashed."""

    buckets: NDArray[np.int64]
    values: NDArray[np.float32]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The buckets that are known (F,) ascending, and how much each counts (F,)."""

    buckets: NDArray[np.int64]
    idf: NDArray[np.float32]


def count_texts(examples: Sequence[Example], settings: NgramSettings, task: Task | None = None) -> Counts:
    """Count the n-grams of every text with its context."""
    found = []
    for example in examples:
        found.append(count_ngrams(example.text, example.context, settings))
        if task is not None:
            task.advance()
    starts = np.zeros(len(found) + 1, dtype=np.int64)
    np.cumsum([len(buckets) for buckets, _ in found], out=starts[1:])
    empty: list[Any] = [(np.zeros(0, np.int64), np.zeros(0, np.float32))]
    return Counts(
        np.concatenate([buckets for buckets, _ in found or empty]),
        np.concatenate([values for _, values in found or empty]),
        starts,
    )


def build_vocabulary(
    counts: Counts, rows: NDArray[np.int64], *, min_texts: int, weighted: bool
) -> Vocabulary:
    """The buckets of at least `min_texts` of these rows, and their weights.

    Args:
        counts: of all texts.
        rows: those to learn from.
        min_texts: rarer buckets are left out.
        weighted: log((1 + texts) / (1 + texts with it)) + 1 (Spärck Jones 1972, smoothed); else one.
    """
    spans = [counts.buckets[counts.starts[row] : counts.starts[row + 1]] for row in rows]
    buckets, texts = np.unique(np.concatenate(spans), return_counts=True)
    kept = texts >= min_texts
    weights = np.log((1 + len(rows)) / (1 + texts[kept])) + 1 if weighted else np.ones(int(kept.sum()))
    return Vocabulary(buckets[kept], weights.astype(np.float32))


def build_matrix(counts: Counts, vocabulary: Vocabulary) -> Any:
    """A scipy CSR matrix (N, F) of float32, its rows of length one (or empty)."""
    from scipy.sparse import csr_matrix

    place = np.searchsorted(vocabulary.buckets, counts.buckets)
    place[place == vocabulary.buckets.size] = 0
    known = vocabulary.buckets[place] == counts.buckets
    rows = np.repeat(np.arange(len(counts)), np.diff(counts.starts))[known]
    place = place[known]
    values = counts.values[known] * vocabulary.idf[place]
    lengths = np.sqrt(np.bincount(rows, values.astype(np.float64) ** 2, minlength=len(counts)))
    values = (values / lengths[rows]).astype(np.float32)
    starts = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=len(counts)))))
    return csr_matrix((values, place, starts), shape=(len(counts), vocabulary.buckets.size))
