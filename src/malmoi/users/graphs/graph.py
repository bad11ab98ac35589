"""A graph as data: nodes with features, classes and a split.

N nodes, F features, C classes, E edges. Features are rows of a CSR matrix, because most graphs of documents,
users or items have few words of many a node.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import InvalidInput

UNLABELLED = -1
"""The class of a node that nobody has labelled."""


@dataclass(frozen=True)
class Features:
    """A sparse matrix (N, F) by rows: row n has `data[indptr[n]:indptr[n + 1]]` at `indices[...]`."""

    data: NDArray[np.float32]
    indices: NDArray[np.int64]
    indptr: NDArray[np.int64]
    width: int

    def normalized(self) -> "Features":
        """Every row divided by its sum; a row without a sum stays as it is."""
        counts = np.diff(self.indptr)
        rows = np.repeat(np.arange(len(counts)), counts)
        sums = np.bincount(rows, weights=self.data, minlength=len(counts))
        scale = np.divide(1.0, sums, out=np.ones_like(sums), where=sums != 0)
        return Features((self.data * scale[rows]).astype(np.float32), self.indices, self.indptr, self.width)

    def dense(self) -> NDArray[np.float32]:
        """The whole matrix, (N, F)."""
        whole = np.zeros((len(self.indptr) - 1, self.width), dtype=np.float32)
        rows = np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))
        whole[rows, self.indices] = self.data
        return whole


@dataclass(frozen=True)
class Graph:
    """Nodes, edges, and what is known of the nodes.

    Attributes:
        features: (N, F).
        labels: class of each node, `UNLABELLED` where it is not known, (N,) int64.
        edges: (2, E) int64; every edge in both directions, none twice, none from a node to itself.
        train: nodes to learn from, int64.
        validation: nodes to stop by.
        test: nodes to be judged by.
        nodes: the nodes' names, (N,); None: their numbers.
        classes: the classes' names, (C,); None: their numbers.
    """

    features: Features
    labels: NDArray[np.int64]
    edges: NDArray[np.int64]
    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]
    nodes: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def num_classes(self) -> int:
        """Classes, C."""
        return len(self.classes) if self.classes is not None else int(self.labels.max(initial=0)) + 1


def undirected(edges: NDArray[np.int64]) -> NDArray[np.int64]:
    """The edges in both directions, sorted, each once, without self-loops: (2, E) to (2, E')."""
    both = np.concatenate([edges, edges[::-1]], axis=1)
    both = both[:, both[0] != both[1]]
    return np.ascontiguousarray(np.unique(both, axis=1)).astype(np.int64)


def sparse_features(whole: NDArray[np.float32]) -> Features:
    """A whole matrix (N, F) without its zeros."""
    rows, columns = np.nonzero(whole)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(whole)))]).astype(np.int64)
    return Features(whole[rows, columns], columns.astype(np.int64), indptr, whole.shape[1])


def mutual(graph: Graph) -> Graph:
    """The same with every edge in both directions, once."""
    return replace(graph, edges=undirected(graph.edges))


def check_graph(graph: Graph, source: str) -> Graph:
    """The graph, if its arrays belong together.

    Args:
        graph: to check.
        source: the file or folder that it came from, for messages.

    Raises:
        InvalidInput: an array has the wrong size or names what is not there; the message says which.
    """
    nodes, features = len(graph), graph.features
    if nodes == 0:
        raise InvalidInput(f"{source}: the graph has no nodes.")
    if len(features.indptr) != nodes + 1:
        raise InvalidInput(
            f"{source}: features have {len(features.indptr) - 1} rows, but labels {nodes}.",
            fix="Give one row of features and one label a node.",
        )
    counts = np.diff(features.indptr)
    if features.indptr[0] != 0 or (counts < 0).any() or features.indptr[-1] != len(features.indices):
        raise InvalidInput(
            f"{source}: feature_indptr does not fit feature_indices.", fix="Write the CSR anew."
        )
    if len(features.data) != len(features.indices):
        raise InvalidInput(
            f"{source}: feature_data has {len(features.data)} values, "
            f"but feature_indices {len(features.indices)}.",
            fix="Write the CSR anew.",
        )
    _within(features.indices, features.width, f"{source}: feature_indices", "feature", "feature_shape")
    if not np.isfinite(features.data).all():
        raise InvalidInput(
            f"{source}: feature_data holds values that are not finite.", fix="Remove NaN and inf."
        )
    if graph.edges.ndim != 2 or graph.edges.shape[0] != 2:
        raise InvalidInput(
            f"{source}: edge_index has the shape {graph.edges.shape}, not (2, E).",
            fix="Row 0 holds the sources, row 1 the targets.",
        )
    _within(graph.edges.reshape(-1), nodes, f"{source}: edge_index", "node", "labels")
    if (graph.labels < UNLABELLED).any():
        raise InvalidInput(f"{source}: labels below {UNLABELLED}.", fix=f"Write {UNLABELLED} where unknown.")
    parts = {"train": graph.train, "val": graph.validation, "test": graph.test}
    for name, part in parts.items():
        if len(part) == 0:
            raise InvalidInput(
                f"{source}: {name} names no node.", fix=f"Put some labelled nodes into {name}."
            )
        _within(part, nodes, f"{source}: {name}", "node", "labels")
        if (graph.labels[part] == UNLABELLED).any():
            node = int(part[graph.labels[part] == UNLABELLED][0])
            raise InvalidInput(f"{source}: {name} names node {node}, which has no label.")
        if len(np.unique(part)) != len(part):
            raise InvalidInput(f"{source}: {name} names a node twice.")
    every = np.concatenate(list(parts.values()))
    if len(np.unique(every)) != len(every):
        raise InvalidInput(
            f"{source}: train, val and test share nodes.",
            fix="A figure on nodes that were learned from says nothing; take them out of one.",
        )
    return graph


def _within(values: NDArray[np.int64], limit: int, where: str, what: str, of: str) -> None:
    if len(values) and not 0 <= int(values.min()) <= int(values.max()) < limit:
        bad = int(values.min()) if values.min() < 0 else int(values.max())
        raise InvalidInput(f"{where} names {what} {bad}, but {of} has {limit} (0 to {limit - 1}).")


def draw_split(
    labels: NDArray[np.int64], *, seed: int = 0, of_each: int = 20
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """A split in the manner of Planetoid: `of_each` nodes of every class to learn from, the rest halved.

    At most 500 of the rest validate and at most 1,000 test (Yang et al. 2016, arXiv 1603.08861, section 5.1).

    Args:
        labels: (N,), `UNLABELLED` ones are left out.
        seed: of the draw.
        of_each: at most half of a class is taken.
    """
    random = np.random.default_rng(seed)
    train: list[int] = []
    for label in np.unique(labels[labels != UNLABELLED]):
        members = np.flatnonzero(labels == label)
        train.extend(random.permutation(members)[: min(of_each, max(len(members) // 2, 1))].tolist())
    chosen = np.sort(np.array(train, dtype=np.int64))
    rest = np.setdiff1d(np.flatnonzero(labels != UNLABELLED), chosen)
    rest = random.permutation(rest)
    half = len(rest) // 2
    return chosen, np.sort(rest[:half][:500]), np.sort(rest[half:][:1000])
