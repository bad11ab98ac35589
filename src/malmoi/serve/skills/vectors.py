"""Vectors by which queries find their skills: those of the server's embedder, or else of letters alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from malmoi.assist.skills.routing.ngrams import letter_vectors
from malmoi.serve.documents.embedding import ALIKE, SEARCH, Embedding, NoEmbedder, search_embedder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from malmoi.serve.engines import EnginePool

_KEPT = 8000  # texts whose vectors are kept: the examples of skills are the same in every index


class RoutingVectors:
    """Embeds queries and examples, unmetered: they are short, and routing is the server's own work.

    Args:
        engines: the models of the server.
        name: of the one that embeds; empty: the usual one. In the place of the one that tells how alike texts
            are, the one for search is taken where it is installed: it finds operations better.
    """

    def __init__(self, engines: EnginePool, name: str) -> None:
        self._embed = Embedding(engines, search_embedder(SEARCH) if name == ALIKE else name)
        self._known: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    async def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One unit vector a text, (N, D)."""
        import numpy as np

        # Taken before the others are made: meanwhile they may make room.
        found = {text: self._known[text] for text in texts if text in self._known}
        new = [text for text in dict.fromkeys(texts) if text not in found]
        if new:
            try:
                found.update(zip(new, await self._embed(new), strict=True))
            except NoEmbedder:
                return letter_vectors(texts)
        for text, vector in found.items():
            self._known[text] = vector
            self._known.move_to_end(text)
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return np.stack([found[text] for text in texts])
