"""Metering: what each request may use before it runs, and what it used after.

`open` reserves the most a request may use, `settle` writes the usage row and gives back the rest in the same
transaction, once for each request. Where no limit applies, `open` touches no database, so it adds nothing to
the time to the first token. A reservation whose server died is charged in full at that server's next start:
never free.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from malmoi.core.errors import Conflict, DiskFull
from malmoi.engine.base import Usage
from malmoi.serve.db import Database, utc_now
from malmoi.serve.db.tables import LimitState, ReservedUsage, UsageEvent
from malmoi.serve.identity.principal import Principal
from malmoi.serve.limits import NO_LIMIT_STATUS, Limits, LimitStatus, Used, admit, settle, tightest
from malmoi.serve.settings import ServeSettings

logger = logging.getLogger(__name__)

_ABANDONED_AFTER = timedelta(days=1)  # no request runs longer: its server is gone for good


@dataclass(frozen=True, slots=True)
class Reservation:
    """A request under way, and what it has reserved.

    Attributes:
        request_id: made by the server; one row of usage is written for it, ever.
        at: when it was opened, in seconds since 1970.
        subjects: the keys and accounts whose limits it counts against; empty: none.
        limits: what is left of the limits, for the `x-ratelimit-*` headers.
    """

    request_id: str
    at: float
    account_id: str
    key_id: str | None
    model: str
    source: str
    prompt_tokens: int
    max_tokens: int
    subjects: tuple[str, ...] = ()
    limits: LimitStatus = NO_LIMIT_STATUS

    @property
    def tokens(self) -> int:
        """The most tokens it may use."""
        return self.prompt_tokens + self.max_tokens


class Metering:
    """Limits and usage of one server; `start` it when the database is open, `stop` it before."""

    def __init__(self, db: Database, settings: ServeSettings) -> None:
        self._db = db
        defaults = settings.limits
        self._of_account = Limits(
            defaults.requests_per_minute, defaults.tokens_per_minute, defaults.tokens_per_day
        )
        self._server = f"{socket.gethostname()}:{settings.http.port}"[:128]
        self._unwritten: dict[str, tuple[Reservation, UsageEvent]] = {}
        self._writing: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Charge what this server had reserved when it died, and what no server can still be working on."""
        now = utc_now()
        left_over = (ReservedUsage.server == self._server) | (ReservedUsage.at < now - _ABANDONED_AFTER)
        async with self._db.session() as session:
            for row in (await session.scalars(select(ReservedUsage).where(left_over))).all():
                event = _event(
                    _reservation_of(row),
                    Usage(row.prompt_tokens, row.max_tokens),
                    finish_reason="lost",
                    seconds=0.0,
                    status="estimated",
                )
                await session.execute(self._insert_once(UsageEvent, event))
                await session.delete(row)

    async def stop(self) -> None:
        """Wait for the rows that are being written, and write those that could not be written before."""
        if self._writing:
            await asyncio.wait(self._writing)
        await self._write_left_over()

    async def open(
        self,
        principal: Principal,
        *,
        request_id: str,
        model: str,
        source: str,
        prompt_tokens: int,
        max_tokens: int,
    ) -> Reservation:
        """Reserve what a request may use at most.

        Args:
            principal: who asks.
            request_id: a fresh id, made by the server and never taken from the client.
            model: the model's name.
            source: the API or app that asks.
            prompt_tokens: tokens of the prompt (an estimate will do).
            max_tokens: the longest answer, in tokens.

        Raises:
            LimitExceeded: a limit of the key or account is used up.
            InvalidInput: the request needs more tokens than a limit allows in all.
            Conflict: the request id is taken.
        """
        now = time.time()
        opened = Reservation(
            request_id,
            now,
            principal.account_id,
            principal.key_id,
            model,
            source,
            max(0, prompt_tokens),
            max(0, max_tokens),
        )
        limits = self._limits_of(principal)
        if not limits:
            return opened
        async with self._db.session() as session:
            known: tuple[type[ReservedUsage | UsageEvent], ...] = (ReservedUsage, UsageEvent)
            if any([await session.get(table, request_id) is not None for table in known]):
                raise Conflict(f"request {request_id!r} is known already.")
            states = await self._lock_states(session, sorted(limits))
            statuses = []
            for subject, limit in limits.items():
                used, status = admit(states[subject], limit, tokens=opened.tokens, now=now)
                statuses.append(status)
                await _write_state(session, subject, used)
            session.add(_row_of(opened, self._server))
        return replace(opened, subjects=tuple(limits), limits=tightest(statuses))

    async def settle(
        self, reservation: Reservation, usage: Usage, *, finish_reason: str, seconds: float
    ) -> None:
        """Write what the request used, and give back what it did not; the second time, nothing happens.

        The answer has been given, so an unreachable or full database is no error here: the row is kept in
        memory and written with the next one, or at `stop`.

        Args:
            reservation: of `open`.
            usage: what the engine counted, also for a request that was cancelled or failed.
            finish_reason: why it ended.
            seconds: how long it took.
        """
        event = _event(reservation, usage, finish_reason=finish_reason, seconds=seconds)
        self._unwritten[reservation.request_id] = (reservation, event)
        # In a task of its own: a stream that is cancelled is paid for as well.
        task = asyncio.create_task(self._write_left_over(), name="usage")
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        await asyncio.shield(task)

    async def _write_left_over(self) -> None:
        for request_id, (reservation, event) in list(self._unwritten.items()):
            if self._unwritten.pop(request_id, None) is None:
                continue  # another task is writing it
            try:
                await self._write(reservation, event)
            except (DBAPIError, DiskFull) as error:
                self._unwritten[request_id] = (reservation, event)
                kind = type(error).__name__
                logger.warning("usage rows kept in memory: %d (%s)", len(self._unwritten), kind)
                return
            except asyncio.CancelledError:
                self._unwritten[request_id] = (reservation, event)
                raise

    async def _write(self, reservation: Reservation, event: UsageEvent) -> None:
        async with self._db.session() as session:
            written = await session.scalar(
                self._insert_once(UsageEvent, event).returning(UsageEvent.request_id)
            )
            if written is None or not reservation.subjects:
                return
            actual = event.prompt_tokens + event.completion_tokens
            states = await self._lock_states(session, sorted(reservation.subjects))
            for subject, used in states.items():
                left = settle(used, change=actual - reservation.tokens, at=reservation.at, now=time.time())
                await _write_state(session, subject, left)
            await session.execute(
                delete(ReservedUsage).where(ReservedUsage.request_id == reservation.request_id)
            )

    def _limits_of(self, principal: Principal) -> dict[str, Limits]:
        """The server's limits hold for the account with all its keys; a key's own come on top."""
        own = principal.limits
        of_key = Limits(own.requests_per_minute or 0, own.tokens_per_minute or 0, own.tokens_per_day or 0)
        found = {principal.account_id: self._of_account}
        if principal.key_id is not None:
            found[principal.key_id] = of_key
        return {subject: limit for subject, limit in found.items() if limit}

    async def _lock_states(self, session: AsyncSession, subjects: Sequence[str]) -> dict[str, Used]:
        """What the subjects have used; nobody else can change it before this session ends."""
        query = select(LimitState.subject, LimitState.state).where(LimitState.subject.in_(subjects))
        query = query.order_by(LimitState.subject).with_for_update()  # in one order, against deadlock
        rows = (await session.execute(query)).all()
        if len(rows) < len(subjects):
            for subject in subjects:
                await session.execute(self._insert_once(LimitState, LimitState(subject=subject, state={})))
            rows = (await session.execute(query)).all()
        return {row.subject: Used.from_json(row.state) for row in rows}

    def _insert_once(self, table: type[Any], row: Any) -> Any:
        values = {column.key: getattr(row, column.key) for column in table.__table__.columns}
        insert = postgresql.insert if self._db.dialect == "postgresql" else sqlite.insert
        return insert(table).values(values).on_conflict_do_nothing()


