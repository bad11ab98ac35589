"""Keeping a collection up to date: only users whose history has changed are encoded again.

What was encoded is kept under `work/` in parts, so that a refresh that died goes on where it was.
"""

import hashlib
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import UnknownName
from malmoi.core.files import write_bytes
from malmoi.core.stage import Progress, SilentProgress
from malmoi.users.index.collection import MAX_KEY, Collection, open_collection
from malmoi.users.index.fingerprint import fingerprints
from malmoi.users.index.version import Facts
from malmoi.users.logs import History, Logs

KEPT_TEXTS = 50
"""Newest events of each user that are kept to be shown."""
_PART = 4096  # users encoded between two writes


class Encoder(Protocol):
    """What gives a history its vector: any `users.base.TextRecommender`."""

    @property
    def size(self) -> int:
        """Length of its vectors, D."""
        ...

    def encode(self, histories: Sequence[History]) -> NDArray[np.float32]:
        """One vector a user, (B, D)."""
        ...


@dataclass(frozen=True)
class Refreshed:
    """What a refresh did.

    Attributes:
        encoded: users who are new, or have done something new.
        unchanged: users whose vectors stayed.
        forgotten: users of the logs who were taken out before, and stay out.
        refused: users of the logs whose names are not possible (empty, too long, or with NUL).
        removed: users who are no longer in the logs.
        watermark: time of the newest event, seconds since 1970.
    """

    encoded: int
    unchanged: int
    forgotten: int
    refused: int
    removed: int
    watermark: int | None


def refresh(
    home: Path,
    name: str,
    encoder: Encoder,
    logs: Logs,
    *,
    model: str,
    full: bool = False,
    prune: bool = False,
    batch: int = 256,
    progress: Progress | None = None,
) -> Refreshed:
    """Encode those users of `logs` whose history is not the one that the collection knows.

    Events that come late, with a time before the watermark, count as well: what is compared is the whole
    history. The result is that of encoding everybody; running it twice changes nothing.

    Args:
        home: Malmoi's home.
        name: the collection; it is made if it is not there.
        encoder: gives the vectors.
        logs: all that the users did until now, not the news alone.
        model: which model the vectors are of.
        full: encode everybody into a version of its own; always so when the model is another one.
        prune: take out users who are not in `logs`; older versions keep them until the next change.
        batch: histories encoded at once.
        progress: where it tells how far it is.

    Raises:
        Conflict: another process is writing the collection.
    """
    progress = progress or SilentProgress()
    collection = _find_or_make(home, name, model, encoder.size)
    meta = collection.meta
    full = full or meta.model != model or meta.size != encoder.size
    known = {} if full else collection.active.digests()
    digests = [number.tobytes() for number in fingerprints(logs)]
    out = collection.forgotten(logs.users)
    refused = {key for key in logs.users if not 0 < len(key) <= MAX_KEY or "\0" in key}
    wanted = [
        row
        for row, key in enumerate(logs.users)
        if key not in out and key not in refused and known.get(key) != digests[row]
    ]
    watermark = int(logs.times.max()) if logs.times is not None and len(logs.times) else None
    here = set(logs.users)
    removed = sorted(key for key in known if key not in here) if prune else []
    if wanted or removed or full or watermark != meta.watermark:
        keys = [logs.users[row] for row in wanted]
        work = collection.folder / "work" / _run_name(model, keys, [digests[row] for row in wanted])
        vectors = _encode(encoder, logs, wanted, work, batch, progress)
        facts = {logs.users[row]: _facts(logs, row, digests[row]) for row in wanted}
        if full:
            collection.replace(keys, vectors, model=model, facts=facts, watermark=watermark)
        else:
            collection.upsert(keys, vectors, model=model, facts=facts, removed=removed, watermark=watermark)
        shutil.rmtree(collection.folder / "work", ignore_errors=True)
    unchanged = len(logs) - len(wanted) - len(out) - len(refused)
    return Refreshed(len(wanted), unchanged, len(out), len(refused), len(removed), watermark)


def _find_or_make(home: Path, name: str, model: str, size: int) -> Collection:
    with suppress(UnknownName):
        return open_collection(home, name)
    return Collection.create(home, name, model=model, size=size)


def _run_name(model: str, keys: Sequence[str], digests: Sequence[bytes]) -> str:
    name = hashlib.blake2b(model.encode(), digest_size=16)
    for key, digest in zip(keys, digests, strict=True):
        name.update(key.encode("utf-8", "surrogatepass") + b"\0" + digest)
    return name.hexdigest()


def _encode(
    encoder: Encoder, logs: Logs, rows: Sequence[int], work: Path, batch: int, progress: Progress
) -> NDArray[np.float32]:
    """Vectors of some users of the logs, (n, D); parts that are there from an earlier try are read."""
    for other in work.parent.iterdir() if work.parent.is_dir() else ():
        if other != work:
            shutil.rmtree(other, ignore_errors=True)  # of another state of the logs
    parts = [np.zeros((0, encoder.size), dtype=np.float32)]
    with progress.task("encode users", total=len(rows), unit="users") as task:
        for start in range(0, len(rows), _PART):
            part = rows[start : start + _PART]
            path = work / f"{start:012d}.npy"
            if path.is_file():
                parts.append(np.load(path, allow_pickle=False))
                task.advance(len(part))
                continue
            encoded = []
            for first in range(0, len(part), batch):
                histories = [logs.history(row) for row in part[first : first + batch]]
                encoded.append(np.asarray(encoder.encode(histories), dtype=np.float32))
                task.advance(len(histories))
            parts.append(np.concatenate(encoded))
            buffer = BytesIO()
            np.save(buffer, parts[-1], allow_pickle=False)
            write_bytes(path, buffer.getvalue(), mode=0o600)
    return np.concatenate(parts)


def _facts(logs: Logs, row: int, digest: bytes) -> Facts:
    sequence = logs.sequence(row)
    times = logs.times
    last = int(times[logs.offsets[row + 1] - 1]) if times is not None and len(sequence) else None
    texts = tuple(logs.items.texts[int(number)] for number in sequence[-KEPT_TEXTS:])
    return Facts(digest, len(sequence), last, texts)
