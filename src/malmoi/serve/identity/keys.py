"""API keys: made once and shown once, looked up by their id, revoked at once.

A key that was found is remembered for half a second, so that a busy client costs the database one query in
that time and not one per request. A change in this process ends that at once; one by the command line within
the half second.
"""

import hmac
import time
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select, update

from malmoi.core.errors import Forbidden, InvalidInput, NotFound
from malmoi.serve.db import Database, utc_now
from malmoi.serve.db.tables import Account, ApiKey
from malmoi.serve.identity.credentials import KeyText, hash_secret, new_key, parse_key
from malmoi.serve.identity.principal import KEY_SCOPES, NO_LIMITS, RIGHTS, KeyLimits, Principal, Role, Scope

MAX_KEYS = 100
_REMEMBERED = 0.5  # seconds
_MOST_REMEMBERED = 1000
_WRITE_USE_EVERY = timedelta(minutes=1)  # `used_at` is written for many keys together


class Keys:
    """The keys of all accounts."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._used: dict[str, datetime] = {}
        self._written_at = utc_now()
        self._found: dict[str, tuple[Principal, float]] = {}  # hash of the whole key -> caller, until when
        self._forgot_at = 0.0

    async def create(
        self,
        principal: Principal,
        name: str,
        scopes: Collection[str],
        *,
        expires_at: datetime | None = None,
        limits: KeyLimits = NO_LIMITS,
    ) -> tuple[ApiKey, KeyText]:
        """Make a key of the caller's own; its secret is in the answer and nowhere else.

        Raises:
            InvalidInput: a scope is not one of keys, the name is empty, or there are too many keys.
            Forbidden: the caller does not have a right that the key should have.
        """
        wanted = _check_scopes(principal, scopes)
        name = name.strip()
        if not name or len(name) > 64 or not name.isprintable():
            raise InvalidInput("a key's name has 1 to 64 printable characters.", field="name")
        secret = new_key()
        key = ApiKey(
            id=secret.id,
            account_id=principal.account_id,
            name=name,
            secret_hash=hash_secret(secret.secret),
            scopes=wanted,
            created_at=utc_now(),
            expires_at=expires_at,
            requests_per_minute=limits.requests_per_minute,
            tokens_per_minute=limits.tokens_per_minute,
            tokens_per_day=limits.tokens_per_day,
        )
        async with self._db.session() as session:
            query = select(ApiKey.id).where(ApiKey.account_id == principal.account_id)
            if len((await session.scalars(query.where(ApiKey.revoked_at.is_(None)))).all()) >= MAX_KEYS:
                raise InvalidInput(f"an account has at most {MAX_KEYS} keys.", fix="Revoke one first.")
            session.add(key)
        return key, secret

    async def of(self, principal: Principal, *, everyone: bool = False) -> Sequence[ApiKey]:
        """The caller's keys that are not revoked, newest first; with `everyone`, all accounts'.

        Raises:
            Forbidden: everyone's keys are for those who manage accounts.
        """
        if everyone:
            if not principal.may(Scope.ADMIN):
                raise Forbidden("you may see your own keys only.")
            return await self.all()
        return [key for key in await self.all() if key.account_id == principal.account_id]

    async def all(self) -> Sequence[ApiKey]:
        """Everybody's keys that are not revoked, newest first."""
        query = select(ApiKey).where(ApiKey.revoked_at.is_(None)).order_by(ApiKey.created_at.desc())
        async with self._db.reading() as session:
            return (await session.scalars(query)).all()

    async def revoke(self, principal: Principal | None, key_id: str) -> None:
        """End a key at once: one's own, or anybody's for those who manage accounts (None: the command line).

        Raises:
            NotFound: there is no such key, or it is somebody else's.
        """
        change = update(ApiKey).where(ApiKey.id == key_id).where(ApiKey.revoked_at.is_(None))
        if principal is not None and not principal.may(Scope.ADMIN):
            change = change.where(ApiKey.account_id == principal.account_id)
        async with self._db.session() as session:
            revoked = await session.scalars(change.values(revoked_at=utc_now()).returning(ApiKey.id))
            if revoked.one_or_none() is None:
                raise NotFound("there is no such key.")
        self.forget()

    async def find(self, credential: str) -> Principal | None:
        """The caller that a key stands for, or None when it is unknown, wrong, expired or revoked."""
        text = parse_key(credential)
        if text is None:
            return None
        digest = hash_secret(credential)
        known, until = self._found.get(digest, (None, 0.0))
        if known is not None and time.monotonic() < until:
            await self._note_use(text.id, utc_now())
            return known
        began = time.monotonic()
        found = await self._look_up(text)
        if found is None:
            self._found.pop(digest, None)
        else:
            if len(self._found) >= _MOST_REMEMBERED:
                self.forget()
            if began >= self._forgot_at:  # else the row may have been read before the change
                self._found[digest] = (found, began + _REMEMBERED)
            await self._note_use(text.id, utc_now())
        return found

    def forget(self) -> None:
        """Look every key up again: something about keys or accounts has just changed."""
        self._found.clear()
        self._forgot_at = time.monotonic()

    async def _look_up(self, text: KeyText) -> Principal | None:
        columns = (
            ApiKey.secret_hash,
            ApiKey.scopes,
            ApiKey.expires_at,
            ApiKey.requests_per_minute,
            ApiKey.tokens_per_minute,
            ApiKey.tokens_per_day,
            Account.id,
            Account.name,
            Account.role,
        )
        query = (
            select(*columns)
            .join(Account, Account.id == ApiKey.account_id)
            .where(ApiKey.id == text.id, ApiKey.revoked_at.is_(None), Account.disabled.is_(False))
        )
        async with self._db.reading() as session:
            row = (await session.execute(query)).one_or_none()
        # Compared even when there is no such row: both cases take the same time.
        stored = row.secret_hash if row is not None else "0" * 64
        if not hmac.compare_digest(stored, hash_secret(text.secret)) or row is None:
            return None
        if row.expires_at is not None and row.expires_at <= utc_now():
            return None
        role = Role(row.role)
        return Principal(
            account_id=row.id,
            name=row.name,
            role=role,
            key_id=text.id,
            scopes=frozenset(row.scopes) & RIGHTS[role] & KEY_SCOPES,
            limits=KeyLimits(row.requests_per_minute, row.tokens_per_minute, row.tokens_per_day),
        )

    async def flush(self) -> None:
        """Write when keys were last used."""
        used, self._used = self._used, {}
        self._written_at = utc_now()
        if not used:
            return
        rows: list[dict[str, Any]] = [{"key": key, "at": at} for key, at in sorted(used.items())]
        change = update(ApiKey).where(ApiKey.id == bindparam("key")).values(used_at=bindparam("at"))
        async with self._db.session() as session:
            await (await session.connection()).execute(change, rows)

    async def _note_use(self, key_id: str, now: datetime) -> None:
        self._used[key_id] = now
        if now - self._written_at >= _WRITE_USE_EVERY:
            await self.flush()


def _check_scopes(principal: Principal, scopes: Collection[str]) -> list[str]:
    wanted = sorted(set(scopes))
    known = sorted(scope.value for scope in KEY_SCOPES)
    for scope in wanted:
        if scope not in known:
            raise InvalidInput(
                f"there is no scope {scope!r} for keys.", field="scopes", fix=f"Known: {', '.join(known)}."
            )
        if not principal.may(scope):
            raise Forbidden(f"you do not have the right {scope!r}, so your key cannot have it.")
    if not wanted:
        raise InvalidInput("a key needs a scope.", field="scopes", fix=f"Known: {', '.join(known)}.")
    return wanted
