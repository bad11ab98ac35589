"""No route without a policy, and a table of who gets what on each of ours."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI
from identity_client import PASSWORD, Client
from starlette.responses import PlainTextResponse

from malmoi.serve.identity import Identity, Role, authorize, require, route_policies
from malmoi.serve.identity.routes import identity_router

Browser = Callable[..., Awaitable[Client]]

POLICIES = {
    "GET /api/session: public",
    "POST /api/session: public",
    "DELETE /api/session: public",
    "GET /api/keys: keys",
    "POST /api/keys: keys",
    "DELETE /api/keys/{key_id}: keys",
    "GET /api/accounts: admin",
    "POST /api/accounts: admin",
    "PATCH /api/accounts/{account_id}: person",
    "DELETE /api/accounts/{account_id}: admin",
    "GET /api/preferences: person",
    "PUT /api/preferences: person",
    "GET /api/usage: person",
    "POST /v1/echo: inference",
    "POST /v1/models: models",
    "GET /healthz: public",
}


def test_each_route_has_its_policy(app: FastAPI) -> None:
    assert {str(policy) for policy in route_policies(app)} == POLICIES


def test_a_route_outside_of_authorisation_is_found(app: FastAPI) -> None:
    app.add_route("/raw", lambda request: PlainTextResponse("anybody"))
    app.mount("/mounted", PlainTextResponse("anybody"))
    without = [policy.path for policy in route_policies(app) if policy.kind is None]
    assert without == ["/raw", "/mounted"]


def test_requirements_of_included_routers_count() -> None:
    app = FastAPI(dependencies=[Depends(authorize)], openapi_url=None)
    inner = APIRouter()

    @inner.get("/things")
    async def things() -> None: ...

    outer = APIRouter(prefix="/api", dependencies=[Depends(require("chat", "inference"))])
    outer.include_router(inner)
    app.include_router(outer)
    assert [str(policy) for policy in route_policies(app)] == ["GET /api/things: chat | inference"]


def test_an_unknown_right_is_a_mistake_of_the_programmer() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        require("nonsense")
    with pytest.raises(ValueError, match="name of a right"):
        require()


# What each caller gets. `{key}` and `{account}` are member kim's; lee is another member.
CALLS: list[tuple[str, str, Any]] = [
    ("GET", "/api/keys", None),
    ("POST", "/api/keys", {"name": "k", "scopes": ["inference"]}),
    ("GET", "/api/keys?everyone=true", None),
    ("DELETE", "/api/keys/{key}", None),
    ("GET", "/api/accounts", None),
    ("POST", "/api/accounts", {"name": "new", "password": PASSWORD}),
    ("POST", "/api/accounts", {"name": "newer", "password": PASSWORD, "role": "owner"}),
    ("PATCH", "/api/accounts/{account}", {"role": "auditor"}),
    ("PATCH", "/api/accounts/{account}", {"role": "admin"}),
    ("PATCH", "/api/accounts/{account}", {"password": "somebody else's"}),
    ("DELETE", "/api/accounts/{account}", None),
    ("GET", "/api/preferences", None),
    ("GET", "/api/usage", None),
    ("GET", "/api/usage?everyone=true", None),
    ("POST", "/v1/echo", None),
    ("POST", "/v1/models", None),
    ("GET", "/healthz", None),
]
EXPECTED: dict[str, list[int]] = {
    # own keys, make, all keys, revoke | accounts, add, add owner, role, admin, password, remove |
    # preferences, usage, all usage | run a model, download one, health
    "kim": [200, 201, 403, 204, 403, 403, 403, 403, 403, 401, 403, 200, 200, 403, 200, 403, 200],
    "lee": [200, 201, 403, 404, 403, 403, 403, 404, 404, 404, 403, 200, 200, 403, 200, 403, 200],
    "auditor": [403, 403, 403, 403, 403, 403, 403, 404, 404, 404, 403, 200, 200, 200, 403, 403, 200],
    "admin": [200, 201, 200, 204, 200, 201, 403, 200, 403, 200, 204, 200, 200, 200, 200, 200, 200],
    "owner": [200, 201, 200, 204, 200, 201, 201, 200, 200, 200, 204, 200, 200, 200, 200, 200, 200],
    "anonymous": [401] * 16 + [200],
    "key": [403] * 14 + [200, 403, 200],
    "revoked key": [401] * 16 + [200],
    "garbage": [401] * 16 + [200],
}


@pytest.mark.parametrize("caller", EXPECTED)
async def test_who_gets_what(caller: str, prepared: Callable[[str], Awaitable[Any]]) -> None:
    client, ids = await prepared(caller)
    for (method, path, body), expected in zip(CALLS, EXPECTED[caller], strict=True):
        answer: httpx.Response = await client.request(method, path.format(**ids), json=body)
        assert answer.status_code == expected, f"{method} {path} {body}: {answer.text}"


@pytest.fixture
def database_url(tmp_path: Any) -> str:
    """The table is large, and it is about rights, not about databases: SQLite will do."""
    return f"sqlite:///{tmp_path / 'malmoi.sqlite'}"


@pytest.fixture(autouse=True)
def quick_hashes(identity: Identity) -> None:
    from argon2 import PasswordHasher

    identity.passwords._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
def prepared(browser: Browser, identity: Identity) -> Callable[[str], Awaitable[Any]]:
    async def prepare(caller: str) -> tuple[Client, dict[str, str]]:
        people = {"owner": Role.OWNER, "admin": Role.ADMIN, "auditor": Role.AUDITOR}
        people |= {"kim": Role.MEMBER, "lee": Role.MEMBER}
        made = {
            name: await identity.accounts.add(None, name, PASSWORD, role) for name, role in people.items()
        }
        kim = await browser()
        await kim.log_in("kim")
        key = (await kim.post("/api/keys", json={"name": "kim's", "scopes": ["inference"]})).json()
        client = await browser()
        if caller in people:
            await client.log_in(caller)
        elif caller == "garbage":
            client.headers["authorization"] = "Bearer not-a-key"
        elif caller != "anonymous":
            client.headers["authorization"] = f"Bearer {key['secret']}"
            if caller == "revoked key":
                await kim.delete(f"/api/keys/{key['key']['id']}")
        return client, {"key": key["key"]["id"], "account": made["kim"].id}

    return prepare


async def test_the_last_owner_stays(prepared: Callable[[str], Awaitable[Any]], identity: Identity) -> None:
    client, _ = await prepared("owner")
    owner = next(account for account in await identity.accounts.all() if account.role == "owner")
    for method, body in (("DELETE", None), ("PATCH", {"role": "member"}), ("PATCH", {"disabled": True})):
        answer = await client.request(method, f"/api/accounts/{owner.id}", json=body)
        assert answer.status_code == 409, (method, body)


async def test_names_are_unique_whatever_their_case(prepared: Callable[[str], Awaitable[Any]]) -> None:
    client, _ = await prepared("owner")
    for name in ("KIM", " kim ", "ｋｉｍ"):
        answer = await client.post("/api/accounts", json={"name": name, "password": PASSWORD})
        assert answer.status_code == 409, name
    for name, password in (("", PASSWORD), ("a\nb", PASSWORD), ("new", "short")):
        answer = await client.post("/api/accounts", json={"name": name, "password": password})
        assert answer.status_code in (400, 422)


def test_what_an_identity_router_offers_is_complete(identity: Identity) -> None:
    paths = {getattr(route, "path", "") for route in identity_router(identity).routes}
    assert {"/api/session", "/api/keys", "/api/accounts", "/api/preferences"} <= paths
