"""Accounts: who may log in, and as what.

Only an owner changes owners and admins; the last owner who can log in stays. The first account with a
password takes over the local owner of a server that was open until then, with all that is the owner's.
"""

import unicodedata
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from malmoi.core.errors import Conflict, Forbidden, InvalidInput, NotFound
from malmoi.serve.db import Database, new_id, utc_now
from malmoi.serve.db.tables import Account, BrowserSession
from malmoi.serve.identity.credentials import hash_secret
from malmoi.serve.identity.passwords import Passwords
from malmoi.serve.identity.principal import Principal, Role, Scope, account_principal

LOCAL_OWNER = "owner"
_HIGH = frozenset({Role.OWNER, Role.ADMIN})


class Accounts:
    """All accounts.

    `actor` is who asks for a change; None is the command line, which may do everything. `on_change` is called
    after each change, when what is remembered about callers may be wrong.
    """

    def __init__(
        self, db: Database, passwords: Passwords, *, on_change: Callable[[], None] = lambda: None
    ) -> None:
        self._db = db
        self._passwords = passwords
        self._on_change = on_change

    async def add(
        self, actor: Principal | None, name: str, password: str, role: Role | None = None
    ) -> Account:
        """Add a person who can log in; the first one is an owner.

        Args:
            actor: who asks.
            name: how the person logs in.
            password: in plain text.
            role: what the account is; None: owner for the first, member for all others.

        Raises:
            InvalidInput: the name or the password is not acceptable.
            Conflict: the name is taken, or the first account would not be an owner.
            Forbidden: the actor may not make such an account.
        """
        name = parse_name(name)
        _check_may(actor, role or Role.MEMBER)
        password_hash = await self._passwords.hash(password)
        try:
            async with self._db.session() as session:
                first = await _count_with_password(session) == 0
                role = role or (Role.OWNER if first else Role.MEMBER)
                if first and role is not Role.OWNER:
                    raise Conflict("the first account must be an owner.", fix="Add an owner first.")
                account = await _local_owner(session) if first else None
                if account is None:
                    account = Account(id=new_id("acc"), created_at=utc_now(), disabled=False, preferences={})
                    session.add(account)
                account.name, account.name_key, account.role = name, name_key(name), role
                account.password_hash = password_hash
        except IntegrityError as error:
            raise Conflict(f"there is an account {name!r} already.", fix="Choose another name.") from error
        self._on_change()
        return account

    async def all(self) -> Sequence[Account]:
        """Every account, by name."""
        async with self._db.reading() as session:
            return (await session.scalars(select(Account).order_by(Account.name_key))).all()

    async def get(self, account_id: str) -> Account:
        """One account.

        Raises:
            NotFound: there is no such account.
        """
        async with self._db.reading() as session:
            return await _get(session, account_id)

    async def visible(self, principal: Principal, account_id: str) -> Account:
        """One account, for somebody who may know of it.

        Raises:
            NotFound: there is no such account, or it is neither the caller's own nor the caller an admin.
        """
        if account_id != principal.account_id and not principal.may(Scope.ADMIN):
            raise NotFound("there is no such account.")
        return await self.get(account_id)

    async def preferences(self, account_id: str) -> dict[str, Any]:
        """What `set_preferences` stored; empty at first."""
        return dict((await self.get(account_id)).preferences)

    async def set_preferences(self, account_id: str, preferences: dict[str, Any]) -> None:
        """Store how a person likes the apps, as JSON."""
        async with self._db.session() as session:
            account = await _get(session, account_id)
            account.preferences = preferences

    async def named(self, name: str) -> Account | None:
        """The account of that name, however it is written."""
        async with self._db.reading() as session:
            return (
                await session.scalars(select(Account).where(Account.name_key == name_key(name)))
            ).one_or_none()

    async def set_password(
        self, actor: Principal | None, account_id: str, password: str, *, keep_token: str | None = None
    ) -> None:
        """Give an account a new password, and end its sessions but the one of `keep_token`.

        Raises:
            InvalidInput: the password is not acceptable.
            NotFound: there is no such account.
            Forbidden: the actor may not change that account.
        """
        password_hash = await self._passwords.hash(password)
        async with self._db.session() as session:
            account = await _get(session, account_id)
            if actor is None or actor.account_id != account_id or actor.key_id is not None:
                _check_may(actor, Role(account.role))
            account.password_hash = password_hash
            ended = delete(BrowserSession).where(BrowserSession.account_id == account_id)
            if keep_token is not None:
                ended = ended.where(BrowserSession.token_hash != hash_secret(keep_token))
            await session.execute(ended)
        self._on_change()

    async def change(
        self,
        actor: Principal | None,
        account_id: str,
        *,
        role: Role | None = None,
        disabled: bool | None = None,
    ) -> None:
        """Make an account something else, shut it out, or let it in again; None leaves things as they are.

        Its keys keep only the rights that the role has; an account that is shut out has no sessions any more.

        Raises:
            NotFound: there is no such account.
            Forbidden: the actor may not change that account, or not to that role.
            Conflict: it is the last owner.
        """
        async with self._db.session() as session:
            await _lock_owners(session)
            account = await _get(session, account_id)
            _check_may(actor, Role(account.role))
            if role is not None:
                _check_may(actor, role)
                account.role = role
            if disabled is not None:
                account.disabled = disabled
            await _check_has_owner(session)
            if disabled:
                await session.execute(delete(BrowserSession).where(BrowserSession.account_id == account_id))
        self._on_change()

    async def remove(self, actor: Principal | None, account_id: str) -> None:
        """Delete an account with all that is its own; only its usage stays.

        Raises:
            NotFound: there is no such account.
            Forbidden: the actor may not remove that account.
            Conflict: it is the last owner.
        """
        async with self._db.session() as session:
            await _lock_owners(session)
            account = await _get(session, account_id)
            _check_may(actor, Role(account.role))
            await session.delete(account)
            await _check_has_owner(session)
        self._on_change()

    async def open_to_this_machine(self) -> Principal | None:
        """The local owner, while no account has a password; None as soon as one has."""
        async with self._db.reading() as session:
            if await _count_with_password(session):
                return None
            owner = await _local_owner(session)
        return account_principal(owner.id, owner.name, Role.OWNER) if owner is not None else None

    async def count_with_password(self) -> int:
        """How many accounts have a password, disabled ones included."""
        async with self._db.reading() as session:
            return await _count_with_password(session)

    async def ensure_owner(self) -> None:
        """Make the local owner in an empty database."""
        owner = Account(
            id=new_id("acc"),
            name=LOCAL_OWNER,
            name_key=name_key(LOCAL_OWNER),
            role=Role.OWNER,
            disabled=False,
            preferences={},
            created_at=utc_now(),
        )
        # Another server that starts on the same database at the same moment has made it: as good.
        with suppress(IntegrityError):
            async with self._db.session() as session:
                if not await session.scalar(select(func.count()).select_from(Account)):
                    session.add(owner)

    async def refresh_hash(self, account_id: str, password: str) -> None:
        """Hash a password that was just verified again, with today's parameters."""
        password_hash = await self._passwords.hash(password)
        async with self._db.session() as session:
            await session.execute(
                update(Account).where(Account.id == account_id).values(password_hash=password_hash)
            )


