"""One download of a model at a time, across processes: the second waits and then finds it installed."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

_POLL_SECONDS = 0.2


@asynccontextmanager
async def exclusive(path: Path, *, waiting: Callable[[], None]) -> AsyncIterator[None]:
    """Hold the lock file `path`. The kernel lets go of it when the process dies, however it dies.

    Args:
        path: the lock file; it stays, for removing it would let two holders in.
        waiting: called once if somebody else holds the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        told = False
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    waiting()
                    told = True
                await asyncio.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)
