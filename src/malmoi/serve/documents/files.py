"""The files as they were uploaded: by the SHA-256 of their content, never by a name that somebody chose.

A file is written aside, flushed, and appears whole under its digest; it is for this user only (mode 600).
"""

import asyncio
import hashlib
import os
import re
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from malmoi.core.errors import InvalidInput, NotFound
from malmoi.core.files import full, sync_directory
from malmoi.serve.errors import RequestRefused

_BUFFER = 1024 * 1024  # bytes that are written at a time
_INCOMING = ".incoming-"
_STALE = 600.0  # seconds after which a file that no row has belongs to nobody: its row comes right after it


@dataclass(frozen=True, slots=True)
class Received:
    """A file that has arrived and is not kept yet."""

    path: Path
    sha256: str
    size: int


class FileStore:
    """The files of all documents.

    Args:
        folder: where they lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def receive(self, chunks: AsyncIterator[bytes], most: int) -> Received:
        """Write what arrives aside; give it to `keep` or to `discard`.

        Raises:
            RequestRefused: it is larger than `most` bytes.
            InvalidInput: it is empty.
            DiskFull: there is no room.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"{_INCOMING}{token_hex(8)}"
        digest, size, pending = hashlib.sha256(), 0, bytearray()
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > most:
                        raise RequestRefused(
                            413,
                            "file_too_large",
                            f"the file is larger than {most} bytes.",
                            fix="Split it, or raise documents.max_file_bytes.",
                            headers={"Connection": "close"},
                        )
                    pending += chunk
                    if len(pending) >= _BUFFER:
                        digest.update(pending)
                        await asyncio.to_thread(file.write, bytes(pending))
                        pending.clear()
                digest.update(pending)
                file.write(pending)
                file.flush()
                await asyncio.to_thread(os.fsync, file.fileno())
            if not size:
                raise InvalidInput("the file is empty.", field="body")
        except BaseException as error:
            path.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise full(error, path) from error
            raise
        return Received(path, digest.hexdigest(), size)

    def keep(self, received: Received) -> None:
        """Let a received file appear under its digest; it stays aside as well until `discard`."""
        target = self._path(received.sha256)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(FileExistsError):
            os.link(received.path, target)
            sync_directory(target.parent)

    def discard(self, received: Received) -> None:
        """Take the copy aside away."""
        received.path.unlink(missing_ok=True)

    def read(self, sha256: str) -> bytes:
        """The content of a file.

        Raises:
            NotFound: it is not here.
        """
        try:
            return self._path(sha256).read_bytes()
        except FileNotFoundError:
            raise NotFound("the file is not here any more.", fix="Upload it again.") from None

    def path(self, sha256: str) -> Path:
        """Where a file lies.

        Raises:
            NotFound: it is not here.
        """
        path = self._path(sha256)
        if not path.is_file():
            raise NotFound("the file is not here any more.", fix="Upload it again.")
        return path

    def remove(self, sha256: str) -> None:
        """Delete a file, if it is here."""
        self._path(sha256).unlink(missing_ok=True)

    def sweep(self, known: Iterable[str]) -> list[str]:
        """Delete what belongs to no document, and uploads that never ended; the digests that went."""
        kept, gone = set(known), []
        before = time.time() - _STALE
        for path in self._folder.glob("*"):
            if path.name.startswith(_INCOMING) and path.stat().st_mtime < before:
                path.unlink(missing_ok=True)
        for path in self._folder.glob("??/*"):
            if path.name not in kept and path.stat().st_ctime < before:
                path.unlink(missing_ok=True)
                gone.append(path.name)
        return gone

    def _path(self, sha256: str) -> Path:
        if not re.fullmatch(r"[0-9a-f]{64}", sha256):
            raise ValueError(f"{sha256!r} is not a SHA-256")
        return self._folder / sha256[:2] / sha256
