"""Writing a version: the one before with some users changed and some taken out, in a folder of its own."""

import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from malmoi.core.files import new_directory, write_json
from malmoi.users.index import version as versions
from malmoi.users.index.graph import change_graph, write_graph
from malmoi.users.index.version import Facts, Meta, Version

_SCHEMA = """
CREATE TABLE users(
    key TEXT PRIMARY KEY, row INTEGER NOT NULL UNIQUE, digest BLOB NOT NULL, events INTEGER NOT NULL,
    last INTEGER, history BLOB NOT NULL
);
CREATE TABLE texts(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
"""
_COPIED = 65_536  # rows copied at once
_LOOKED_FOR = 1_000
"""Removed vectors up to which the graph is looked through for them; for more it is built anew."""


@dataclass(frozen=True)
class Change:
    """What is new in a version.

    Attributes:
        keys: users to add or replace, each once, (n,).
        vectors: theirs, (n, D).
        facts: what else is kept of them, by key; a user without gets none.
        removed: users to take out; those that are not there do not count.
        watermark: of the new version; None: that of the old one.
    """

    keys: Sequence[str] = ()
    vectors: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))
    facts: Mapping[str, Facts] = field(default_factory=dict)
    removed: Sequence[str] = ()
    watermark: int | None = None


def write_version(folder: Path, base: Version | None, change: Change, *, model: str, size: int) -> None:
    """Fill a new folder; it appears by one rename, when it is whole.

    Args:
        folder: of the new version; it must not be there yet.
        base: the version before; None: begin empty.
        change: what is new.
        model: which model the vectors are of.
        size: their length, D.

    Raises:
        DiskFull: there is no room; nothing is left behind.
    """
    with new_directory(folder) as draft:
        with closing(_open_table(draft / "users.sqlite", base)) as table:
            freed, placed, total, users = _change_table(table, base, change)
        vectors = _write_vectors(draft / "vectors.npy", base, change, freed, placed, (total, size))
        has_graph = users >= versions.EXACT_BELOW
        if has_graph:
            _write_graph(draft / "index.usearch", base, vectors, freed, placed)
        watermark = change.watermark
        if watermark is None and base is not None:
            watermark = base.meta.watermark
        meta = Meta(model=model, size=size, count=users, watermark=watermark, has_graph=has_graph)
        write_json(draft / "meta.json", meta.model_dump(mode="json"))


def _open_table(path: Path, base: Version | None) -> sqlite3.Connection:
    if base is not None:
        shutil.copyfile(base.folder / "users.sqlite", path)
    table = sqlite3.connect(path, isolation_level=None)
    # Nobody else sees the file before it is whole, and `new_directory` syncs it.
    for setting in ("journal_mode=OFF", "synchronous=OFF", "secure_delete=ON", "temp_store=MEMORY"):
        table.execute(f"PRAGMA {setting}")
    if base is None:
        table.executescript(_SCHEMA)
    return table


def _change_table(
    table: sqlite3.Connection, base: Version | None, change: Change
) -> tuple[list[int], list[int], int, int]:
    """Enter the change; gives the freed rows, the rows of `change.keys`, all rows, and the users."""
    table.execute("BEGIN")
    known = base.rows([*change.removed, *change.keys]) if base is not None else {}
    removed = dict.fromkeys(key for key in change.removed if key in known)
    table.executemany("DELETE FROM users WHERE key = ?", [(key,) for key in removed])
    freed = sorted(known[key] for key in removed)
    free = chain(freed, _free_rows(base), count(0 if base is None else len(base.vectors)))
    placed = [known[key] if key in known and key not in removed else next(free) for key in change.keys]
    numbers = _number_texts(table, change)
    for key, row in zip(change.keys, placed, strict=True):
        facts = change.facts.get(key, Facts())
        history = np.array([numbers[text] for text in facts.texts], dtype="<i4").tobytes()
        table.execute(
            "INSERT INTO users(key, row, digest, events, last, history) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT(key) DO UPDATE SET row = excluded.row, digest = excluded.digest, "
            "events = excluded.events, last = excluded.last, history = excluded.history",
            (key, row, facts.digest, facts.events, facts.last, history),
        )
    if known:
        _drop_unused_texts(table)
    total = max([0 if base is None else len(base.vectors), *(row + 1 for row in placed)])
    (users,) = table.execute("SELECT count(*) FROM users").fetchone()
    table.execute("COMMIT")
    if known:
        table.execute("VACUUM")  # so that nothing of what was replaced stays in the file
    left = set(placed)
    return [row for row in freed if row not in left], placed, total, int(users)


def _free_rows(base: Version | None) -> list[int]:
    return [] if base is None else np.flatnonzero(~base.live).tolist()


def _number_texts(table: sqlite3.Connection, change: Change) -> dict[str, int]:
    wanted = dict.fromkeys(text for facts in change.facts.values() for text in facts.texts)
    table.executemany("INSERT OR IGNORE INTO texts(text) VALUES (?)", [(text,) for text in wanted])
    query = "SELECT id FROM texts WHERE text = ?"
    return {text: table.execute(query, (text,)).fetchone()[0] for text in wanted}


def _drop_unused_texts(table: sqlite3.Connection) -> None:
    """A text may tell who somebody was: it goes with the last history that has it."""
    used: set[int] = set()
    for (history,) in table.execute("SELECT history FROM users"):
        used.update(np.frombuffer(history, dtype="<i4").tolist())
    unused = [(number,) for (number,) in table.execute("SELECT id FROM texts") if number not in used]
    table.executemany("DELETE FROM texts WHERE id = ?", unused)


def _write_vectors(
    path: Path,
    base: Version | None,
    change: Change,
    freed: Sequence[int],
    placed: Sequence[int],
    shape: tuple[int, int],
) -> NDArray[np.float32]:
    if not all(shape):
        np.save(path, np.zeros(shape, dtype=np.float32), allow_pickle=False)
        return np.zeros(shape, dtype=np.float32)
    vectors = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    if base is not None:
        for start in range(0, len(base.vectors), _COPIED):
            stop = min(start + _COPIED, len(base.vectors))
            vectors[start:stop] = base.vectors[start:stop]
    if freed:
        vectors[list(freed)] = 0
    if placed:
        vectors[list(placed)] = change.vectors
    vectors.flush()
    return vectors


def _write_graph(
    path: Path,
    base: Version | None,
    vectors: NDArray[np.float32],
    freed: Sequence[int],
    placed: Sequence[int],
) -> None:
    touched = [*freed, *placed]
    old = base.folder / "index.usearch" if base is not None else path
    is_small = len(touched) <= len(vectors) // 4  # filling many nodes anew costs links
    known = 0 if base is None else len(base.vectors)
    before = np.array([row for row in touched if row < known], dtype=np.int64)
    if base is not None and base.meta.has_graph and is_small and len(before) <= _LOOKED_FOR:
        changed = dict(zip(touched, _units(vectors[touched]), strict=True))
        now = {vector.tobytes() for vector in changed.values()}
        gone = [unit for unit in _units(base.vectors[before]) if unit.tobytes() not in now]
        if change_graph(old, path, changed=changed, gone=np.array(gone, dtype=np.float32)):
            return
    write_graph(path, _units(vectors), np.flatnonzero(np.any(vectors, axis=1)))


def _units(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)
