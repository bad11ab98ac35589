"""Vectors of pairs of letters: the same every time, and without weights."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from malmoi.core.hangul import bigrams
from malmoi.engine.base import Role
from malmoi.engine.embed import EMBEDDING_SIZE, UseEmbedder


async def embed_pairs(texts: Sequence[str]) -> NDArray[np.float32]:
    """Unit vectors, (N, 512)."""
    vectors = np.zeros((len(texts), EMBEDDING_SIZE), dtype=np.float32)
    for row, text in enumerate(texts):
        for pair in bigrams(text) or ["?"]:
            place = sum(ord(char) * 31**place for place, char in enumerate(pair)) % EMBEDDING_SIZE
            vectors[row, place] += 1
    unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


class PairEmbedder(UseEmbedder):
    """An engine of such vectors."""

    async def embed(self, texts: Sequence[str], *, role: Role = "query") -> NDArray[np.float32]:
        """Unit vectors, (N, 512)."""
        return await embed_pairs(texts)
