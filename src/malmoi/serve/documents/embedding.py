"""Vectors of passages and questions, by one engine, unmetered and never in large pieces.

Indexing is the server's own work: it is charged to nobody. It embeds a few texts at a time, so that a person
who waits for a vector waits for one such piece at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from malmoi.core.errors import (
    EngineError,
    MalmoiError,
    MissingExtra,
    ModelFileInvalid,
    NotFound,
    UnknownName,
    Unsupported,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from malmoi.assist.retrieval.document import Passage
    from malmoi.engine.base import Role
    from malmoi.serve.engines import EnginePool

_AT_ONCE = 8
_MOST = 8000  # characters of a text; engines refuse longer ones


class NoEmbedder(MalmoiError):
    """There is no engine that embeds here; documents are found by their words alone."""

    code = "no_embedder"


SEARCH = "search"
"""The encoder that finds what answers a question; some of its weights may be missing."""
ALIKE = "use"
"""The encoder that tells how alike texts are."""


def search_embedder(name: str) -> str:
    """The model that embeds passages and questions: the one of the settings, if its weights are here."""
    if name != SEARCH:
        return name
    from malmoi.engine.embed import E5Embedder

    return SEARCH if E5Embedder.is_installed() else ALIKE


def alike_embedder(name: str) -> str:
    """The model that tells how alike texts are, on a server that searches with the model `name`."""
    return ALIKE if name == SEARCH else name


class Embedding:
    """An engine that embeds texts.

    Args:
        engines: the models of the server.
        name: of the model; empty: the one that embeds when a request names none.
    """

    def __init__(self, engines: EnginePool, name: str) -> None:
        self._engines = engines
        self._name = name

    async def __call__(self, texts: Sequence[str], *, role: Role = "query") -> NDArray[np.float32]:
        """One unit vector a text, (N, D).

        Args:
            texts: what is embedded.
            role: what the texts are; texts that are compared with each other are all queries.

        Raises:
            NoEmbedder: no such engine is here, or its files are broken.
            EngineError: it failed, or cannot answer now.
        """
        import numpy as np

        pieces = []
        try:
            async with self._engines.lease(self._engines.resolve(self.name)) as engine:
                if "embed" not in engine.info.capabilities:
                    raise NoEmbedder(
                        f"the model {self.name!r} makes no embeddings.", fix="Change documents.embedder."
                    )
                for start in range(0, len(texts), _AT_ONCE):
                    batch = [text[:_MOST] or " " for text in texts[start : start + _AT_ONCE]]
                    pieces.append(await engine.embed(batch, role=role))
        except (MissingExtra, ModelFileInvalid, NotFound, UnknownName, Unsupported) as error:
            raise NoEmbedder(error.message, fix=error.fix) from error
        vectors = np.concatenate(pieces)
        if vectors.shape[0] != len(texts) or not np.isfinite(vectors).all():
            raise EngineError(f"the model {self.name!r} gave vectors that are none.")
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: NDArray[np.float32] = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
        return unit

    @property
    def name(self) -> str:
        """The model that embeds."""
        return self._name or self._engines.default_embedder

    def label(self, size: int) -> str:
        """What vectors of this model are marked with: vectors of another size are never compared."""
        return f"{self.name}:{size}"


def passage_texts(passage: Passage, text: str, title: str) -> list[str]:
    """The texts whose vectors stand for a passage.

    Args:
        passage: the passage.
        text: its words.
        title: of its document.
    """
    above = [title, *passage.headings] if title and title not in passage.headings else passage.headings
    return [" ".join([*above, text])]
