"""Who is asking: the one object that turns a request's headers into a principal.

A server that only this machine can reach, without any password, is open: whoever reaches it is its local
owner. As soon as one account has a password, or the server listens to others, everybody logs in.
"""

import secrets
import time
from collections.abc import Iterable

from malmoi.core.errors import ConfigError, Unauthenticated
from malmoi.serve.db import Database
from malmoi.serve.db.tables import Account
from malmoi.serve.identity.accounts import Accounts, name_key
from malmoi.serve.identity.credentials import KEY_PREFIX, read_credential
from malmoi.serve.identity.keys import Keys
from malmoi.serve.identity.passwords import Passwords
from malmoi.serve.identity.principal import Principal, Role, account_principal
from malmoi.serve.identity.sessions import Sessions, csrf_of
from malmoi.serve.identity.throttle import LoginThrottle
from malmoi.serve.settings import ServeSettings

_PROXY_HEADERS = frozenset({b"forwarded", b"x-forwarded-for", b"x-real-ip"})
_LOOK_AGAIN_AFTER = 1.0  # seconds until a password that the command line has set closes an open server


class Identity:
    """Accounts, sessions and keys of one server; `start` it when the database is open, `stop` it before."""

    def __init__(self, db: Database, settings: ServeSettings) -> None:
        self.passwords = Passwords()
        self.accounts = Accounts(db, self.passwords, on_change=self.look_again)
        self.sessions = Sessions(db, settings.identity.session_days)
        self.keys = Keys(db)
        self._throttle = LoginThrottle(db, settings.identity.max_failures)
        self._is_loopback = settings.is_loopback
        self._anonymous_csrf = secrets.token_hex(32)
        self._open_to: Principal | None = None
        self._looked_at = float("-inf")
        self._changes = 0

    async def start(self) -> None:
        """Make the local owner in an empty database."""
        await self.accounts.ensure_owner()

    async def stop(self) -> None:
        """Write what is still in memory."""
        await self.keys.flush()

    async def authenticate(
        self, headers: Iterable[tuple[bytes, bytes]], session_token: str | None
    ) -> Principal | None:
        """The caller, or None when there are no credentials.

        Args:
            headers: the raw headers, names in lower case.
            session_token: the value of the session cookie.

        Raises:
            Unauthenticated: a key or session was sent that is not valid.
            InvalidInput: two different keys were sent.
        """
        headers = tuple(headers)
        credential = read_credential(headers)
        if credential is not None and credential.startswith(KEY_PREFIX):
            return await self._of_key(credential)
        local = await self.open_to()
        if local is not None:
            _refuse_proxied(headers)
            return local  # any other bearer is what clients send when they must send something
        if credential is not None:
            return await self._of_key(credential)
        if session_token:
            return await self.sessions.find(session_token)
        return None

    async def open_to(self) -> Principal | None:
        """The local owner when no log-in is needed, else None."""
        if not self._is_loopback:
            return None
        if time.monotonic() - self._looked_at >= _LOOK_AGAIN_AFTER:
            began, changes = time.monotonic(), self._changes
            self._open_to = await self.accounts.open_to_this_machine()
            if changes == self._changes:  # else it may have been read before the change
                self._looked_at = began
        return self._open_to

    def look_again(self) -> None:
        """Forget what is remembered about callers: an account has just changed."""
        self._looked_at = float("-inf")
        self._changes += 1
        self.keys.forget()

    async def log_in(
        self, name: str, password: str, *, address: str, replaces: str | None
    ) -> tuple[Principal, str]:
        """Check a password and open a session.

        Args:
            name: the account's name, in any case.
            password: in plain text.
            address: where the request comes from, for the throttle.
            replaces: the session token that the browser had until now; it ends.

        Returns:
            The person and the new session's token.

        Raises:
            RateLimited: too many failures for this name or address.
            Unauthenticated: name or password is wrong; which one is not said, nor shown by the time it takes.
        """
        account = await self.accounts.named(name)
        if account is not None and account.disabled:
            account = None
        person = await self.check_password(account, password, name=name, address=address)
        token = await self.sessions.create(person.id, replaces=replaces)
        return account_principal(person.id, person.name, Role(person.role)), token

    async def check_password(
        self, account: Account | None, password: str, *, name: str, address: str
    ) -> Account:
        """The account, if that is its password; takes as long for no account as for a wrong password.

        Raises:
            RateLimited: too many failures for this name or address.
            Unauthenticated: the password is wrong.
        """
        attempt = await self._throttle.begin(name_key(name), address)
        stored = account.password_hash if account is not None else None
        right = await self.passwords.verify(stored, password)
        if not right or account is None or stored is None:
            raise Unauthenticated("the name or the password is wrong.")
        await self._throttle.succeed(attempt)
        if self.passwords.is_outdated(stored):
            await self.accounts.refresh_hash(account.id, password)
        return account

    def csrf(self, session_token: str | None) -> str:
        """The token that a page must send along with every change: the session's, or this process's own."""
        return csrf_of(session_token) if session_token else self._anonymous_csrf

    async def _of_key(self, credential: str) -> Principal:
        principal = await self.keys.find(credential)
        if principal is None:
            raise Unauthenticated(
                "the API key is not valid: it is unknown, expired or revoked.",
                fix="Make a new key in settings.",
            )
        return principal


def _refuse_proxied(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """An open server trusts whoever can reach this machine; behind a proxy that would be everybody."""
    if any(name in _PROXY_HEADERS for name, _ in headers):
        raise Unauthenticated(
            "this server needs no log-in because only this machine may use it, but a proxy sent the request.",
            fix="Give the owner a password: malmoi accounts passwd owner",
        )


async def check_may_listen(settings: ServeSettings, db: Database) -> None:
    """Refuse to listen beyond this machine before there is somebody who can log in.

    Raises:
        ConfigError: the server would be open to a network.
    """
    if settings.is_loopback:
        return
    accounts = Accounts(db, Passwords())
    if await accounts.count_with_password() == 0:
        raise ConfigError(
            f"http.host {settings.http.host!r} (with http.allowed_hosts) lets others reach the server, "
            "but no account has a password.",
            fix=f"Run: malmoi accounts add NAME --home {settings.home}",
        )
