"""A text recommender without torch: a vector counts the words of a text by a hash of each word."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from malmoi.core.registry import Registry
from malmoi.core.store import Artifact, Store
from malmoi.users.base import FitContext, Recommender, UserModelSettings
from malmoi.users.logs import History, Items, Logs, load_items, save_items

WORDS = 64


class FakeSettings(UserModelSettings):
    """Nothing can be set."""


class WordCounts:
    """Items whose texts share words with the history, rare words counting as much as others."""

    kind: ClassVar[str] = "word-counts"
    settings_type: ClassVar[type[UserModelSettings]] = FakeSettings
    size = WORDS

    def __init__(self, items: Items) -> None:
        self._items = items
        self.encoded = 0

    @property
    def items(self) -> Items:
        return self._items

    @classmethod
    def fit(cls, settings: Any, logs: Logs, context: FitContext) -> Self:
        return cls(logs.items)

    def encode_items(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = np.zeros((len(texts), WORDS), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.split():
                digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=2).digest()
                vectors[row, int.from_bytes(digest, "big") % WORDS] += 1
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1)

    def encode(self, histories: Sequence[History]) -> NDArray[np.float32]:
        self.encoded += len(histories)
        return np.array(
            [self.encode_items(history.texts).sum(axis=0) for history in histories], dtype=np.float32
        ).reshape(len(histories), WORDS)

    def score(self, histories: Sequence[History]) -> NDArray[np.float32]:
        return self.encode(histories) @ self.encode_items(self._items.texts).T

    def save(self, folder: Path) -> None:
        save_items(self._items, folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        return cls(load_items(folder))


class FirstItems:
    """A recommender without vectors: earlier items are better, and the last item of the history best."""

    kind: ClassVar[str] = "first-items"
    settings_type: ClassVar[type[UserModelSettings]] = FakeSettings

    def __init__(self, items: Items) -> None:
        self._items = items

    @property
    def items(self) -> Items:
        return self._items

    @classmethod
    def fit(cls, settings: Any, logs: Logs, context: FitContext) -> Self:
        return cls(logs.items)

    def score(self, histories: Sequence[History]) -> NDArray[np.float32]:
        rows = np.tile(-np.arange(len(self._items), dtype=np.float32), (len(histories), 1))
        for row, history in zip(rows, histories, strict=True):
            known = history.items[history.items >= 0]
            row[(known + 1) % len(self._items)] += 100  # what follows it in the catalogue
        return rows

    def save(self, folder: Path) -> None:
        save_items(self._items, folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        return cls(load_items(folder))


def fake_kinds() -> Registry[type[Recommender]]:
    registry: Registry[type[Recommender]] = Registry("user_model")
    registry.add("word-counts", WordCounts)
    registry.add("first-items", FirstItems)
    registry.add("needs-more", "not_installed_anywhere:Model")
    return registry


def items_of(texts: Sequence[str], service: Sequence[str] | str = "shop") -> Items:
    names = [service] * len(texts) if isinstance(service, str) else list(service)
    services = tuple(sorted(set(names)))
    return Items(
        ids=tuple(f"i{number}" for number in range(len(texts))),
        texts=tuple(texts),
        services=services,
        service=np.array([services.index(name) for name in names], dtype=np.int16),
    )


def store_model(home: Path, model: Any, name: str = "word-counts", **metadata: Any) -> Artifact:
    """Keep a model as a stage would."""
    store = Store(home / "store")
    with store.new_artifact("users", name, metadata={"kind": model.kind, **metadata}) as folder:
        model.save(folder)
    return store.artifacts("users")[-1]
