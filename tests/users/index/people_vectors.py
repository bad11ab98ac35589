"""Collections with known vectors, and an encoder that anybody can check by hand."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from malmoi.users.index import Collection, Facts
from malmoi.users.logs import History, Items, Logs

SIZE = 8


def random_vectors(count: int, seed: int = 0, size: int = SIZE) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(count, size)).astype(np.float32)


def keys(count: int) -> list[str]:
    return [f"user-{number:04d}" for number in range(count)]


def filled(home: Path, count: int, *, seed: int = 0, size: int = SIZE) -> Collection:
    """A collection `people` of model `m1`, with a history of two texts each."""
    collection = Collection.create(home, "people", model="m1", size=size)
    names = keys(count)
    facts = {key: Facts(b"d", 2, 10, (f"책 {number}", "모두의 책")) for number, key in enumerate(names)}
    collection.upsert(names, random_vectors(count, seed, size), model="m1", facts=facts)
    return collection


def bytes_anywhere(folder: Path, wanted: bytes) -> list[str]:
    """The files under a folder that hold some bytes."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and wanted in path.read_bytes()
    )


class CountingEncoder:
    """A vector is the number of characters, the number of events, and the code of the last character."""

    size = 3

    def __init__(self) -> None:
        self.seen: list[tuple[str, ...]] = []
        self.fails_after: int | None = None

    def encode(self, histories: Sequence[History]) -> NDArray[np.float32]:
        rows = []
        for history in histories:
            if self.fails_after is not None and len(self.seen) >= self.fails_after:
                raise RuntimeError("the machine has stopped")
            self.seen.append(history.texts)
            text = "".join(history.texts)
            rows.append([len(text), len(history), ord(text[-1]) if text else 0])
        return np.array(rows, dtype=np.float32).reshape(len(rows), 3)


def logs_of(histories: dict[str, list[str]], *, start: int = 1000) -> Logs:
    """Logs in which every event of everybody comes a second after the one before."""
    texts = sorted({text for history in histories.values() for text in history})
    number = {text: place for place, text in enumerate(texts)}
    events = [number[text] for history in histories.values() for text in history]
    lengths = [len(history) for history in histories.values()]
    return Logs(
        users=tuple(histories),
        items=Items(
            tuple(f"i{n}" for n in range(len(texts))), tuple(texts), ("shop",), np.zeros(len(texts), np.int16)
        ),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        events=np.array(events, dtype=np.int32),
        times=np.concatenate([np.arange(n) + start for n in lengths] or [np.zeros(0)]).astype(np.int64),
    )
