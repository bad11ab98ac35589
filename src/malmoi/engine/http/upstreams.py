"""Which of several equal servers gets the next request.

The one with the fewest requests under way; of equals the one that waited longest. A server that failed three
times in a row is left out for a while; then one request is let through as a probe (half-open), and its fate
decides.
"""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from malmoi.core.errors import EngineUnavailable

MAX_FAILURES = 3
EJECT_SECONDS = 10.0


@dataclass(slots=True, eq=False)
class Upstream:
    """One server. `base` is its API's URL without a slash at the end, such as `http://host:8000/v1`."""

    base: str
    active: int = 0
    failures: int = 0
    ejected_until: float = 0.0
    probing: bool = False
    turn: int = 0

    @property
    def root(self) -> str:
        """The server's own URL, where the routes outside the API live (`/tokenize`, `/props`)."""
        return self.base.removesuffix("/v1")


class Upstreams:
    """The servers of one engine, and what is known of their health."""

    def __init__(self, bases: Collection[str], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._all = [Upstream(base.rstrip("/")) for base in bases]
        self._clock = clock
        self._turn = 0

    def __len__(self) -> int:
        return len(self._all)

    def choose(self, tried: Collection[Upstream] = ()) -> Upstream:
        """The server for the next attempt; one that is not in `tried`, if there is any.

        Raises:
            EngineUnavailable: all of them are ejected.
        """
        now = self._clock()
        usable = [up for up in self._all if self._is_usable(up, now)]
        if not usable:
            wait = min((up.ejected_until for up in self._all), default=now) - now
            raise EngineUnavailable(
                "the upstream failed several times in a row and is left alone for a moment.",
                retry_after=max(1, round(wait)),
            )
        fresh = [up for up in usable if up not in tried] or usable
        chosen = min(fresh, key=lambda up: (up.active, up.turn))
        self._turn += 1
        chosen.turn = self._turn
        return chosen

    def has_other(self, tried: Collection[Upstream]) -> bool:
        """Whether an attempt could go to a server that was not tried yet."""
        now = self._clock()
        return any(self._is_usable(up, now) and up not in tried for up in self._all)

    @contextmanager
    def use(self, upstream: Upstream) -> Iterator[None]:
        """Count a request as under way; of an ejected server it is the probe."""
        upstream.active += 1
        probe = upstream.failures >= MAX_FAILURES
        upstream.probing = upstream.probing or probe
        try:
            yield
        finally:
            upstream.active -= 1
            if probe:
                upstream.probing = False

    def succeeded(self, upstream: Upstream) -> None:
        """It answered: all is forgiven."""
        upstream.failures = 0
        upstream.ejected_until = 0.0

    def failed(self, upstream: Upstream) -> None:
        """It did not answer, broke off, or had an error of its own."""
        upstream.failures += 1
        if upstream.failures >= MAX_FAILURES:
            upstream.ejected_until = self._clock() + EJECT_SECONDS

    def _is_usable(self, upstream: Upstream, now: float) -> bool:
        if upstream.failures < MAX_FAILURES:
            return True
        return not upstream.probing and now >= upstream.ejected_until
