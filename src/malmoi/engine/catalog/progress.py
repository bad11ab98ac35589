"""What a download tells while it goes on."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Stage: TypeAlias = Literal["download", "assemble", "verify", "done"]


@dataclass(frozen=True, slots=True)
class DownloadProgress:
    """One report.

    `total_bytes` is 0 where the size is not known; `bytes_per_second` is the mean of the last seconds;
    `message` is a short sentence for people, or empty.
    """

    name: str
    stage: Stage
    done_bytes: int = 0
    total_bytes: int = 0
    bytes_per_second: float = 0.0
    message: str = ""


ProgressCallback: TypeAlias = Callable[[DownloadProgress], None]


class Meter:
    """Turns byte counts into reports: at most one in `interval` seconds, besides changes of stage.

    Not safe for threads: reports come from the event loop only.
    """

    def __init__(
        self,
        name: str,
        callback: ProgressCallback | None = None,
        *,
        interval: float = 0.2,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._callback = callback
        self._interval = interval
        self._clock = clock
        self._stage: Stage = "download"
        self._total = 0
        self._done = 0
        self._last = float("-inf")
        self._window: deque[tuple[float, int]] = deque(maxlen=32)

    def stage(self, stage: Stage, total_bytes: int, *, message: str = "", done_bytes: int = 0) -> None:
        """Begin a stage and report it at once."""
        self._stage, self._total, self._done = stage, total_bytes, done_bytes
        self._window.clear()
        self._report(message)

    def at(self, done_bytes: int) -> None:
        """So many bytes of the stage are done."""
        self._done = done_bytes
        if self._clock() - self._last >= self._interval:
            self._report("")

    def say(self, message: str) -> None:
        """Report a sentence at once."""
        self._report(message)

    def _report(self, message: str) -> None:
        now = self._last = self._clock()
        self._window.append((now, self._done))
        begun, first = self._window[0]
        speed = (self._done - first) / (now - begun) if now > begun else 0.0
        if self._callback is not None:
            self._callback(
                DownloadProgress(
                    self._name, self._stage, self._done, self._total, round(max(speed, 0.0), 1), message
                )
            )
