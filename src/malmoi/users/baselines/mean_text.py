"""The mean of what was read: the floor under every model that reads texts.

A user's vector is the mean of the vectors of the events' texts, newer ones weighing more; items are ranked by
the inner product with their own text's vector. Nothing is learned from anybody's behaviour. Vectors come from
the engine's sentence encoder, or from hashed pieces of words, which need no weights at all.

B histories, M items, U texts, D numbers a vector.
"""

import asyncio
import json
import unicodedata
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from malmoi.core.errors import InvalidInput, ModelFileInvalid
from malmoi.core.files import write_json
from malmoi.core.stage import Progress, SilentProgress
from malmoi.users.base import FitContext, UserModelSettings
from malmoi.users.logs import History, Items, Logs, load_items, save_items

_CONFIG, _VECTORS = "mean-text.json", "items.npy"
_BATCH = 512  # texts between two words of progress
SENTENCE = 512
"""Numbers of the sentence encoder's vectors."""
_LONGEST = 2000  # characters of a text that are read

Vectors = NDArray[np.float32]


class MeanTextSettings(UserModelSettings):
    """How texts become vectors, and how much the past counts."""

    vectors: Literal["sentences", "ngrams"] = "sentences"
    """sentences: the engine's multilingual sentence encoder (512 numbers); ngrams: hashed pieces of words."""
    size: int = Field(512, ge=16, le=65536)
    """With "ngrams": numbers of a vector."""
    decay: float = Field(0.9, gt=0, le=1)
    """What an event weighs beside the one after it; 1: all alike."""
    history_length: int = Field(50, ge=1)
    """Newest events that are read."""


