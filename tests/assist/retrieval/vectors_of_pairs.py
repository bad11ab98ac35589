"""Vectors of pairs of letters: the same every time, and without weights."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from malmoi.core.hangul import bigrams


async def embed_pairs(texts: Sequence[str]) -> NDArray[np.float32]:
    """Unit vectors, (N, 256)."""
    vectors = np.zeros((len(texts), 256), dtype=np.float32)
    for row, text in enumerate(texts):
        for pair in bigrams(text) or ["?"]:
            vectors[row, sum(ord(char) * 31**place for place, char in enumerate(pair)) % 256] += 1
    unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
