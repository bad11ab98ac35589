"""Vectors by which queries find their skills: those of the server's embedder, or else of letters alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from malmoi.assist.skills.routing.ngrams import letter_vectors
from malmoi.serve.documents.embedding import Embedding, NoEmbedder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from malmoi.serve.engines import EnginePool


class RoutingVectors:
    """Embeds queries and examples, unmetered: they are short, and routing is the server's own work.

    Args:
        engines: the models of the server.
        name: of the one that embeds; empty: the usual one.
    """

    def __init__(self, engines: EnginePool, name: str) -> None:
        self._embed = Embedding(engines, name)

    async def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One unit vector a text, (N, D)."""
        try:
            return await self._embed(texts)
        except NoEmbedder:
            return letter_vectors(texts)
