"""The unfinished part of a download: what has arrived, its hash so far, the note of where it came from."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import httpx

from malmoi.core.errors import DownloadFailed, ModelFileInvalid
from malmoi.core.files import full, write_json
from malmoi.engine.catalog.blocking import check

MAX_FILE_BYTES = 2_000_000_000_000
_STEP = 1 << 20
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


@dataclass(frozen=True, slots=True)
class Remote:
    """A file to fetch.

    Attributes:
        url: http or https.
        size: its length, where known.
        sha256: its checksum, where known.
        git_sha1: the checksum of its git blob, where known.
        headers: sent to the first host only.
    """

    url: str
    size: int | None = None
    sha256: str | None = None
    git_sha1: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_checksum(self) -> bool:
        """Whether the contents can be proved at the end."""
        return self.sha256 is not None or self.git_sha1 is not None


@dataclass(frozen=True, slots=True)
class Arrived:
    """A downloaded file."""

    size: int
    sha256: str


class Again(Exception):
    """A failure that another attempt may get over."""


class Part:
    """The unfinished file, its hash so far, and the note of where it came from."""

    def __init__(self, remote: Remote, target: Path) -> None:
        self._remote = remote
        self._target = target
        self.path = target.with_name(f"{target.name}.part")
        self._note_path = target.with_name(f"{target.name}.note")
        self._note: dict[str, Any] = {}
        self._digest = hashlib.sha256()
        self.size = 0
        self.is_whole = False

    def resume(self, stop: Event) -> None:
        """Take up what is there: the finished file, or the part that its note vouches for."""
        self._target.parent.mkdir(parents=True, exist_ok=True)
        if self._target.is_file() and self._target.stat().st_size == self._remote.size:
            self.path, self.is_whole = self._target, True
        else:
            try:
                self._note = json.loads(self._note_path.read_text())
            except (OSError, ValueError):
                self._note = {}
            known = self._note.get("validator") or self._remote.has_checksum
            if self._note.get("url") != self._remote.url or not known or not self.path.is_file():
                self.restart()
                return
        with self.path.open("rb") as file:
            while piece := file.read(_STEP):
                check(stop)
                self._digest.update(piece)
                self.size += len(piece)

    def restart(self) -> None:
        """Forget what has arrived."""
        self.path.write_bytes(b"")
        self._note, self._digest, self.size = {}, hashlib.sha256(), 0

    def request_headers(self) -> dict[str, str]:
        """Ask for the rest, on condition that the file is still the same one."""
        if not self.size:
            return {}
        condition = {"If-Range": self._note["validator"]} if self._note.get("validator") else {}
        return {"Range": f"bytes={self.size}-", **condition}

    def begin(self, response: httpx.Response) -> int:
        """Look at the answer: the rest, or all of it anew. Returns the size of the whole; 0: not told."""
        if response.status_code == 206:
            told = _RANGE.fullmatch(response.headers.get("content-range", ""))
            if told is None or int(told[1]) != self.size:
                self.restart()
                raise Again("the server sent another range than was asked for")
            total = int(told[3]) if told[3].isdigit() else 0
        else:
            self.restart()
            length = response.headers.get("content-length", "")
            total = int(length) if length.isdigit() else 0
        wanted = self._remote.size
        if total > MAX_FILE_BYTES or (wanted is not None and total not in (0, wanted)):
            raise failed(self._remote, f"it has {total} bytes, not {wanted or f'at most {MAX_FILE_BYTES}'}")
        tag = response.headers.get("etag", "")
        validator = tag if tag and not tag.startswith("W/") else response.headers.get("last-modified", "")
        self._note = {"url": self._remote.url, "validator": validator}
        write_json(self._note_path, self._note)
        return total or wanted or 0

    def write(self, pieces: list[bytes]) -> None:
        """Append."""
        try:
            with self.path.open("r+b") as file:
                file.seek(self.size)
                for piece in pieces:
                    if self.size + len(piece) > (self._remote.size or MAX_FILE_BYTES):
                        raise failed(self._remote, "it is larger than it should be")
                    file.write(piece)
                    self._digest.update(piece)
                    self.size += len(piece)
        except OSError as error:
            raise full(error, self.path) from error

    def finish(self, stop: Event) -> Arrived:
        """Check the contents, flush them to disk, and put the file in its place."""
        sha256 = self._digest.hexdigest()
        wrong = ""
        if self._remote.sha256 is not None and sha256 != self._remote.sha256:
            wrong = f"has sha256 {sha256}, not {self._remote.sha256}"
        if self._remote.git_sha1 is not None and (found := self._git_sha1(stop)) != self._remote.git_sha1:
            wrong = f"has the git checksum {found}, not {self._remote.git_sha1}"
        if wrong:
            self.path.unlink()
            self._note_path.unlink(missing_ok=True)
            raise ModelFileInvalid(
                f"{self._target.name} {wrong}; it was removed.",
                fix="Try again; else do not trust its source.",
            )
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        self.path.replace(self._target)
        self._note_path.unlink(missing_ok=True)
        return Arrived(self.size, sha256)

    def _git_sha1(self, stop: Event) -> str:
        """Git's name of a file: SHA-1 of its length and contents."""
        digest = hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)
        with self.path.open("rb") as file:
            while piece := file.read(_STEP):
                check(stop)
                digest.update(piece)
        return digest.hexdigest()


def failed(remote: Remote, why: str) -> DownloadFailed:
    """The error of a download that can be gone on with; the address is told without its query."""
    return DownloadFailed(
        f"{remote.url.partition('?')[0]} could not be downloaded: {why}.",
        fix="Try again: what has arrived is kept.",
    )
