"""Locks that a dead process cannot leave behind: the kernel frees them."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from malmoi.core.errors import Conflict


@contextmanager
def locked(path: Path, *, busy: str, fix: str = "") -> Iterator[None]:
    """Hold the lock of a file for the block; the file is made if need be.

    Whoever holds the lock may remove the file.

    Args:
        path: the lock's file, on a local or POSIX-lock-capable file system.
        busy: the message when another process holds it.
        fix: what the person may do then.

    Raises:
        Conflict: another process holds the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Conflict(busy, fix=fix) from None
            if not _is_of(path, descriptor):
                continue  # the holder before has removed it after we had opened it
            yield
            return
        finally:
            os.close(descriptor)


def _is_of(path: Path, descriptor: int) -> bool:
    """Whether the open file is still the one of this name."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock now."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
