"""Writing that is all or nothing: a file or folder is there whole, or it is not there."""

import errno
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Any

from malmoi.core.errors import DiskFull


def write_bytes(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replace `path` by `data` in one step that survives a crash.

    Raises:
        DiskFull: there is no room; the old file is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{token_hex(4)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        raise full(error, path) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_text(path: Path, text: str, *, mode: int = 0o644) -> None:
    """`write_bytes` for UTF-8 text."""
    write_bytes(path, text.encode("utf-8"), mode=mode)


def write_json(path: Path, value: Any, *, mode: int = 0o644) -> None:
    """`write_bytes` for JSON: sorted keys, one per line, so that files can be compared."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True) + "\n", mode=mode)


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Give a temporary folder to fill; it becomes `path` by one rename, or on any error is removed.

    Raises:
        FileExistsError: `path` is there already.
        DiskFull: there is no room.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{token_hex(4)}.tmp")
    temporary.mkdir()
    try:
        yield temporary
        publish_directory(temporary, path)
    except OSError as error:
        raise full(error, path) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def publish_directory(folder: Path, path: Path) -> None:
    """Let a filled folder appear as `path` by one rename, its files safe on disk before.

    Raises:
        FileExistsError: `path` is there already.
    """
    for entry in folder.rglob("*"):
        if entry.is_file():
            with entry.open("rb") as file:
                os.fsync(file.fileno())
    sync_directory(folder)
    if path.exists():
        raise FileExistsError(errno.EEXIST, "is there already", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make a rename inside `path` survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def full(error: Exception, path: Path) -> Exception:
    """`DiskFull` where the error means no room, else the error itself.

    Libraries in Rust raise errors of their own, which name the system's number in their text.
    """
    number = error.errno if isinstance(error, OSError) else None
    if number is None and (found := re.search(r"\(os error (\d+)\)", str(error))):
        number = int(found[1])
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DiskFull(f"no room left to write {path}.", fix="Free some disk space and try again.")
    return error
