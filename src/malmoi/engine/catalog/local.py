"""Models that lie on this machine already: used in place, or copied."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Event

from malmoi.core.errors import ModelFileInvalid
from malmoi.core.files import full
from malmoi.engine.catalog.blocking import check, in_thread
from malmoi.engine.catalog.disk import require_room
from malmoi.engine.catalog.job import MODEL_FILE, Fetched, Job
from malmoi.engine.catalog.manifest import FileRecord, hash_file
from malmoi.engine.catalog.source import PathSource
from malmoi.engine.modelfile import ModelFileInfo, check_model_async

_STEP = 1 << 20


async def fetch_path(source: PathSource, job: Job, *, copy: bool) -> Fetched:
    """Check a GGUF file or model folder, and record its checksums; with `copy`, copy it to `ready`.

    Raises:
        ModelFileInvalid: it must not be loaded.
        DiskFull: no room for the copy.
    """
    info = await check_model_async(source.path)
    files = _files(source.path, info)
    if copy:
        require_room(job.workspace, info.size_bytes)
    job.meter.stage("assemble" if copy else "verify", info.size_bytes)
    records, done = [], 0
    for name, path in files:
        before = done

        def report(count: int, before: int = before) -> None:
            job.meter.at(before + count)

        if copy:
            sha256 = await _copied(path, job.ready / name, report)
        else:
            sha256 = await in_thread(lambda stop, path=path: hash_file(path, stop))  # type: ignore[misc]
        size = path.stat().st_size
        records.append(FileRecord(path=name, size=size, sha256=sha256))
        done += size
        job.meter.at(done)
    if job.sha256 is not None and (len(records) != 1 or records[0].sha256 != job.sha256):
        raise ModelFileInvalid(f"{source.path}: does not have the sha256 {job.sha256}.")
    return Fetched(tuple(records), None if copy else source.path)


def _files(path: Path, info: ModelFileInfo) -> list[tuple[str, Path]]:
    """(name below the model's folder, file)."""
    if info.folder is not None:
        return [(name, path / name) for name in info.folder.files]
    if info.gguf is None:
        raise ModelFileInvalid(
            f"{path}: is a file of weights alone.", fix="Give the folder with its config.json and tokenizer."
        )
    return [(MODEL_FILE, path)]


async def _copied(path: Path, target: Path, report: Callable[[int], None]) -> str:
    def work(stop: Event) -> str:
        digest = hashlib.sha256()
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with path.open("rb") as source, target.open("wb") as out:
                while piece := source.read(_STEP):
                    check(stop)
                    digest.update(piece)
                    out.write(piece)
                out.flush()
                os.fsync(out.fileno())
            shutil.copymode(path, target)
        except OSError as error:
            raise full(error, target) from error
        return digest.hexdigest()

    sha256 = await in_thread(work)
    report(target.stat().st_size)
    return sha256