class MeanText:
    """A fitted mean of texts; fitting only reads the items."""

    kind: ClassVar[str] = "mean-text"
    settings_type: ClassVar[type[UserModelSettings]] = MeanTextSettings

    def __init__(self, settings: MeanTextSettings, items: Items, vectors: Vectors) -> None:
        self._settings = settings
        self._items = items
        self._vectors = vectors
        self._known = {text: number for number, text in enumerate(items.texts)}

    @property
    def items(self) -> Items:
        """What it ranks."""
        return self._items

    @property
    def size(self) -> int:
        """Length of its vectors, D."""
        return int(self._vectors.shape[1])

    @classmethod
    def fit(cls, settings: MeanTextSettings, logs: Logs, context: FitContext) -> Self:
        """Compute the items' vectors.

        Raises:
            InvalidInput: there are no items.
            MissingExtra: the sentence encoder is not installed.
        """
        if not len(logs.items):
            raise InvalidInput("there are no items to rank.")
        return cls(settings, logs.items, embed_texts(logs.items.texts, settings, context.progress))

    def score(self, histories: Sequence[History]) -> Vectors:
        """Inner products with the items' vectors, (B, M)."""
        return self.encode(histories) @ self._vectors.T

    def encode(self, histories: Sequence[History]) -> Vectors:
        """Mean of the texts' vectors, of length 1; zeros where there is no text, (B, D)."""
        recent = [history.texts[-self._settings.history_length :] for history in histories]
        flat = self.encode_items([text for texts in recent for text in texts])
        users = np.zeros((len(histories), self.size), dtype=np.float32)
        begin = 0
        for row, texts in enumerate(recent):
            weight = self._settings.decay ** np.arange(len(texts) - 1, -1, -1)
            users[row] = weight @ flat[begin : begin + len(texts)]
            begin += len(texts)
        return _unit(users)

    def encode_items(self, texts: Sequence[str]) -> Vectors:
        """One vector of length 1 a text, (U, D); those of known items are read, not computed."""
        new = list(dict.fromkeys(text for text in texts if text not in self._known))
        computed = dict(zip(new, embed_texts(new, self._settings), strict=True)) if new else {}
        found = np.empty((len(texts), self.size), dtype=np.float32)
        for row, text in enumerate(texts):
            known = self._known.get(text)
            found[row] = computed[text] if known is None else self._vectors[known]
        return found

    def save(self, folder: Path) -> None:
        """Write settings, items and their vectors."""
        write_json(folder / _CONFIG, self._settings.model_dump(mode="json"))
        save_items(self._items, folder)
        np.save(folder / _VECTORS, self._vectors, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ModelFileInvalid: a file is missing or broken, or they do not belong together.
        """
        try:
            settings = MeanTextSettings.model_validate(json.loads((folder / _CONFIG).read_bytes()))
            items = load_items(folder)
            vectors = np.load(folder / _VECTORS, allow_pickle=False)
            if vectors.ndim != 2 or len(vectors) != len(items):
                raise ValueError(f"{_VECTORS} does not fit items.parquet")
        except (OSError, ValueError, KeyError, ValidationError) as error:
            reason = (str(error).splitlines() or ["?"])[0]
            raise ModelFileInvalid(
                f"{folder} holds no mean of texts: {reason}", fix="Fit it again: malmoi users fit."
            ) from error
        return cls(settings, items, vectors)


def embed_texts(
    texts: Sequence[str], settings: MeanTextSettings, progress: Progress | None = None
) -> Vectors:
    """One vector of length 1 a text, (U, D); a text that comes twice is computed once.

    Raises:
        MissingExtra: the sentence encoder is not installed.
    """
    clean = [_clean(text) for text in texts]
    distinct = list(dict.fromkeys(clean))
    with (progress or SilentProgress()).task("Embed texts", total=len(distinct), unit="texts") as task:
        parts = []
        if settings.vectors == "ngrams":
            for start in range(0, len(distinct), _BATCH):
                parts.append(hash_ngrams(distinct[start : start + _BATCH], settings.size))
                task.advance(len(parts[-1]))
        elif distinct:
            parts.append(asyncio.run(_sentences(distinct, task.advance)))
    if not distinct:
        return np.zeros((0, settings.size), dtype=np.float32)
    numbers = {text: number for number, text in enumerate(distinct)}
    return np.concatenate(parts)[[numbers[text] for text in clean]]


def hash_ngrams(texts: Sequence[str], size: int) -> Vectors:
    """Counts of words and of pieces of two and three characters, each at a place that its hash names.

    The sign comes from the hash too, so that pieces at one place cancel on average (Weinberger et al. 2009,
    "Feature Hashing for Large Scale Multitask Learning", arXiv 0902.2206). Rows have length 1.
    """
    rows = np.zeros((len(texts), size), dtype=np.float32)
    for row, text in enumerate(texts):
        for word in text.lower().split():
            padded = f" {word} "
            for n in (2, 3):
                for at in range(len(padded) - n + 1):
                    _count(rows[row], padded[at : at + n])
            _count(rows[row], f"\t{word}")
    return _unit(rows)


def _count(row: Vectors, piece: str) -> None:
    # Python's own hash differs from process to process.
    number = int.from_bytes(blake2b(piece.encode(), digest_size=8).digest(), "little")
    row[(number >> 1) % len(row)] += 1.0 if number & 1 else -1.0


async def _sentences(texts: Sequence[str], advance: Callable[[float], None]) -> Vectors:
    from malmoi.engine.embed import UseEmbedder

    embedder = UseEmbedder()
    try:
        parts = []
        for start in range(0, len(texts), _BATCH):
            parts.append(await embedder.embed(texts[start : start + _BATCH]))
            advance(len(parts[-1]))
        return np.concatenate(parts)
    finally:
        await embedder.close()


def _clean(text: str) -> str:
    """What both kinds of vectors can read: valid Unicode, not too long."""
    return unicodedata.normalize("NFC", text[:_LONGEST].encode("utf-8", "replace").decode("utf-8"))


def _unit(rows: Vectors) -> Vectors:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.maximum(lengths, 1e-12)).astype(np.float32)
