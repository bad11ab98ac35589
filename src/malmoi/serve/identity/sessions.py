"""Browser sessions: an opaque random token in a cookie, its SHA-256 in the database, no claims inside."""

import hashlib
import secrets
from datetime import timedelta

from sqlalchemy import Delete, delete, select, update

from malmoi.serve.db import Database, utc_now
from malmoi.serve.db.tables import Account, BrowserSession
from malmoi.serve.identity.credentials import hash_secret
from malmoi.serve.identity.principal import Principal, Role, account_principal

COOKIE = "malmoi_session"
_NOTE_USE_EVERY = timedelta(minutes=10)  # a session's last use is written at most this often


def csrf_of(token: str) -> str:
    """The CSRF token that belongs to a session: derived, so that checking it needs no database."""
    return hashlib.sha256(b"malmoi csrf " + token.encode()).hexdigest()


class Sessions:
    """The sessions of all accounts."""

    def __init__(self, db: Database, days: int) -> None:
        self._db = db
        self._idle = timedelta(days=days)

    @property
    def max_age(self) -> int:
        """Seconds the browser keeps the cookie."""
        return int(self._idle.total_seconds())

    async def create(self, account_id: str, *, replaces: str | None = None) -> str:
        """Open a session and return its token; the one it replaces ends: a planted one is worthless."""
        token = secrets.token_urlsafe(32)
        now = utc_now()
        async with self._db.session() as session:
            if replaces is not None:
                await session.execute(_by_token(replaces))
            await session.execute(delete(BrowserSession).where(BrowserSession.seen_at < now - self._idle))
            session.add(
                BrowserSession(
                    token_hash=hash_secret(token), account_id=account_id, created_at=now, seen_at=now
                )
            )
        return token

    async def find(self, token: str) -> Principal | None:
        """The person of a session that has not ended."""
        now = utc_now()
        query = (
            select(Account.id, Account.name, Account.role, BrowserSession.seen_at)
            .join(Account, Account.id == BrowserSession.account_id)
            .where(BrowserSession.token_hash == hash_secret(token))
            .where(BrowserSession.seen_at >= now - self._idle)
            .where(Account.disabled.is_(False))
        )
        async with self._db.reading() as session:
            row = (await session.execute(query)).one_or_none()
        if row is None:
            return None
        if now - row.seen_at > _NOTE_USE_EVERY:
            async with self._db.session() as session:
                await session.execute(
                    update(BrowserSession)
                    .where(BrowserSession.token_hash == hash_secret(token))
                    .values(seen_at=now)
                )
        return account_principal(row.id, row.name, Role(row.role))

    async def end(self, token: str) -> None:
        """End one session."""
        async with self._db.session() as session:
            await session.execute(_by_token(token))


def _by_token(token: str) -> Delete:
    return delete(BrowserSession).where(BrowserSession.token_hash == hash_secret(token))
