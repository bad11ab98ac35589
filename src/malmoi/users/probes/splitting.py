"""Dividing users so that every class keeps its share."""

import numpy as np
from numpy.typing import NDArray


def stratified(
    labels: NDArray[np.int64], share: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows outside and inside a drawn `share` of each class, at least one of each class on either side.

    Args:
        labels: classes, (N,), each with two users or more.
        share: from 0 to 1.
        seed: of the draw.
    """
    random = np.random.default_rng([seed, len(labels)])
    inside = []
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        inside.append(rows[: int(np.clip(round(share * len(rows)), 1, len(rows) - 1))])
    chosen = np.sort(np.concatenate(inside))
    return np.setdiff1d(np.arange(len(labels)), chosen), chosen
