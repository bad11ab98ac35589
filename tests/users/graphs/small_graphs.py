"""Graphs for tests, made from a seed."""

import numpy as np

from malmoi.users.graphs.graph import Graph, sparse_features, undirected


def communities(seed: int = 0, *, nodes: int = 90, classes: int = 3) -> Graph:
    """Nodes of a class know each other, and use words of their class more often than others."""
    random = np.random.default_rng(seed)
    labels = np.arange(nodes) % classes
    same = labels[:, None] == labels[None, :]
    there = np.triu(random.random((nodes, nodes)) < np.where(same, 0.2, 0.01), 1)
    words = random.random((nodes, 8 * classes)) < np.where(
        np.arange(8 * classes)[None] // 8 == labels[:, None], 0.5, 0.1
    )
    order = random.permutation(nodes)
    return Graph(
        features=sparse_features(words.astype(np.float32)),
        labels=labels,
        edges=undirected(np.stack(np.nonzero(there))),
        train=np.sort(order[:15]),
        validation=np.sort(order[15 : 15 + (nodes - 15) * 2 // 5]),
        test=np.sort(order[15 + (nodes - 15) * 2 // 5 :]),
    )
