"""Routes of sessions, keys, accounts and preferences: parse, call one method, render."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import ValidationError

from malmoi import __version__
from malmoi.core.errors import InvalidInput
from malmoi.serve.db import utc_now
from malmoi.serve.identity.authorize import current_principal, optional_principal, require
from malmoi.serve.identity.identity import Identity
from malmoi.serve.identity.principal import Principal, Scope
from malmoi.serve.identity.sessions import COOKIE
from malmoi.serve.identity.types import (
    AccountChange,
    AccountItem,
    AccountList,
    KeyItem,
    KeyList,
    LogIn,
    MadeKey,
    NewAccount,
    NewKey,
    Preferences,
    SessionState,
    summary,
)

Caller = Annotated[Principal, Depends(current_principal)]
MaybeCaller = Annotated[Principal | None, Depends(optional_principal)]
AccountAdmin = Annotated[Principal, Depends(require(Scope.ADMIN))]
KeyOwner = Annotated[Principal, Depends(require(Scope.KEYS))]


def identity_router(identity: Identity) -> APIRouter:
    """All routes of identity."""
    router = APIRouter(prefix="/api", tags=["identity"])
    _add_session(router, identity)
    _add_keys(router, identity)
    _add_accounts(router, identity)
    _add_preferences(router, identity)
    return router


def _add_session(router: APIRouter, identity: Identity) -> None:
    async def state(principal: Principal | None, token: str | None) -> SessionState:
        person = principal if principal is not None and principal.key_id is None else None
        preferences = await identity.accounts.preferences(person.account_id) if person is not None else {}
        language = preferences.get("language")
        return SessionState(
            signed_in=person is not None,
            login_required=await identity.open_to() is None,
            csrf=identity.csrf(token),
            account=summary(person) if person is not None else None,
            scopes=sorted(person.scopes) if person is not None else (),
            version=__version__,
            language=language if isinstance(language, str) else None,
        )

    @router.get("/session")
    async def read_session(request: Request, principal: MaybeCaller) -> SessionState:
        """Who is signed in, and the CSRF token of this page."""
        return await state(principal, request.cookies.get(COOKIE))

    @router.post("/session")
    async def log_in(request: Request, response: Response, body: LogIn) -> SessionState:
        """Log in; the session is a cookie that scripts cannot read."""
        principal, token = await identity.log_in(
            body.name,
            body.password.get_secret_value(),
            address=_address(request),
            replaces=request.cookies.get(COOKIE),
        )
        # Behind a proxy that speaks TLS for us, only the page's origin tells.
        is_secure = "https" in (request.scope["scheme"], request.headers.get("origin", "").partition(":")[0])
        response.set_cookie(
            COOKIE,
            token,
            max_age=identity.sessions.max_age,
            httponly=True,
            samesite="lax",
            secure=is_secure,
            path="/",
        )
        return await state(principal, token)

    @router.delete("/session")
    async def log_out(request: Request, response: Response) -> SessionState:
        """Log out."""
        token = request.cookies.get(COOKIE)
        if token:
            await identity.sessions.end(token)
        response.delete_cookie(COOKIE, path="/")
        return await state(await identity.open_to(), None)


def _add_keys(router: APIRouter, identity: Identity) -> None:
    @router.get("/keys")
    async def list_keys(
        principal: KeyOwner,
        everyone: Annotated[bool, Query(description="Of all accounts; needs the right `admin`.")] = False,
    ) -> KeyList:
        """The keys that are not revoked."""
        keys = await identity.keys.of(principal, everyone=everyone)
        return KeyList(items=[KeyItem.of(key) for key in keys])

    @router.post("/keys", status_code=201)
    async def make_key(principal: KeyOwner, body: NewKey) -> MadeKey:
        """Make a key; its secret is shown this once."""
        expires_at = utc_now() + timedelta(days=body.expires_days) if body.expires_days else None
        key, secret = await identity.keys.create(
            principal, body.name, body.scopes, expires_at=expires_at, limits=body.limits
        )
        return MadeKey(key=KeyItem.of(key), secret=str(secret))

    @router.delete("/keys/{key_id}", status_code=204)
    async def revoke_key(principal: KeyOwner, key_id: str) -> None:
        """Revoke a key, at once."""
        await identity.keys.revoke(principal, key_id)


def _add_accounts(router: APIRouter, identity: Identity) -> None:
    accounts = identity.accounts

    @router.get("/accounts")
    async def list_accounts(principal: AccountAdmin) -> AccountList:
        """All accounts."""
        return AccountList(items=[AccountItem.of(account) for account in await accounts.all()])

    @router.post("/accounts", status_code=201)
    async def add_account(principal: AccountAdmin, body: NewAccount) -> AccountItem:
        """Add an account; the first one with a password is an owner, and from then on everybody logs in."""
        account = await accounts.add(principal, body.name, body.password.get_secret_value(), body.role)
        return AccountItem.of(account)

    @router.patch("/accounts/{account_id}")
    async def change_account(
        request: Request, principal: Caller, account_id: str, body: AccountChange
    ) -> AccountItem:
        """Change a role, shut an account out, or set a password; one's own password too."""
        await accounts.visible(principal, account_id)
        if body.password is not None:
            if body.role is not None or body.disabled is not None:
                raise InvalidInput("a password is changed by itself.", field="password")
            await _change_password(identity, request, principal, account_id, body)
        else:
            await accounts.change(principal, account_id, role=body.role, disabled=body.disabled)
        return AccountItem.of(await accounts.get(account_id))

    @router.delete("/accounts/{account_id}", status_code=204)
    async def remove_account(principal: AccountAdmin, account_id: str) -> None:
        """Delete an account with its conversations and keys; its usage stays."""
        await accounts.remove(principal, account_id)


def _add_preferences(router: APIRouter, identity: Identity) -> None:
    @router.get("/preferences")
    async def read_preferences(principal: Caller) -> Preferences:
        """How the caller likes the apps."""
        stored = await identity.accounts.preferences(principal.account_id)
        try:
            return Preferences.model_validate(stored)
        except ValidationError:  # of another version: a wish that is not known any more is no error
            return Preferences()

    @router.put("/preferences")
    async def write_preferences(principal: Caller, body: Preferences) -> Preferences:
        """Set how the caller likes the apps."""
        await identity.accounts.set_preferences(principal.account_id, body.model_dump(mode="json"))
        return body


async def _change_password(
    identity: Identity, request: Request, principal: Principal, account_id: str, body: AccountChange
) -> None:
    assert body.password is not None
    if principal.account_id == account_id:
        account = await identity.accounts.get(account_id)
        current = body.current_password.get_secret_value() if body.current_password is not None else ""
        if account.password_hash is not None:
            await identity.check_password(account, current, name=account.name, address=_address(request))
    await identity.accounts.set_password(
        principal, account_id, body.password.get_secret_value(), keep_token=request.cookies.get(COOKIE)
    )


def _address(request: Request) -> str:
    return request.client.host if request.client is not None else "local"
