"""Locks that a dead process cannot leave behind: the kernel frees them."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from malmoi.core.errors import Conflict


@contextmanager
def locked(path: Path, *, busy: str, fix: str = "") -> Iterator[None]:
    """Hold the lock of a file for the block; the file is made if need be and stays.

    Args:
        path: the lock's file, on a local or POSIX-lock-capable file system.
        busy: the message when another process holds it.
        fix: what the person may do then.

    Raises:
        Conflict: another process holds the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(busy, fix=fix) from None
        yield
    finally:
        os.close(descriptor)


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
