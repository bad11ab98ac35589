"""Who may run now, who waits, and who is sent away.

One `Lane` a model. A lane has as many slots as the model's engine and a bounded queue. Fair between
accounts: the next slot goes to the account with the fewest requests running, then to the one served longest
ago, so an account that sends fifty requests at once delays another by one request, not by fifty. When the
queue is full, the newest request of the account that fills it makes room for an account that waits with
less.
"""

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from malmoi.core.errors import EngineUnavailable, Overloaded

_REMEMBERED_ACCOUNTS = 1024  # accounts whose last turn is remembered for fairness
_SMOOTHING = 0.2  # weight of the newest request in the running mean of seconds a slot is held
_LONGEST_RETRY = 60  # seconds


@dataclass(eq=False, slots=True)
class _Waiter:
    account: str
    number: int
    turn: asyncio.Future[None]
    on_place: Callable[[int], None] | None
    told: int = field(default=-1)

    def tell(self, place: int) -> None:
        if self.on_place is not None and place != self.told:
            self.told = place
            self.on_place(place)


class Lane:
    """The slots and the queue of one model.

    Args:
        model: its name, for messages.
        slots: requests that run at the same time; may be changed while requests run.
        max_queued: requests that may wait.
        max_wait: seconds a request may wait.
    """

    def __init__(self, model: str, *, slots: int, max_queued: int, max_wait: float) -> None:
        self.model = model
        self.max_queued = max_queued
        self.max_wait = max_wait
        self._slots = slots
        self._running: Counter[str] = Counter()
        self._num_running = 0
        self._waiting: list[_Waiter] = []
        self._served: OrderedDict[str, int] = OrderedDict()
        self._clock = 0
        self._mean_seconds = 1.0

    @property
    def slots(self) -> int:
        """Requests that run at the same time."""
        return self._slots

    @slots.setter
    def slots(self, slots: int) -> None:
        if slots != self._slots:
            self._slots = slots
            self._advance()

    @property
    def num_running(self) -> int:
        """Requests that hold a slot."""
        return self._num_running

    @property
    def num_waiting(self) -> int:
        """Requests in the queue."""
        return len(self._waiting)

    @property
    def retry_after(self) -> int:
        """Seconds after which a slot is likely to be free: an estimate from past requests."""
        seconds = self._mean_seconds * (len(self._waiting) + 1) / max(1, self._slots)
        return min(_LONGEST_RETRY, max(1, round(seconds)))

    def check(self, account: str) -> None:
        """Raise now what `acquire` would raise, before anything is reserved for the request.

        Raises:
            Overloaded: the queue is full, and no other account fills it.
        """
        if self._is_full() and self._whom_to_send_away(account) is None:
            raise self._overloaded()

    async def acquire(self, account: str, on_place: Callable[[int], None] | None = None) -> None:
        """Wait for a slot; `release` gives it back.

        Args:
            account: whose request it is.
            on_place: told the place in the queue (1 = next) when it changes, and 0 when the slot is there.

        Raises:
            Overloaded: the queue is full.
            EngineUnavailable: no slot within `max_wait`.
        """
        if not self.try_acquire(account):
            await self._wait(account, on_place)
        if on_place is not None:
            on_place(0)

    def try_acquire(self, account: str) -> bool:
        """Take a slot if one is free and nobody waits for it."""
        if self._num_running >= self._slots or self._waiting:
            return False
        self._take(account)
        return True

    def release(self, account: str, seconds: float | None = None) -> None:
        """Give a slot back; `seconds` is how long it was held, for the estimate of `retry_after`."""
        self._num_running -= 1
        self._running[account] -= 1
        if self._running[account] <= 0:
            del self._running[account]
        if seconds is not None:
            self._mean_seconds += _SMOOTHING * (seconds - self._mean_seconds)
        self._advance()

    async def _wait(self, account: str, on_place: Callable[[int], None] | None) -> None:
        if self._is_full():
            victim = self._whom_to_send_away(account)
            if victim is None:
                raise self._overloaded()
            self._waiting.remove(victim)
            victim.turn.set_exception(self._overloaded())
        self._clock += 1
        waiter = _Waiter(account, self._clock, asyncio.get_running_loop().create_future(), on_place)
        self._waiting.append(waiter)
        self._tell_places()
        started = time.monotonic()
        try:
            async with asyncio.timeout(self.max_wait):
                await waiter.turn
        except TimeoutError:
            self._leave(waiter)
            raise EngineUnavailable(
                f"the model {self.model!r} had no free place within {time.monotonic() - started:.0f} s.",
                retry_after=self.retry_after,
            ) from None
        except asyncio.CancelledError:
            self._leave(waiter)
            raise

    def _leave(self, waiter: _Waiter) -> None:
        """Take a waiter out who gives up, also in the instant in which it was given its slot."""
        if waiter in self._waiting:
            self._waiting.remove(waiter)
            self._tell_places()
        elif waiter.turn.done() and not waiter.turn.cancelled() and waiter.turn.exception() is None:
            self.release(waiter.account)

    def _is_full(self) -> bool:
        busy = self._num_running >= self._slots or bool(self._waiting)
        return busy and len(self._waiting) >= self.max_queued

    def _whom_to_send_away(self, account: str) -> _Waiter | None:
        """The newest waiter of the account with most, if that is more than the newcomer would have."""
        counts = Counter(waiter.account for waiter in self._waiting)
        if not counts:
            return None
        heaviest, most = counts.most_common(1)[0]
        if most <= counts[account] + 1:
            return None
        return max((w for w in self._waiting if w.account == heaviest), key=lambda w: w.number)

    def _take(self, account: str) -> None:
        self._num_running += 1
        self._running[account] += 1
        self._clock += 1
        self._served[account] = self._clock
        self._served.move_to_end(account)
        if len(self._served) > _REMEMBERED_ACCOUNTS:
            self._served.popitem(last=False)

    def _advance(self) -> None:
        while self._waiting and self._num_running < self._slots:
            waiter = min(
                self._waiting,
                key=lambda w: (self._running[w.account], self._served.get(w.account, 0), w.number),
            )
            self._waiting.remove(waiter)
            if not waiter.turn.done():
                self._take(waiter.account)
                waiter.turn.set_result(None)
        self._tell_places()

    def _tell_places(self) -> None:
        if all(waiter.on_place is None for waiter in self._waiting):
            return
        seen: Counter[str] = Counter()
        ranked: list[tuple[int, int, int, _Waiter]] = []
        for waiter in self._waiting:
            turns = self._running[waiter.account] + seen[waiter.account]
            ranked.append((turns, self._served.get(waiter.account, 0), waiter.number, waiter))
            seen[waiter.account] += 1
        for place, (*_, waiter) in enumerate(sorted(ranked, key=lambda rank: rank[:3]), start=1):
            waiter.tell(place)

    def _overloaded(self) -> Overloaded:
        return Overloaded(
            f"the model {self.model!r} is busy and its queue of {self.max_queued} is full.",
            retry_after=self.retry_after,
        )


class Admission:
    """The lanes of all models. A lane is made for a model that exists, so there are few."""

    def __init__(self, *, slots: int, max_queued: int, max_wait: float) -> None:
        self._slots = slots
        self._max_queued = max_queued
        self._max_wait = max_wait
        self._lanes: dict[str, Lane] = {}

    def lane(self, model: str) -> Lane:
        """The lane of a model; its slots are the default until its engine is open and says its own."""
        lane = self._lanes.get(model)
        if lane is None:
            lane = Lane(model, slots=self._slots, max_queued=self._max_queued, max_wait=self._max_wait)
            self._lanes[model] = lane
        return lane

    def lanes(self) -> list[Lane]:
        """All lanes, for metrics."""
        return list(self._lanes.values())
