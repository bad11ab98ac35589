"""One version of a collection: a folder that never changes, and how it is searched.

R rows, of which some may be free; N users; D numbers a vector.

    meta.json        model, size, count, watermark; written last
    users.sqlite     users(key, row, digest, events, last, history), texts(id, text)
    vectors.npy      (R, D) float32, mapped; a free row is zero
    index.usearch    graph over the rows of unit length; only where N is large

Similarity is the cosine. Below `EXACT_BELOW` users, and always where `allowed` names some, it is one matrix
product over all rows; above, the graph proposes candidates and the exact cosine orders them.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from malmoi.core.errors import InvalidInput, NotFound

EXACT_BELOW = 50_000
"""Users up to which search compares with everybody."""
_PROPOSED = 4  # candidates of the graph for each user that is asked for
_LEAST_PROPOSED = 64
_AT_ONCE = 500  # values in one SQL list


class Meta(BaseModel):
    """What a version is; `watermark` is the time of the newest event in it, in seconds since 1970."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    model: str
    size: int
    count: int
    watermark: int | None = None
    has_graph: bool = False


@dataclass(frozen=True)
class Facts:
    """What is kept of a user beside the vector.

    Attributes:
        digest: of the whole history, so that a refresh sees whether anything is new.
        events: how many there were.
        last: time of the newest, seconds since 1970; None: not known.
        texts: the newest of them, oldest first.
    """

    digest: bytes = b""
    events: int = 0
    last: int | None = None
    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """The nearest users of one vector, nearest first.

    Attributes:
        keys: of the users, (k,).
        scores: cosines, (k,).
    """

    keys: tuple[str, ...]
    scores: NDArray[np.float32]


