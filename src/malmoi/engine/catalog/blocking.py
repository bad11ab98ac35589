"""Blocking work beside the event loop that really stops when it is cancelled."""

from collections.abc import Callable
from functools import partial
from threading import Event
from typing import TypeVar

from malmoi.core import threads

T = TypeVar("T")


class Stopped(Exception):
    """The work was told to stop; never seen outside `in_thread`."""


async def in_thread(work: Callable[[Event], T]) -> T:
    """Run `work` in a thread. On cancellation its event is set, and we wait until it has let go of its files.

    `work` looks at the event now and then and raises `Stopped`.
    """
    stop = Event()
    return await threads.in_thread(partial(work, stop), stop=stop.set)


def check(stop: Event) -> None:
    """Raise `Stopped` when told to."""
    if stop.is_set():
        raise Stopped
