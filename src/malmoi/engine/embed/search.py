"""Two encoders as one: what answers a question (`e5`), and what is alike (`use`).

The cosine of two vectors is the mean of both encoders' cosines. On written questions about Korean documents
the right passage is among the first five for 0.58 of them, and for 0.44 and 0.42 with either encoder alone
(docs/documents.md): each finds what the other does not.

Vectors of `e5` stand close together, those of a language closer still, so that an English question is nearer
to whatever has English words than to the Korean text that answers it. So the mean of its language and role is
taken from each (Yang et al. 2021, arXiv 2109.04727, take away more); `e5_means.npy` has the means.
"""

import re
from functools import cache
from importlib.resources import files
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from malmoi.engine.base import Role
from malmoi.engine.embed.base import TextEmbedder
from malmoi.engine.embed.e5.embedder import E5_SIZE, E5Embedder
from malmoi.engine.embed.use import EMBEDDING_SIZE, UseEmbedder

SEARCH_SIZE = E5_SIZE + EMBEDDING_SIZE
_HANGUL = re.compile("[가-힣]")
_TURN = 4  # texts a turn, as of the slower encoder
_MEANS = {"query": 0, "passage": 2}  # the row for Korean; the one for other languages follows


class SearchEmbedder(TextEmbedder):
    """Embeds questions and passages, so that passages that answer a question are near it.

    Args:
        name: what it is called.
        threads: for the matrix products; see `TextEmbedder`.
        path: the file of the weights of `e5`; None: that of its package.
    """

    def __init__(self, *, name: str = "search", threads: int = 1, path: Path | None = None) -> None:
        super().__init__(
            name=name,
            size=SEARCH_SIZE,
            description="multilingual-e5-small and the multilingual Universal Sentence Encoder together.",
            turn=_TURN,
            threads=threads,
        )
        self._e5 = E5Embedder(threads=threads, path=path)
        self._use = UseEmbedder(threads=threads)

    def _encode(self, texts: list[str], role: Role) -> NDArray[np.float32]:
        answering = self._e5.encode(texts, role)
        rows = [_MEANS[role] + (not _is_korean(text)) for text in texts]
        answering -= _means()[rows]
        answering /= np.maximum(np.linalg.norm(answering, axis=1, keepdims=True), 1e-12)
        return np.concatenate([answering, self._use.encode(texts, role)], axis=1)

    def _forget(self) -> None:
        self._e5._forget()
        self._use._forget()


def _is_korean(text: str) -> bool:
    """Whether any of it is: many Korean texts have English words, few English ones have Korean."""
    return _HANGUL.search(text) is not None


@cache
def _means() -> NDArray[np.float32]:
    content = (files("malmoi.engine.embed") / "e5_means.npy").read_bytes()
    return np.asarray(np.load(BytesIO(content), allow_pickle=False), dtype=np.float32)
