"""k-means: centroids of vectors (Lloyd 1982), begun by k-means++ (Arthur and Vassilvitskii 2007)."""

import torch
from torch import Tensor

_ROUNDS = 20


def centroids(vectors: Tensor, count: int, *, seed: int, most: int = 20_000) -> Tensor:
    """Centroids of clusters, (count, D); fewer vectors than clusters give some centroid several times.

    Args:
        vectors: (N, D), N at least 1.
        count: of clusters.
        seed: of the first centroids, and of the sample.
        most: vectors that are looked at; of more a sample is drawn.
    """
    random = torch.Generator().manual_seed(seed)
    if len(vectors) > most:
        vectors = vectors[torch.randperm(len(vectors), generator=random)[:most]]
    found = _spread(vectors, count, random)
    for _ in range(_ROUNDS):
        nearest = torch.cdist(vectors, found).argmin(1)
        sums = torch.zeros_like(found).index_add_(0, nearest, vectors)
        counts = torch.bincount(nearest, minlength=count)[:, None]
        moved = torch.where(counts > 0, sums / counts.clamp(min=1), found)  # an empty cluster stays
        if torch.equal(moved, found):
            break
        found = moved
    return found


def _spread(vectors: Tensor, count: int, random: torch.Generator) -> Tensor:
    """First centroids: each drawn with the square of its distance to those before it."""
    chosen = [int(torch.randint(len(vectors), (), generator=random))]
    square = (vectors - vectors[chosen[0]]).square().sum(1)
    while len(chosen) < count:
        share = square if float(square.sum()) > 0 else torch.ones_like(square)
        chosen.append(int(torch.multinomial(share, 1, generator=random)))
        square = torch.minimum(square, (vectors - vectors[chosen[-1]]).square().sum(1))
    return vectors[chosen].clone()
