"""Starting, watching and ending one child process."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from malmoi.core.child import child_environment
from malmoi.core.errors import EngineError
from malmoi.engine.llamacpp.connection import Connection
from malmoi.engine.llamacpp.native_log import NativeLog

_MODULE = "malmoi.engine.llamacpp.child"


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """What the child is to serve.

    Attributes:
        context_length: tokens of context of each slot.
        batch: prompt tokens computed at a time; other requests, and the end of this one, wait for them.
        http_threads: more than slots, so that a health check always finds one.
        repack: reorder the weights for this processor: slower to load, twice as fast at prompts.
        command: the program that is started (tests give their own).
    """

    model: Path
    context_length: int
    slots: int
    threads: int
    prompt_cache_mb: int = 0
    adapters: tuple[Path, ...] = ()
    embeddings: bool = False
    batch: int = 128
    warmup: bool = True
    repack: bool = True
    command: tuple[str, ...] = (sys.executable, "-P", "-m", _MODULE)

    @property
    def http_threads(self) -> int:
        """Threads of the child's HTTP server: all slots, as many small requests, and the watch."""
        return 2 * self.slots + 4

    def to_json(self, *, api_key: str) -> bytes:
        """The line that the child reads."""
        fields = asdict(self)
        del fields["command"]
        fields["model"] = str(self.model)
        fields["adapters"] = [str(path) for path in self.adapters]
        fields |= {"api_key": api_key, "parent_pid": os.getpid(), "http_threads": self.http_threads}
        return json.dumps(fields).encode() + b"\n"


class LoadFailed(EngineError):
    """The child ended, or gave up, before it was ready. `crashed`: by a signal or without a word."""

    def __init__(self, message: str, *, crashed: bool, fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.crashed = crashed


class Child:
    """A child process that has said it is ready. Made by `start_child`."""

    def __init__(self, process: asyncio.subprocess.Process, log: NativeLog) -> None:
        self._process = process
        self._log = log
        self._following: asyncio.Task[None] | None = None
        self.connection: Connection
        self.load_seconds = 0.0

    @property
    def pid(self) -> int:
        """Its process id, which is its process group's too."""
        return self._process.pid

    @property
    def log(self) -> NativeLog:
        """Its last warnings and errors."""
        return self._log

    async def load(self, spec: ServerSpec, *, timeout: float) -> None:
        """Hand over the specification and wait until it serves.

        Raises:
            LoadFailed: it does not.
        """
        process, api_key = self._process, secrets.token_urlsafe(32)
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._following = asyncio.create_task(self._log.follow(process.stderr))
        try:
            async with asyncio.timeout(timeout):
                with contextlib.suppress(ConnectionError):
                    process.stdin.write(spec.to_json(api_key=api_key))
                    await process.stdin.drain()
                line = await process.stdout.readline()
        except TimeoutError:
            raise LoadFailed(
                f"loading {spec.model} took longer than {timeout:.0f} s.",
                crashed=True,
                fix="Is the disk or the machine overloaded? Try again, or take a smaller model.",
            ) from None
        event = json.loads(line) if line else {}
        if event.get("event") != "ready":
            status = await self._ended()
            raise LoadFailed(
                f"llama.cpp could not load {spec.model}: {event.get('message') or status}. "
                f"{self._log.tail()}".rstrip(),
                crashed=not event,
                fix="Check the file with `malmoi models verify`, or take fewer slots or less context.",
            )
        port = urlsplit(event["address"]).port
        assert port is not None
        self.connection = Connection(port, api_key)
        self.load_seconds = event["load_seconds"]

    async def wait(self) -> str:
        """Wait until it has ended; how, in words."""
        await self._process.wait()
        return await self._ended()

    async def stop(self, *, patience: float = 2.0) -> None:
        """Let go of its leash, then kill it and all it started; it is gone when this returns."""
        process = self._process
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(patience):
                await process.wait()
        except TimeoutError:
            pass
        finally:
            self.kill()
        await process.wait()
        await self._ended()

    def kill(self) -> None:
        """Kill its process group now."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def _ended(self) -> str:
        """Read what is left of its log, once it is gone."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        code = await self._process.wait()
        if self._following is not None:
            await asyncio.wait([self._following], timeout=1.0)
            self._following.cancel()
        if code < 0:
            with contextlib.suppress(ValueError):
                return f"it was ended by {signal.Signals(-code).name}"
        return f"it ended with status {code}"


async def start_child(spec: ServerSpec, *, timeout: float = 300.0) -> Child:
    """Start a child and wait until it serves; whatever goes wrong, no process is left.

    Raises:
        LoadFailed: it could not be started.
    """
    # Without this, two OpenMP threads that spin for each other on a shared machine ran at 1.9 instead of 48
    # tokens a second. A value that the person has set is kept.
    environment = {"OMP_WAIT_POLICY": "passive", **child_environment()}
    process = await asyncio.create_subprocess_exec(
        *spec.command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
    child = Child(process, NativeLog())
    try:
        await child.load(spec, timeout=timeout)
    except BaseException:
        await asyncio.shield(child.stop(patience=0))
        raise
    return child