class Version:
    """One version, open for reading; it stays readable when a newer one takes its place.

    Args:
        folder: as `draft.write_version` filled it.

    Raises:
        NotFound: the folder holds no version.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.meta = Meta.model_validate_json((folder / "meta.json").read_bytes())
        except (FileNotFoundError, ValidationError) as error:
            raise NotFound(
                f"{folder} holds no vectors of users.", fix="Make the collection again."
            ) from error
        self.vectors: NDArray[np.float32] = np.load(folder / "vectors.npy", mmap_mode="r", allow_pickle=False)
        address = f"file:{quote(str(folder / 'users.sqlite'))}?mode=ro&immutable=1"
        self._table = sqlite3.connect(address, uri=True, check_same_thread=False)
        self._lock = Lock()

    def close(self) -> None:
        """Close the table."""
        self._table.close()

    def __len__(self) -> int:
        return self.meta.count

    def rows(self, keys: Sequence[str]) -> dict[str, int]:
        """The rows of those users that are here."""
        found: dict[str, int] = {}
        for part in _parts(keys):
            marks = ",".join("?" * len(part))
            found.update(self._ask(f"SELECT key, row FROM users WHERE key IN ({marks})", part))  # noqa: S608
        return found

    def keys_of(self, rows: Sequence[int]) -> dict[int, str]:
        """The users of some rows."""
        found: dict[int, str] = {}
        for part in _parts([int(row) for row in rows]):
            marks = ",".join("?" * len(part))
            found.update(self._ask(f"SELECT row, key FROM users WHERE row IN ({marks})", part))  # noqa: S608
        return found

    def keys(self, *, beginning: str = "", after: str = "", limit: int = 100) -> list[str]:
        """Users in the order of their keys.

        Args:
            beginning: what the keys begin with.
            after: the last one of the page before.
            limit: most to give.
        """
        query = (
            "SELECT key FROM users WHERE key > ? AND key >= ? AND substr(key, 1, ?) = ? ORDER BY key LIMIT ?"
        )
        return [key for (key,) in self._ask(query, [after, beginning, len(beginning), beginning, limit])]

    def sample(self, limit: int) -> list[str]:
        """Up to `limit` users spread evenly over the rows: the same ones each time."""
        rows = np.flatnonzero(self.live)
        if len(rows) > limit:
            rows = rows[np.linspace(0, len(rows) - 1, limit).astype(np.int64)]
        found = self.keys_of(rows.tolist())
        return [found[int(row)] for row in rows]

    def vectors_of(self, keys: Sequence[str]) -> tuple[list[str], NDArray[np.float32]]:
        """Those of the users that are here, in the order asked for, and their vectors, (n, D)."""
        rows = self.rows(keys)
        here = [key for key in keys if key in rows]
        return here, np.asarray(self.vectors[[rows[key] for key in here]], dtype=np.float32)

    def facts(self, key: str) -> Facts | None:
        """What is kept of a user; None: not here."""
        query = "SELECT digest, events, last, history FROM users WHERE key = ?"
        for digest, events, last, history in self._ask(query, [key]):
            numbers = np.frombuffer(history, dtype="<i4").tolist()
            texts: dict[int, str] = {}
            for part in _parts(sorted(set(numbers))):
                marks = ",".join("?" * len(part))
                texts.update(self._ask(f"SELECT id, text FROM texts WHERE id IN ({marks})", part))  # noqa: S608
            return Facts(digest, events, last, tuple(texts[number] for number in numbers))
        return None

    def digests(self) -> dict[str, bytes]:
        """Of everybody's history, by key."""
        return dict(self._ask("SELECT key, digest FROM users", []))

    def search(
        self,
        vectors: NDArray[np.float32],
        k: int,
        *,
        allowed: Sequence[str] | None = None,
        exact: bool | None = None,
    ) -> list[Found]:
        """The `k` nearest users of each vector, fewer where there are not so many.

        Args:
            vectors: (B, D).
            k: how many.
            allowed: only these users; those that are not here do not count.
            exact: compare with everybody; None: where the collection is small.

        Raises:
            InvalidInput: the vectors have another size.
        """
        asked = _unit(np.atleast_2d(np.asarray(vectors, dtype=np.float32)))
        if asked.shape[1] != self.meta.size:
            raise InvalidInput(
                f"the vectors have {asked.shape[1]} numbers, those of this collection {self.meta.size}."
            )
        if allowed is not None:
            rows = np.array(sorted(self.rows(allowed).values()), dtype=np.int64)
        elif self.meta.has_graph and exact is not True:
            return self._by_graph(asked, k)
        else:
            rows = np.flatnonzero(self.live)
        if k < 1 or not len(rows):
            return [Found((), np.zeros(0, dtype=np.float32)) for _ in asked]
        scores = asked @ (self.vectors if len(rows) == len(self.vectors) else self.vectors[rows]).T
        scores /= self.norms[rows]
        return self._named([rows] * len(asked), scores, k)

    @cached_property
    def live(self) -> NDArray[np.bool_]:
        """Which rows hold a user, (R,)."""
        taken = np.zeros(len(self.vectors), dtype=np.bool_)
        taken[[row for (row,) in self._ask("SELECT row FROM users", [])]] = True
        return taken

    @cached_property
    def norms(self) -> NDArray[np.float32]:
        """Lengths of the rows, 1 in place of 0, (R,)."""
        lengths = np.linalg.norm(self.vectors, axis=1)
        return np.where(lengths > 0, lengths, 1).astype(np.float32)

    @cached_property
    def _graph(self) -> Any:
        from malmoi.users.index.graph import open_graph

        return open_graph(self.folder / "index.usearch", view=True)

    def _by_graph(self, asked: NDArray[np.float32], k: int) -> list[Found]:
        wanted = max(_LEAST_PROPOSED, _PROPOSED * k)
        with self._lock:
            graph = self._graph
        # Searching a graph that lies in a file is safe from several threads.
        matches = graph.search(asked, wanted, threads=1)
        rows: list[NDArray[np.int64]] = []
        scores: list[NDArray[np.float32]] = []
        for query, keys in zip(asked, np.atleast_2d(matches.keys), strict=True):
            proposed = np.unique(keys.astype(np.int64))
            proposed = proposed[(proposed >= 0) & (proposed < len(self.live))]
            proposed = proposed[self.live[proposed]]
            rows.append(proposed)
            scores.append((self.vectors[proposed] @ query) / self.norms[proposed])
        return self._named(rows, scores, k)

    def _named(self, rows: Sequence[NDArray[np.int64]], scores: Any, k: int) -> list[Found]:
        found = []
        for numbers, values in zip(rows, scores, strict=True):
            best = np.argpartition(-values, k - 1)[:k] if k < len(values) else np.arange(len(values))
            best = best[np.lexsort((best, -values[best]))]
            names = self.keys_of(numbers[best].tolist())
            keys = tuple(names[int(row)] for row in numbers[best])
            found.append(Found(keys, np.asarray(values[best], dtype=np.float32)))
        return found

    def _ask(self, query: str, values: Sequence[Any]) -> list[Any]:
        with self._lock:
            return self._table.execute(query, tuple(values)).fetchall()


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)


def _parts(values: Sequence[Any]) -> list[Sequence[Any]]:
    return [values[start : start + _AT_ONCE] for start in range(0, len(values), _AT_ONCE)]
