"""Checkpoints that are whole or not there, and a loader that takes the newest whole one.

    <folder>/step-00000040/state/...       tensors, written by torch.distributed.checkpoint (DCP)
    <folder>/step-00000040/manifest.json   sha256 and size of every file, and the facts: tokens, rates ...
    <folder>/LATEST                        the newest one's name, for people and scripts

A checkpoint is written as `step-N.tmp`, synced, given its manifest, and renamed; older ones go only after
that. The loader trusts nothing but the manifest: it walks from the newest step back to the first one whose
files all have their sums. What is newer than that is damaged and is removed, so that the run can write it
again. Tensors are global, so another number of ranks can read them. Only tensors go into DCP; everything else
is JSON.

A full disk is no reason to stop training: the half-written folder is removed, the person is told, and the
last good checkpoint stays.
"""

import errno
import hashlib
import json
import re
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException

from malmoi import __version__
from malmoi.core.errors import Conflict
from malmoi.core.files import sync_directory, write_json, write_text
from malmoi.factory.train.distributed import ALONE, Ranks, agree, broadcast_number

_MANIFEST = "manifest.json"
_STATE = "state"
_NAME = re.compile(r"step-(\d{8,})")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_SPARE = 1.2
"""Free space wanted before a save, as a multiple of the last checkpoint's size."""


