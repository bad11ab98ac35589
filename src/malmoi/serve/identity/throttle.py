"""Log-in pauses for a name, or for an address, after too many failures within ten minutes.

An attempt is written down before the password is looked at, and crossed out when it succeeds, so a burst of
guesses at the same instant counts in full. Sessions that are open go on: nobody can be thrown out by
guessing.
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from malmoi.core.errors import RateLimited
from malmoi.serve.db import Database, new_id, utc_now
from malmoi.serve.db.tables import LoginAttempt

WINDOW = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A log-in that is being tried."""

    ids: tuple[str, ...]
    name_subject: str


class LoginThrottle:
    """Counts failed log-ins in the database, so that a restart forgets none."""

    def __init__(self, db: Database, max_failures: int) -> None:
        self._db = db
        self._max_failures = max_failures

    async def begin(self, name_key: str, address: str) -> Attempt:
        """Write an attempt down.

        Raises:
            RateLimited: the name or the address has failed too often.
        """
        now = utc_now()
        subjects = (f"name:{name_key[:120]}", f"address:{address[:120]}")
        async with self._db.session() as session:
            await session.execute(delete(LoginAttempt).where(LoginAttempt.at < now - WINDOW))
            if self._db.dialect == "postgresql":
                # In one order for all, or two bursts could wait for each other.
                for subject in sorted(subjects):
                    await session.execute(
                        text("SELECT pg_advisory_xact_lock(hashtextextended(:s, 0))"), {"s": subject}
                    )
            for subject in subjects:
                await self._check(session, subject)
            ids = tuple(new_id("try") for _ in subjects)
            for identifier, subject in zip(ids, subjects, strict=True):
                session.add(LoginAttempt(id=identifier, subject=subject, at=now))
        return Attempt(ids, subjects[0])

    async def succeed(self, attempt: Attempt) -> None:
        """Cross the attempt out, and the name's failures with it.

        The address keeps its other failures: an account of one's own must not pay for guessing at others.
        """
        async with self._db.session() as session:
            await session.execute(
                delete(LoginAttempt).where(
                    LoginAttempt.id.in_(attempt.ids) | (LoginAttempt.subject == attempt.name_subject)
                )
            )

    async def _check(self, session: AsyncSession, subject: str) -> None:
        query = select(func.count(), func.min(LoginAttempt.at)).where(LoginAttempt.subject == subject)
        failures, oldest = (await session.execute(query)).one()
        if failures >= self._max_failures:
            wait = max(1, int((oldest + WINDOW - utc_now()).total_seconds()) + 1)
            raise RateLimited("too many failed log-ins.", retry_after=wait)
