"""Blocking work beside the event loop that really stops when it is cancelled."""

import asyncio
from collections.abc import Callable
from threading import Event
from typing import TypeVar

T = TypeVar("T")


class Stopped(Exception):
    """The work was told to stop; never seen outside `in_thread`."""


async def in_thread(work: Callable[[Event], T]) -> T:
    """Run `work` in a thread. On cancellation its event is set, and we wait until it has let go of its files.

    `work` looks at the event now and then and raises `Stopped`.
    """
    stop = Event()
    running = asyncio.ensure_future(asyncio.to_thread(work, stop))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # looked at, so that asyncio does not warn about it
        raise


def check(stop: Event) -> None:
    """Raise `Stopped` when told to."""
    if stop.is_set():
        raise Stopped