class CheckpointManifest(BaseModel):
    """What a checkpoint holds; its presence with right sums makes the checkpoint whole."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    step: int
    identity: str
    """Digest of everything that must be the same for a run to go on from here."""
    version: str
    torch: str
    world_size: int
    facts: dict[str, Any]
    """The caller's numbers: tokens, optimizer, schedule, data order, random numbers."""
    files: dict[str, tuple[int, str]]
    """Path in the checkpoint -> size in bytes and sha256."""


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: where they lie; all ranks see the same one.
        identity: settings and inputs of the run; a checkpoint of another identity is refused.
        keep: how many to keep.
        ranks: the processes that save and load together.
        note: tells the person what went wrong or was skipped.
    """

    def __init__(
        self,
        folder: Path,
        identity: Mapping[str, Any],
        *,
        keep: int = 2,
        ranks: Ranks = ALONE,
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        text = json.dumps(identity, sort_keys=True, ensure_ascii=False)
        self.folder = folder
        self.identity = hashlib.sha256(text.encode()).hexdigest()
        self._keep = keep
        self._ranks = ranks
        self._note = note

    def save(self, step: int, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> bool:
        """Write the checkpoint of `step`; False when there was no room, and then nothing has changed.

        Every rank calls it. `facts` must be JSON values.
        """
        name = f"step-{step:08d}"
        temporary = self.folder / f"{name}.tmp"
        if not agree(self._has_room(tensors), self._ranks):
            self._say(f"There is no room for the checkpoint of step {step}; training goes on without it.")
            return False
        error: OSError | None = None
        try:
            if self._ranks.first:
                shutil.rmtree(temporary, ignore_errors=True)
                (temporary / _STATE).mkdir(parents=True)
            agree(True, self._ranks)  # the folder is there before others write into it
            with _quiet():
                dcp.save(
                    dict(tensors),
                    storage_writer=dcp.FileSystemWriter(temporary / _STATE, sync_files=True),
                    no_dist=not self._ranks.many,
                )
            if self._ranks.first:
                self._finish(temporary, name, step, facts)
        except CheckpointException as failure:
            error = _disk_error(failure)
        except OSError as failure:
            if failure.errno not in _NO_ROOM:
                raise
            error = failure
        if agree(error is None, self._ranks):
            return True
        if self._ranks.first:
            shutil.rmtree(temporary, ignore_errors=True)
        self._say(
            f"The checkpoint of step {step} could not be written (no room on the disk); training goes on, "
            "and the last good checkpoint is kept. Free some disk space."
        )
        return False

    def load(self, tensors: Mapping[str, Tensor]) -> CheckpointManifest | None:
        """Fill the tensors in place from the newest whole checkpoint; None where there is none.

        Every rank calls it, with the names that were saved.

        Raises:
            Conflict: the checkpoint belongs to other settings or inputs.
        """
        found = self._newest() if self._ranks.first else None
        step = broadcast_number(-1 if found is None else found.step, self._ranks)
        if step < 0:
            return None
        path = self.folder / f"step-{step:08d}"
        manifest = _read_manifest(path)
        assert manifest is not None, "rank 0 has just read it"
        if manifest.identity != self.identity:
            raise Conflict(
                f"{path} was written by a run with other settings or inputs.",
                fix=f"Remove {self.folder} to begin again, or use the old settings.",
            )
        if manifest.version != __version__ or manifest.torch != torch.__version__:
            self._say(
                f"The checkpoint was written by malmoi {manifest.version} with torch {manifest.torch}; "
                "the result can differ in the last digits."
            )
        with _quiet():
            dcp.load(
                dict(tensors),
                storage_reader=dcp.FileSystemReader(path / _STATE),
                no_dist=not self._ranks.many,
            )
        return manifest

    def _finish(self, temporary: Path, name: str, step: int, facts: Mapping[str, Any]) -> None:
        """Seal what all ranks have written, give it its name, and let the oldest go."""
        names = sorted(path for path in temporary.rglob("*") if path.is_file())
        manifest = CheckpointManifest(
            step=step,
            identity=self.identity,
            version=__version__,
            torch=torch.__version__,
            world_size=self._ranks.world_size,
            facts=dict(facts),
            files={path.relative_to(temporary).as_posix(): _sum(path) for path in names},
        )
        sync_directory(temporary / _STATE)
        write_json(temporary / _MANIFEST, manifest.model_dump(mode="json"))
        final = self.folder / name
        shutil.rmtree(final, ignore_errors=True)
        temporary.rename(final)
        sync_directory(self.folder)
        write_text(self.folder / "LATEST", f"{name}\n")
        for _, old in sorted(self._present(), reverse=True)[self._keep :]:
            shutil.rmtree(old, ignore_errors=True)

    def _newest(self) -> CheckpointManifest | None:
        """The newest whole checkpoint; removes what a crash left half done, and what is damaged and newer."""
        for leftover in self.folder.glob("step-*.tmp"):
            shutil.rmtree(leftover, ignore_errors=True)
        damaged = []
        found = None
        for step, path in sorted(self._present(), reverse=True):
            manifest = _read_manifest(path)
            if manifest is not None and manifest.step == step and _is_whole(path, manifest):
                found = manifest
                break
            damaged.append(path)
        for path in damaged:
            self._note(f"The checkpoint {path.name} is damaged and is left out.")
            shutil.rmtree(path, ignore_errors=True)
        return found

    def _present(self) -> Iterator[tuple[int, Path]]:
        if self.folder.is_dir():
            for path in self.folder.iterdir():
                match = _NAME.fullmatch(path.name)
                if match and path.is_dir():
                    yield int(match[1]), path

    def _has_room(self, tensors: Mapping[str, Tensor]) -> bool:
        if not self._ranks.first:
            return True
        self.folder.mkdir(parents=True, exist_ok=True)
        newest = max(self._present(), default=None)
        manifest = _read_manifest(newest[1]) if newest else None
        if manifest is not None:
            size = sum(size for size, _ in manifest.files.values())
        else:
            size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
        return shutil.disk_usage(self.folder).free >= _SPARE * size

    def _say(self, text: str) -> None:
        if self._ranks.first:
            self._note(text)


@contextmanager
def _quiet() -> Iterator[None]:
    """DCP warns that a single process has no process group; here that is meant."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled", category=UserWarning)
        yield


def _read_manifest(path: Path) -> CheckpointManifest | None:
    try:
        return CheckpointManifest.model_validate_json((path / _MANIFEST).read_bytes())
    except (OSError, ValidationError):
        return None


def _is_whole(path: Path, manifest: CheckpointManifest) -> bool:
    try:
        return all(_sum(path / name) == expected for name, expected in manifest.files.items())
    except OSError:
        return False


def _sum(path: Path) -> tuple[int, str]:
    with path.open("rb") as file:
        return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()


def _disk_error(failure: CheckpointException) -> OSError:
    """The lack of room behind the errors that DCP has collected from the ranks.

    Raises:
        CheckpointException: it was something else.
    """
    for error, _ in failure.failures.values():
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            return error
        # torch's archive writer finds the file shorter than what it has written.
        if isinstance(error, RuntimeError) and "inline_container.cc" in str(error):
            return OSError(errno.ENOSPC, "a write came out short")
    raise failure