def parse_name(text: str) -> str:
    """An account's name, in NFC and without surrounding spaces.

    Raises:
        InvalidInput: it is empty, longer than 64 characters, or has invisible characters.
    """
    name = unicodedata.normalize("NFC", text).strip()
    if not 1 <= len(name) <= 64 or not name.isprintable():
        raise InvalidInput("a name has 1 to 64 printable characters.", field="name")
    return name


def name_key(name: str) -> str:
    """The form in which names are compared."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name.strip()).casefold())[:128]


def _check_may(actor: Principal | None, role: Role) -> None:
    if actor is None:
        return
    if not actor.may(Scope.ADMIN):
        raise Forbidden("you may not manage accounts.", fix="Ask an admin.")
    if role in _HIGH and actor.role is not Role.OWNER:
        raise Forbidden(f"only an owner may make or change an account of role {role.value!r}.")


async def _get(session: AsyncSession, account_id: str) -> Account:
    account = await session.get(Account, account_id)
    if account is None:
        raise NotFound("there is no such account.")
    return account


async def _local_owner(session: AsyncSession) -> Account | None:
    query = select(Account).where(Account.role == Role.OWNER, Account.password_hash.is_(None))
    return (await session.scalars(query.order_by(Account.created_at).limit(1))).one_or_none()


async def _count_with_password(session: AsyncSession) -> int:
    query = select(func.count()).select_from(Account).where(Account.password_hash.is_not(None))
    return int(await session.scalar(query) or 0)


async def _lock_owners(session: AsyncSession) -> None:
    """So that two owners cannot remove each other at the same moment."""
    query = select(Account.id).where(Account.role == Role.OWNER).order_by(Account.id)
    await session.execute(query.with_for_update())


async def _check_has_owner(session: AsyncSession) -> None:
    await session.flush()
    query = select(Account.id).where(
        Account.role == Role.OWNER, Account.disabled.is_(False), Account.password_hash.is_not(None)
    )
    if not (await session.scalars(query)).all():
        raise Conflict("this is the last owner who can log in.", fix="Make another account an owner first.")