async def _write_state(session: AsyncSession, subject: str, used: Used) -> None:
    change = update(LimitState).where(LimitState.subject == subject).values(state=used.to_json())
    await session.execute(change)


def _event(
    reservation: Reservation, usage: Usage, *, finish_reason: str, seconds: float, status: str = "measured"
) -> UsageEvent:
    at = datetime.fromtimestamp(reservation.at, UTC)
    return UsageEvent(
        request_id=reservation.request_id,
        at=at,
        day=at.date().isoformat(),
        account_id=reservation.account_id,
        key_id=reservation.key_id,
        model=reservation.model,
        source=reservation.source,
        prompt_tokens=usage.prompt_tokens,
        cached_tokens=usage.cached_tokens,
        completion_tokens=usage.completion_tokens,
        finish_reason=finish_reason,
        milliseconds=round(seconds * 1000),
        status=status,
    )


def _row_of(reservation: Reservation, server: str) -> ReservedUsage:
    return ReservedUsage(
        request_id=reservation.request_id,
        server=server,
        at=datetime.fromtimestamp(reservation.at, UTC),
        account_id=reservation.account_id,
        key_id=reservation.key_id,
        model=reservation.model,
        source=reservation.source,
        prompt_tokens=reservation.prompt_tokens,
        max_tokens=reservation.max_tokens,
    )


def _reservation_of(row: ReservedUsage) -> Reservation:
    return Reservation(
        row.request_id,
        row.at.timestamp(),
        row.account_id,
        row.key_id,
        row.model,
        row.source,
        row.prompt_tokens,
        row.max_tokens,
    )
