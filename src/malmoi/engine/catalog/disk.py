"""Room on the disk, checked before anything is fetched."""

import shutil
from pathlib import Path

from malmoi.core.errors import DiskFull

MARGIN_BYTES = 64 << 20


def require_room(path: Path, needed: int) -> None:
    """Make sure that `needed` bytes, and a margin, fit where `path` lies.

    Raises:
        DiskFull: with both numbers.
    """
    while not path.exists():
        path = path.parent
    free = shutil.disk_usage(path).free
    if needed + MARGIN_BYTES > free:
        raise DiskFull(
            f"{path} has {megabytes(free)} free, but {megabytes(needed + MARGIN_BYTES)} are needed.",
            fix="Free some disk space, or choose another place with --home DIR.",
        )


def megabytes(count: int) -> str:
    """A size for people: whole megabytes (10**6 bytes)."""
    return f"{-(-count // 1_000_000):,} MB"
