"""Keeping one child alive: watch its health, start it again when it dies, give up on a poisonous model."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from malmoi.core.errors import EngineError, EngineUnavailable
from malmoi.engine.llamacpp.connection import ConnectionLost
from malmoi.engine.llamacpp.process import Child, LoadFailed, ServerSpec, start_child

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Watch:
    """How patient the supervisor is; times in seconds.

    Attributes:
        every: between two health checks.
        answer_within: a check without an answer in this time has failed.
        failures: so many failed checks in a row mean that the child hangs, and it is killed.
        first_delay: before the first restart; doubled with every crash of the last minute, up to
            `longest_delay`.
        load_attempts: starts that may fail in a row before the model is given up.
        patience: how long a request waits for a child that is restarting.
    """

    every: float = 2.0
    answer_within: float = 3.0
    failures: int = 3
    first_delay: float = 0.1
    longest_delay: float = 30.0
    load_attempts: int = 3
    load_timeout: float = 300.0
    patience: float = 10.0


class Supervisor:
    """Owns the child process of one model. `start` it, ask for `child()`, `close` it."""

    def __init__(
        self,
        spec: ServerSpec,
        *,
        name: str,
        watch: Watch | None = None,
        start: Callable[..., Awaitable[Child]] = start_child,
    ) -> None:
        self._spec = spec
        self._name = name
        self._watch = watch or Watch()
        self._start = start
        self._child: Child | None = None
        self._ready = asyncio.Event()
        self._suspected = asyncio.Event()
        self._failure: EngineError | None = None
        self._closed = False
        self._task: asyncio.Task[None] | None = None
        self._crashes: deque[float] = deque(maxlen=8)
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """The child's process id, while there is one."""
        return self._child.pid if self._child else None

    @property
    def ready(self) -> bool:
        """Whether requests are served right now."""
        return self._ready.is_set() and self._failure is None and not self._closed

    async def start(self) -> None:
        """Load the model.

        Raises:
            EngineError: it cannot be loaded; no process is left.
        """
        self._child = await self._load()
        self._ready.set()
        self._task = asyncio.create_task(self._keep(), name=f"llama.cpp {self._name}")

    async def child(self) -> Child:
        """The child, when it serves; waits a while for one that is restarting.

        Raises:
            EngineUnavailable: it is not back yet, or closed.
            EngineError: it was given up.
        """
        if not self.ready:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._watch.patience):
                    await self._ready.wait()
        if self._failure is not None:
            raise self._failure
        if self._closed:
            raise EngineUnavailable(f"the engine of {self._name} is closed.", fix="Open the model again.")
        if self._child is None:
            raise EngineUnavailable(f"the engine of {self._name} is restarting after a crash.")
        return self._child

    def lost(self, child: Child, error: ConnectionLost) -> EngineError:
        """What a request is told whose connection broke; the child is checked before the next one gets it."""
        if child is self._child and self.ready:
            self._ready.clear()
            self._suspected.set()
        if self._closed:
            return EngineUnavailable(f"the engine of {self._name} was closed.", fix="Open the model again.")
        return EngineUnavailable(
            f"the engine of {self._name} stopped while it worked on this request ({error}).", retry_after=2
        )

    async def close(self) -> None:
        """End the child, at the latest after two seconds by force; requests under way fail at once."""
        self._closed = True
        self._ready.set()  # whoever waits for a restart need not wait any longer
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        child, self._child = self._child, None
        if child is not None:
            child.connection.abort()
            await asyncio.shield(child.stop())

    async def _keep(self) -> None:
        while True:
            child = self._child
            assert child is not None
            how = await self._watch_child(child)
            self._ready.clear()
            self._child = None
            child.connection.abort()
            await child.stop(patience=0)
            self._crashes.append(time.monotonic())
            _log.error("the llama.cpp process of %s is gone: %s. %s", self._name, how, child.log.tail())
            await asyncio.sleep(self._delay())
            try:
                self._child = await self._load()
            except EngineError as error:
                self._failure = error
                self._ready.set()
                _log.error("%s is given up: %s", self._name, error)
                return
            self.restarts += 1
            self._ready.set()
            _log.warning("the llama.cpp process of %s is back.", self._name)

    async def _load(self) -> Child:
        """Start a child; a crash is tried again, a clear refusal is not."""
        for attempt in range(1, self._watch.load_attempts + 1):
            try:
                return await self._start(self._spec, timeout=self._watch.load_timeout)
            except LoadFailed as error:
                if not error.crashed:
                    raise
                if attempt == self._watch.load_attempts:
                    raise EngineError(
                        f"{self._name} crashed llama.cpp {attempt} times as it was loaded and is given up: "
                        f"{error.message}",
                        fix=error.fix,
                    ) from error
                await asyncio.sleep(self._watch.first_delay * 2**attempt)
        raise AssertionError("load_attempts is at least 1")

    async def _watch_child(self, child: Child) -> str:
        """Return when the child has ended, or was killed because it did not answer; why, in words."""
        gone = asyncio.ensure_future(child.wait())
        suspected = asyncio.ensure_future(self._suspected.wait())
        failures = 0
        try:
            while True:
                await asyncio.wait(
                    [gone, suspected], timeout=self._watch.every, return_when=asyncio.FIRST_COMPLETED
                )
                if gone.done():
                    return gone.result()
                healthy = await self._healthy(child)
                if suspected.done():
                    self._suspected.clear()
                    suspected = asyncio.ensure_future(self._suspected.wait())
                if healthy:
                    failures = 0
                    self._ready.set()
                    continue
                failures += 1
                if failures >= self._watch.failures:
                    child.kill()
                    return f"it did not answer {failures} health checks and was killed"
        finally:
            gone.cancel()
            suspected.cancel()
            self._suspected.clear()

    async def _healthy(self, child: Child) -> bool:
        try:
            answer = await child.connection.request("GET", "/health", timeout=self._watch.answer_within)
        except (ConnectionLost, TimeoutError):
            return False
        return answer.status == 200

    def _delay(self) -> float:
        recent = sum(1 for at in self._crashes if time.monotonic() - at < 60)
        return min(self._watch.first_delay * 2.0 ** (recent - 1), self._watch.longest_delay)
