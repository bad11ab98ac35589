"""Rows of token ids that begin alike, as a tree: what they share is computed once.

M nodes. A row needs the tokens before its last one as input: each is a node below the one before it, and
rows that begin alike share their first nodes. Nodes are in the order of a walk that goes deep first, so those
below a node are the ones that come right after it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Row: TypeAlias = tuple[list[int], int]
"""Ids of a context and its continuation, and where the continuation begins."""

_NODES = 512  # of a pack: enough to keep the processor busy, few enough for the square of attention
_SMALL = 32  # a row that adds fewer nodes stays with the row whose context it shares


@dataclass(frozen=True, slots=True)
class Trie:
    """A pack of rows as one tree behind the tokens that are computed already.

    Attributes:
        tokens: (M,) token of each node.
        depths: (M,) place of each node in its rows, counted from 0.
        ends: (M,) the first node that is not below this one.
        paths: for each row the node at each of its places from `kept` on.
        common: how many of the first tokens all rows share.
    """

    tokens: NDArray[np.int64]
    depths: NDArray[np.int64]
    ends: NDArray[np.int64]
    paths: list[list[int]]
    common: int

    @property
    def is_chain(self) -> bool:
        """Whether no node has two below it, as in a plain text."""
        return bool((self.ends == len(self.tokens)).all())

    def visible(self, begin: int, end: int) -> NDArray[np.bool_]:
        """Which nodes each of `begin` to `end` sees, itself and those above it: (end - begin, end)."""
        nodes = np.arange(end)
        return (nodes[None, :] <= nodes[begin:, None]) & (nodes[begin:, None] < self.ends[None, :end])


def packs_of(rows: Sequence[Row]) -> Iterator[list[int]]:
    """Places of rows in packs; rows that begin alike come after each other."""
    pack: list[int] = []
    before: list[int] = []
    nodes, most = 0, _NODES
    for place in sorted(range(len(rows)), key=lambda place: rows[place][0]):
        inputs = rows[place][0][:-1]
        new = len(inputs) - shared(before, inputs)
        if pack and nodes + new > _NODES and (new >= _SMALL or nodes + new > most):
            yield pack
            pack, nodes = [], 0
        if not pack:
            # What one row alone needs may be more than a pack; its sisters are still cheap beside it.
            most = len(inputs) + _NODES
            new = len(inputs)
        pack.append(place)
        nodes += new
        before = inputs
    if pack:
        yield pack


def build_trie(rows: Sequence[Row], *, kept: int) -> Trie:
    """The tree of rows, sorted by their ids, without the first `kept` tokens, which they share."""
    tokens: list[int] = []
    depths: list[int] = []
    ends: list[int] = []
    paths: list[list[int]] = []
    before: list[int] = []
    path: list[int] = []
    common = len(rows[0][0]) - 1
    for ids, _ in rows:
        inputs = ids[:-1]
        same = shared(before, inputs) if paths else kept
        common = min(common, same) if paths else common
        for node in path[same - kept :]:
            ends[node] = len(tokens)
        path = path[: same - kept]
        for depth in range(same, len(inputs)):
            path.append(len(tokens))
            tokens.append(inputs[depth])
            depths.append(depth)
            ends.append(-1)
        paths.append(list(path))
        before = inputs
    for node in path:
        ends[node] = len(tokens)
    return Trie(
        np.array(tokens, dtype=np.int64),
        np.array(depths, dtype=np.int64),
        np.array(ends, dtype=np.int64),
        paths,
        common,
    )


def shared(one: Sequence[int], two: Sequence[int]) -> int:
    """How many of the first ids are the same."""
    length = min(len(one), len(two))
    if one[:length] == two[:length]:
        return length
    return next(place for place in range(length) if one[place] != two[place])
