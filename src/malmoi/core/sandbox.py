"""Run a parser in a child process that may fail without harm.

`run("package.module:function", {...})` starts a bare interpreter in its own session, with limits on
memory, processor time, written files and wall time, a cleared environment and, where the kernel permits it,
no network. Arguments and result are JSON. A `MalmoiError` raised there is raised here; anything else (a crash
or signal, too much memory or time) becomes a `SandboxFailed`. The whole process group is killed at the end:
nothing is left running. Starting a child costs about 40 ms.

That is enough for a parser of ours. Code that nobody has read is run with `Limits(confined=True)`: then it
can read Python and the system's libraries alone, change no file, start no process and open no socket.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from malmoi.core.errors import MalmoiError
from malmoi.core.threads import in_thread

FailureReason: TypeAlias = Literal["crash", "timeout", "memory", "output", "exception"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may use.

    Attributes:
        seconds: wall time.
        cpu_seconds: processor time.
        memory_bytes: address space, the interpreter's own 30 MB included.
        file_bytes: largest file it may write; 0: none.
        output_bytes: largest result, as JSON.
        confined: shut the child in before the function is called, after its module was imported. Where the
            kernel cannot, `run` raises `Unsupported`, and nothing is called.
    """

    seconds: float = 30.0
    cpu_seconds: int = 30
    memory_bytes: int = 1 << 30
    file_bytes: int = 0
    output_bytes: int = 64 << 20
    confined: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came back. `network_cut` says whether the kernel let the child leave the network."""

    value: Any
    network_cut: bool


class SandboxFailed(MalmoiError):
    """The child crashed or went over a limit; `reason` says which."""

    code = "sandbox_failed"

    def __init__(self, message: str, *, reason: FailureReason, fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.reason: FailureReason = reason


def run(function: str, arguments: Mapping[str, Any], *, limits: Limits | None = None) -> Outcome:
    """Call `function` ("package.module:attribute") with keyword `arguments` in a child, and wait.

    Raises:
        MalmoiError: the one that the function raised.
        SandboxFailed: the child crashed, ran out of a limit, or raised anything else.
    """
    return _Child(function, arguments, limits or Limits()).finish()


async def run_async(function: str, arguments: Mapping[str, Any], *, limits: Limits | None = None) -> Outcome:
    """As `run`, without blocking the event loop; cancelling kills the child."""
    child = _Child(function, arguments, limits or Limits())
    return await in_thread(child.finish, stop=child.kill)


class _Child:
    """One child process, from start to reaping."""

    def __init__(self, function: str, arguments: Mapping[str, Any], limits: Limits) -> None:
        import secrets
        import subprocess
        import threading

        self._function = function
        self._limits = limits
        # Only the child's own code knows this word: what forges an answer does not.
        self._word = secrets.token_hex(16)
        self._request = json.dumps(
            {
                "word": self._word,
                "function": function,
                "arguments": dict(arguments),
                "limits": {k: v for k, v in asdict(limits).items() if k not in ("seconds", "output_bytes")},
                "path": [str(Path(entry).absolute()) for entry in sys.path],
            }
        ).encode()
        self._lock = threading.Lock()
        self._reaped = False
        # -B: under the limit on written files, bytecode would be left behind truncated.
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-I",
                "-S",
                "-B",
                "-X",
                "utf8",
                str(Path(__file__).with_name("sandbox_child.py")),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            # Nothing of ours leaks in; numeric libraries reserve address space for every thread they start.
            # Some ask for threads by number; the limit holds for them as well.
            env={
                "PATH": os.defpath,
                "OMP_NUM_THREADS": "1",
                "OMP_THREAD_LIMIT": "1",
                "OPENBLAS_NUM_THREADS": "1",
            },
            start_new_session=True,
        )

    def kill(self) -> None:
        """Kill the child and everything that it started."""
        import signal

        with self._lock:
            if not self._reaped:
                # The process is not reaped yet, so its number cannot belong to anybody else.
                os.killpg(self._process.pid, signal.SIGKILL)

    def finish(self) -> Outcome:
        """Wait for the answer, within the limits."""
        import time

        deadline = time.monotonic() + self._limits.seconds
        try:
            out, err = self._exchange(deadline)
            in_time = self._wait_for_exit(deadline)
        finally:
            self.kill()
            with self._lock:
                status = self._process.wait()
                self._reaped = True
            for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
                if stream is not None and not stream.closed:
                    stream.close()
        return self._outcome(out, err, status, in_time)

    def _exchange(self, deadline: float) -> tuple[bytes, bytes]:
        """Send the request and collect both streams until they close, time is up or too much comes."""
        import selectors
        import time

        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        out, err, sent = bytearray(), bytearray(), 0
        with selectors.DefaultSelector() as selector:
            os.set_blocking(process.stdin.fileno(), False)
            selector.register(process.stdin, selectors.EVENT_WRITE)
            selector.register(process.stdout, selectors.EVENT_READ, out)
            selector.register(process.stderr, selectors.EVENT_READ, err)
            while selector.get_map():
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                for key, _ in selector.select(left):
                    if key.fileobj is process.stdin:
                        try:
                            sent += os.write(key.fd, self._request[sent : sent + 65536])
                        except BrokenPipeError:
                            sent = len(self._request)
                        if sent >= len(self._request):
                            selector.unregister(process.stdin)
                            process.stdin.close()
                        continue
                    data = os.read(key.fd, 1 << 16)
                    if not data:
                        selector.unregister(key.fileobj)
                    key.data.extend(data)
                    del err[:-4096]
                if len(out) > self._limits.output_bytes:
                    raise self._failed(
                        "output", f"its result is larger than {self._limits.output_bytes} bytes"
                    )
        return bytes(out), bytes(err)

    def _wait_for_exit(self, deadline: float) -> bool:
        """Wait without reaping; False when the deadline passed first."""
        import time

        while os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.001)
        return True

    def _outcome(self, out: bytes, err: bytes, status: int, in_time: bool) -> Outcome:
        import signal

        try:
            answer = json.loads(out)
            if not isinstance(answer, dict) or answer.get("word") != self._word:
                raise ValueError("not an object of ours")
        except (ValueError, RecursionError):
            if not in_time or status == -signal.SIGXCPU:
                used = f"{self._limits.seconds:g} s, or {self._limits.cpu_seconds} s of processor time"
                raise self._failed("timeout", f"it took longer than {used}") from None
            text = err.decode(errors="replace").strip()
            if "MemoryError" in text:
                raise self._failed("memory", self._memory_text()) from None
            how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
            last = f": {text.splitlines()[-1]}" if text else ""
            raise self._failed("crash", f"it ended with {how}{last}") from None
        if isinstance(answer.get("error"), dict):
            raise _rebuild(answer["error"])
        if answer.get("failure") == "memory":
            raise self._failed("memory", self._memory_text())
        if "value" not in answer:
            raise self._failed("exception", str(answer.get("detail")))
        return Outcome(answer["value"], bool(answer.get("network_cut")))

    def _memory_text(self) -> str:
        return f"it needed more than {self._limits.memory_bytes >> 20} MiB of memory"

    def _failed(self, reason: FailureReason, what: str) -> SandboxFailed:
        return SandboxFailed(f"{self._function} failed in its sandbox: {what}.", reason=reason)


def _rebuild(told: dict[str, Any]) -> MalmoiError:
    """The error that the child raised, as an instance of its own class; the child's word is only data."""
    code = told.pop("code", "")
    kind = next((found for found in _tree(MalmoiError) if found.code == code), MalmoiError)
    error = kind.__new__(kind)
    MalmoiError.__init__(error, str(told.pop("message", "")), fix=str(told.pop("fix", "")))
    for name, value in told.items():
        if name.isidentifier() and not name.startswith("_"):
            setattr(error, name, value)
    return error


def _tree(kind: type[MalmoiError]) -> Iterator[type[MalmoiError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _tree(below)
