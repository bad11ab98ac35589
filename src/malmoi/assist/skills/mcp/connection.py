"""One connection to an MCP server, in a task of its own: it must be entered and left in the same task."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

from mcp import Client

from malmoi.core.errors import MalmoiError, SkillUnavailable

Job: TypeAlias = Callable[[Client], Awaitable[Any]]


class Connection:
    """Runs jobs on one client, one after another.

    A job that takes too long, or whose caller is cancelled, ends the connection: a server that hangs is not
    asked again.

    Args:
        open_transport: a new transport, each time it is called.
        seconds: the handshake, and each job, may take.
    """

    def __init__(
        self, open_transport: Callable[[], AbstractAsyncContextManager[Any]], *, seconds: float
    ) -> None:
        self._open_transport = open_transport
        self._seconds = seconds
        self._jobs: asyncio.Queue[tuple[Job, asyncio.Future[Any]]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self.last_used = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it can still be used."""
        return self._task is None or not self._task.done()

    async def run(self, job: Job) -> Any:
        """Have a job done.

        Raises:
            SkillUnavailable: the server does not answer in time, or is gone.
        """
        loop = asyncio.get_running_loop()
        self.last_used = loop.time()
        if self._task is None:
            self._task = loop.create_task(self._work(), name="mcp")
        done: asyncio.Future[Any] = loop.create_future()
        self._jobs.put_nowait((job, done))
        try:
            async with asyncio.timeout(self._seconds):
                await asyncio.wait((done, self._task), return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError as error:
            await self.close()
            raise SkillUnavailable(f"the MCP server did not answer in {self._seconds:g} s.") from error
        except asyncio.CancelledError:
            await self.close()
            raise
        if not done.done():
            failure = self._failure()
            told = _told(failure)
            raise told if told is not None else SkillUnavailable("the MCP server is gone.") from failure
        self.last_used = loop.time()
        return done.result()

    async def close(self) -> None:
        """End the connection, and the server's process if it has one."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(asyncio.sleep(0))
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait((self._task,))

    def _failure(self) -> BaseException | None:
        task = self._task
        return task.exception() if task is not None and task.done() and not task.cancelled() else None

    async def _work(self) -> None:
        async with Client(self._open_transport(), read_timeout_seconds=self._seconds) as client:
            while True:
                job, done = await self._jobs.get()
                try:
                    answer = await job(client)
                except Exception as error:  # handed over to the one who waits for it
                    if not done.done():
                        done.set_exception(error)
                else:
                    if not done.done():
                        done.set_result(answer)


def _told(failure: BaseException | None) -> MalmoiError | None:
    """An error of ours among those that a connection has ended with."""
    if isinstance(failure, MalmoiError):
        return failure
    if isinstance(failure, BaseExceptionGroup):
        return next(filter(None, map(_told, failure.exceptions)), None)
    return None
