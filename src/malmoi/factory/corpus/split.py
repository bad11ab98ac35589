"""Which documents are held out for validation."""

from collections.abc import Sequence

import numpy as np

from malmoi.factory.corpus.dedup import draw

ENOUGH = 20
"""Documents that a source must have for one of them to be held out in any case."""
LARGEST = 0.1
"""Share of the held-out documents that one cluster may make up; larger ones are for training."""


def choose_held_out(
    clusters: np.ndarray,
    kept: np.ndarray,
    ids: Sequence[str],
    sources: Sequence[str],
    share: float,
    seed: int,
) -> np.ndarray:
    """(D,) bool: whether a document is on the validation side.

    A cluster is drawn as a whole, by the id of its first document, so that texts that resemble each other are
    never on both sides; a very large one always stays for training. A source of at least 20 documents from
    which nothing was drawn gives the cluster with its least draw, so that every source can be evaluated.

    Args:
        clusters: (D,) the cluster of each document, by the number of its first document.
        kept: (D,) bool: documents that are no copies of others.
        ids: ids of the documents.
        sources: their sources.
        share: share of the clusters to hold out.
        seed: another seed draws others.
    """
    count = len(clusters)
    if not share or count < 2:
        return np.zeros(count, dtype=bool)
    roots, cluster_of = np.unique(clusters, return_inverse=True)
    draws = np.fromiter(
        (draw(seed, "validation", ids[int(root)]) for root in roots), dtype=np.uint64, count=len(roots)
    )
    sizes = np.bincount(cluster_of[kept], minlength=len(roots))
    small = sizes <= max(4, LARGEST * share * int(kept.sum()))
    held = small & (draws < np.uint64(int(share * 2.0**64)))
    names = np.asarray(sources)
    for name in dict.fromkeys(sources):
        of_source = (names == name) & kept
        own = np.unique(cluster_of[of_source])
        if int(of_source.sum()) < ENOUGH or len(own) < 2 or held[own].any():
            continue
        own = own[small[own]]
        if len(own):
            held[own[np.argmin(draws[own])]] = True
    if held.all():
        held[np.argmax(draws)] = False
    result: np.ndarray = held[cluster_of]
    return result
