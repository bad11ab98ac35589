"""User models at work for many callers: in threads, a bounded number at a time, metered.

A history is counted as the tokens that its texts would about have, so that the limits of a key mean the same
here as for language models; of what was asked, nothing else is kept.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from malmoi.engine.base import Usage
from malmoi.serve.admission import Lane
from malmoi.serve.running import estimate_tokens
from malmoi.users.service import UserService

if TYPE_CHECKING:
    from pathlib import Path

    from malmoi.serve.identity import Principal
    from malmoi.serve.limits import LimitStatus
    from malmoi.serve.metering import Metering
    from malmoi.serve.settings import UserSettings

T = TypeVar("T")


class Users:
    """The user models of one server.

    Args:
        home: Malmoi's home.
        settings: which models are served, and how many requests run and wait.
        metering: limits and usage.
    """

    def __init__(self, home: Path, settings: UserSettings, metering: Metering) -> None:
        self.service = UserService(home, settings.models)
        self._metering = metering
        self._lane = Lane(
            "users", slots=settings.threads, max_queued=settings.max_queued, max_wait=settings.max_wait
        )
        self._threads = ThreadPoolExecutor(settings.threads, thread_name_prefix="users")

    async def run(self, principal: Principal, work: Callable[[UserService], T]) -> T:
        """Do blocking work in a thread, when it is this caller's turn.

        A caller who leaves while it runs keeps the place until it ends: a thread cannot be stopped.

        Raises:
            Overloaded, EngineUnavailable: too many wait, or it took too long.
        """
        account = principal.account_id
        await self._lane.acquire(account)
        started = time.perf_counter()

        def done(future: asyncio.Future[T]) -> None:
            self._lane.release(account, time.perf_counter() - started)
            if not future.cancelled():
                future.exception()  # looked at, also where nobody waits for it any more

        try:
            running = asyncio.get_running_loop().run_in_executor(self._threads, work, self.service)
        except RuntimeError:  # the server stops, and takes no more work
            self._lane.release(account)
            raise
        running.add_done_callback(done)
        return await asyncio.shield(running)

    async def metered(
        self,
        principal: Principal,
        work: Callable[[UserService], T],
        *,
        request_id: str,
        model: str,
        texts: Iterable[str] = (),
    ) -> tuple[T, LimitStatus]:
        """`run` within the caller's limits, with a row of usage.

        Args:
            principal: who asks.
            work: what is to be done.
            request_id: a fresh id.
            model: the model's or the collection's name, for the row.
            texts: what is read for it.

        Raises:
            LimitExceeded: a limit of the key or account is used up.
        """
        self._lane.check(principal.account_id)
        tokens = sum(estimate_tokens(text) for text in texts)
        reservation = await self._metering.open(
            principal, request_id=request_id, model=model, source="users", prompt_tokens=tokens, max_tokens=0
        )
        started, reason = time.perf_counter(), "abort"
        try:
            result = await self.run(principal, work)
            reason = "stop"
        except asyncio.CancelledError:
            raise
        except Exception:
            reason = "error"
            raise
        finally:
            used = Usage(prompt_tokens=tokens if reason == "stop" else 0)
            seconds = time.perf_counter() - started
            await self._metering.settle(reservation, used, finish_reason=reason, seconds=seconds)
        return result, reservation.limits

    async def close(self) -> None:
        """Wait until what runs has ended."""
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)
