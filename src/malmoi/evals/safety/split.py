"""Splits that share nothing: equal contexts and near-duplicates stay on one side."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from malmoi.evals.safety.datasets import Example

Rows = NDArray[np.int64]
SIMILAR = 0.5
"""Jaccard similarity of the four-character shingles from which two texts go together."""


def find_groups(examples: Sequence[Example]) -> list[str]:
    """Of each example the group it is split with: one name for all that share a context or are much alike.

    Near-duplicates are found by MinHash (factory/corpus/minhash.py). The name is the hash of the group's
    first text in alphabetical order, so that it does not depend on the order of the examples.
    """
    from malmoi.factory.corpus.minhash import MinHashSettings, find_clusters, signatures

    settings = MinHashSettings(
        threshold=SIMILAR, related_threshold=SIMILAR, character_shingle=4, num_bands=32, rows_per_band=3
    )
    texts = [example.text for example in examples]
    parents = find_clusters(signatures(texts, ["ko"] * len(texts), settings), settings).same
    first: dict[str, int] = {}
    for row, example in enumerate(examples):
        if example.group:
            _join(parents, row, first.setdefault(example.group, row))
    roots = [_root(parents, row) for row in range(len(examples))]
    least: dict[int, str] = {}
    for root, text in zip(roots, texts, strict=True):
        least[root] = min(least.get(root, text), text)
    return [hashlib.sha256(least[root].encode()).hexdigest()[:16] for root in roots]


def draw_folds(groups: Sequence[str], count: int, seed: int, what: str) -> Rows:
    """A fold from 0 to `count - 1` for each example, by its group's name: (N,).

    Args:
        groups: of each example.
        count: how many folds.
        seed: of the draw.
        what: another draw for another purpose.
    """
    numbers = [
        int.from_bytes(hashlib.sha256(f"{seed}/{what}/{group}".encode()).digest()[:8], "big")
        for group in groups
    ]
    return np.array([number % count for number in numbers], dtype=np.int64)


def _root(parents: NDArray[np.int64], row: int) -> int:
    while parents[row] != row:
        parents[row] = parents[parents[row]]
        row = int(parents[row])
    return row


def _join(parents: NDArray[np.int64], one: int, other: int) -> None:
    a, b = _root(parents, one), _root(parents, other)
    parents[max(a, b)] = min(a, b)
