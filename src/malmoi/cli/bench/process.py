"""The server as a process of its own, as `make up` starts it, and what it takes."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from malmoi.core.errors import EngineError

_ADDRESS = re.compile(r"http://[^\s]+")


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A running server: its address, its process id, and when it was started (`perf_counter`)."""

    address: str
    pid: int
    started: float

    def memory_mb(self) -> float:
        """Proportional memory of the server and all its children, in MB."""
        return sum(_memory(pid) for pid in (self.pid, *_descendants(self.pid))) / 1e6


@contextmanager
def serving(home: Path, *args: str) -> Iterator[ServerProcess]:
    """Run `malmoi serve` on a free port until the block ends.

    Raises:
        EngineError: it ended before it said its address.
    """
    command = [sys.executable, "-m", "malmoi", "serve", "--home", str(home), "--port", "0", *args]
    started = perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            found = _ADDRESS.search(line)
            if found is not None:
                yield ServerProcess(found[0], process.pid, started)
                return
        raise EngineError(
            f"the server ended at its start with status {process.wait()}.", fix=f"Run: {' '.join(command)}"
        )
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += [int(child), *_descendants(int(child))]
    return found


def _memory(pid: int) -> int:
    """Proportional set size in bytes: shared pages are counted once over all who share them."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0
