"""What all sentence encoders of this house share: a thread of its own, few texts a turn, checked texts."""

from __future__ import annotations

import asyncio
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import EngineUnavailable, InvalidInput, Unsupported
from malmoi.engine.base import Chunk, Completion, EngineInfo, Prompt, Role, Sampling, Score

MAX_CHARACTERS = 8192


class TextEmbedder(ABC):
    """An engine that only embeds. Safe for concurrent use: the work is done in one thread of its own.

    Args:
        name: what it is called.
        size: of a vector.
        description: for people.
        turn: texts that are embedded before others may have theirs.
        threads: for the matrix products. Beside a busy language model two are four times slower than one
            (0.56 against 0.15 s a sentence on two cores), since they wait for each other.
    """

    def __init__(self, *, name: str, size: int, description: str, turn: int, threads: int) -> None:
        self._info = EngineInfo(
            name=name,
            kind="embed",
            capabilities=frozenset({"embed"}),
            # A token is at least one character, so no longer text is ever let in.
            context_length=MAX_CHARACTERS,
            embedding_size=size,
            description=description,
        )
        self._size = size
        self._turn = turn
        self._threads = threads
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embed")
        self._closed = False

    @property
    def info(self) -> EngineInfo:
        """Name, capabilities and limits."""
        return self._info

    async def embed(self, texts: Sequence[str], *, role: Role = "query") -> NDArray[np.float32]:
        """One unit-length vector a text: (N, D). Texts are put into NFC first.

        Raises:
            InvalidInput: a text is longer than `MAX_CHARACTERS` or no valid Unicode; `field` says which.
            MissingExtra: the package is not installed.
            ModelFileInvalid: its weights are broken.
            EngineUnavailable: the engine is closed.
        """
        checked = [_checked(text, place) for place, text in enumerate(texts)]
        vectors = np.zeros((len(texts), self._size), dtype=np.float32)
        loop = asyncio.get_running_loop()
        for start in range(0, len(checked), self._turn):
            batch = checked[start : start + self._turn]
            self._check_open()
            vectors[start : start + len(batch)] = await loop.run_in_executor(
                self._worker, self.encode, batch, role
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
        self._forget()
        self._worker.shutdown(wait=False)

    @abstractmethod
    def _encode(self, texts: list[str], role: Role) -> NDArray[np.float32]:
        """Vectors of any length, (N, D); loads the model if need be. In the worker thread only."""

    @abstractmethod
    def _forget(self) -> None:
        """Let go of the model."""

    def encode(self, texts: list[str], role: Role) -> NDArray[np.float32]:
        """Unit vectors, (N, D), made in the thread that calls: one at a time, and of checked texts."""
        self._check_open()
        vectors = self._encode(texts, role)
        lengths: NDArray[np.float32] = np.linalg.norm(vectors, axis=1, keepdims=True)
        return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)

    def _check_open(self) -> None:
        if self._closed:
            raise EngineUnavailable("the embedder is closed.")

    def _only_embeds(self) -> Unsupported:
        return Unsupported(
            f"the engine {self._info.name!r} only embeds texts.", fix="Choose a language model."
        )


def _checked(text: str, place: int) -> str:
    """The text in NFC: the encoders' vocabularies know no separate jamo."""
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
