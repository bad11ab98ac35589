"""Users in the plane: principal components, the same ones each time.

n users, D numbers a vector.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Projection:
    """Points of users.

    Attributes:
        keys: of the users, (n,).
        points: each user's place, (n, 2); the origin is the mean.
        explained: which share of all differences the two axes show, 0 to 1.
    """

    keys: tuple[str, ...]
    points: NDArray[np.float64]
    explained: float


def project(keys: Sequence[str], vectors: NDArray[np.float32]) -> Projection:
    """The two directions in which the users' unit vectors differ most.

    An axis may point either way: here its largest component is positive, so that a map does not turn over
    from one call to the next.

    Args:
        keys: of the users, (n,).
        vectors: theirs, (n, D).
    """
    points = np.zeros((len(keys), 2))
    if len(keys) < 2:
        return Projection(tuple(keys), points, 0.0)
    table = np.asarray(vectors, dtype=np.float64)
    lengths = np.linalg.norm(table, axis=1, keepdims=True)
    table = table / np.where(lengths > 0, lengths, 1)
    table -= table.mean(axis=0)
    spread, directions = np.linalg.eigh(table.T @ table)  # in order of growing spread
    axes = directions[:, ::-1][:, :2]  # (D, 2)
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    points[:, : axes.shape[1]] = table @ axes
    total = float(spread.sum())
    return Projection(tuple(keys), points, float(spread[-2:].sum()) / total if total > 0 else 0.0)
