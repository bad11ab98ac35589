"""Who reaches what on the whole server, chat included, and what no caller can make it open."""

import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway import Gateway, running, settings
from malmoi.apps.chat import ChatApp
from malmoi.apps.redteam import RedteamApp
from malmoi.apps.users import UsersApp
from malmoi.serve.app import create_app
from malmoi.serve.identity import Role, Scope, account_principal, route_policies
from malmoi.serve.identity.principal import KEY_SCOPES

PUBLIC = {
    "GET /healthz",
    "GET /readyz",
    "GET /api/session",
    "POST /api/session",
    "DELETE /api/session",
    "GET /",
    "GET /chat",
    "GET /chat/{id}",
    "GET /documents",
    "GET /documents/{id}",
    "GET /documents/{id}/{document}",
    "GET /redteam",
    "GET /redteam/{id}",
    "GET /routers",
    "GET /routers/{id}",
    "GET /routers/{id}/{section}",
    "GET /settings",
    "GET /settings/{section}",
    "GET /trainer",
    "GET /trainer/{id}",
    "GET /trainer/{id}/{section}",
    "GET /users",
    "GET /users/{id}",
    "GET /favicon.ico",
    "GET /static/{path:path}",
}
FOREIGN = [
    "http://127.0.0.1:9/v1#m",
    "https://169.254.169.254/x.gguf",
    "path:/etc/passwd",
    "scripted:/etc/passwd",
    "embed:/etc",
    "hf:org/name",
    "packages:a1..2==1",
    "../../etc/passwd",
    "--index-url=http://127.0.0.1:9",
]


@pytest.fixture
async def gateway(home: Path) -> AsyncIterator[Gateway]:
    async with running(home, apps=[ChatApp(), RedteamApp(), UsersApp()]) as it:
        yield it


async def key_of(gateway: Gateway, *scopes: str) -> dict[str, str]:
    identity = gateway.services.identity
    owner = await identity.open_to()
    assert owner is not None
    owner = account_principal(owner.account_id, owner.name, Role.OWNER)
    _, secret = await identity.keys.create(owner, "test", scopes)
    return {"authorization": f"Bearer {secret}"}


def test_no_route_lacks_a_policy(home: Path) -> None:
    policies = route_policies(create_app(settings(home), apps=[ChatApp(), RedteamApp(), UsersApp()]))
    assert len(policies) > 60
    assert [str(policy) for policy in policies if policy.kind is None] == []
    public = {f"{method} {p.path}" for p in policies if p.kind == "public" for method in p.methods}
    assert public == PUBLIC


@pytest.mark.parametrize("scope", sorted(KEY_SCOPES))
async def test_a_key_reaches_the_routes_of_its_scope_and_no_others(gateway: Gateway, scope: Scope) -> None:
    headers = await key_of(gateway, scope)
    for policy in route_policies(gateway.app):
        if policy.kind == "public":
            continue
        path = re.sub(r"\{[^}]*\}", "nothing", policy.path)
        for method in policy.methods:
            answer = await gateway.client.request(
                method, path, headers=headers, json=None if method == "GET" else {}
            )
            allowed = bool(policy.requirements) and all(scope in r.any_of for r in policy.requirements)
            assert (answer.status_code != 403) == allowed, f"{scope}: {policy} gave {answer.status_code}"
            assert answer.status_code not in (401, 500), answer.text


async def test_scrapers_and_scripts_read_what_they_need(gateway: Gateway) -> None:
    usage = await key_of(gateway, "usage")
    assert (await gateway.client.get("/metrics", headers=usage)).status_code == 200
    assert (await gateway.client.get("/v1/models", headers=usage)).status_code == 403
    for scope in ("models", "inference", "chat"):
        headers = await key_of(gateway, scope)
        assert (await gateway.client.get("/api/models", headers=headers)).status_code == 200
        assert (await gateway.client.get("/metrics", headers=headers)).status_code == 403


@pytest.mark.parametrize("model", FOREIGN)
async def test_no_request_makes_the_server_open_a_reference(
    gateway: Gateway, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def opened(*arguments: object, **options: object) -> None:
        raise AssertionError(f"opened {arguments} {options}")

    monkeypatch.setattr(gateway.services.engines, "_opener", opened)
    monkeypatch.setattr(gateway.services.catalog, "add", opened)
    headers = await key_of(gateway, "models", "inference", "chat")
    message = {"messages": [{"role": "user", "content": "x"}]}
    quoted = model.replace("#", "%23").replace("?", "%3F")
    slashless = quoted.replace("/", "%2F")
    bodies = {
        "/v1/chat/completions": {"model": model, **message},
        "/v1/completions": {"model": model, "prompt": "x"},
        "/v1/embeddings": {"model": model, "input": "x"},
        f"/v3/chat-completions/{slashless}": message,
        f"/v1/chat-completions/{slashless}": message,
        f"/v1/api-tools/chat-tokenize/{slashless}": message,
        f"/api/models/{slashless}/download": {},
    }
    for path, body in bodies.items():
        answer = await gateway.client.post(path, json=body, headers=headers)
        assert answer.status_code in (400, 404), f"{path}: {answer.text}"
    assert (await gateway.client.get(f"/v1/models/{quoted}", headers=headers)).status_code == 404
    made = await gateway.client.post("/api/chat/conversations", json={"model": model}, headers=headers)
    if made.status_code == 201:
        path = f"/api/chat/conversations/{made.json()['id']}/messages"
        answer = await gateway.client.post(path, json={"content": "x", "client_id": "c1"}, headers=headers)
        assert answer.status_code == 404 or '"code":"unknown_name"' in answer.text, answer.text


async def test_answers_outside_of_the_inner_layers_are_guarded_as_well(gateway: Gateway) -> None:
    gateway.services.health.draining = True
    try:
        refused = await gateway.client.get("/v1/models")
        foreign = await gateway.client.get("/v1/models", headers={"host": "attacker.example"})
    finally:
        gateway.services.health.draining = False
    assert refused.status_code == 503
    assert refused.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in refused.headers["content-security-policy"]
    assert foreign.status_code == 403


async def test_a_bug_is_answered_with_guards_and_logged_in_one_line(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine_names = {"resolve"}

    async with running(home) as gateway:

        def explode(name: str) -> None:
            raise RuntimeError(f"no {engine_names}")

        gateway.services.engines.resolve = explode  # type: ignore[method-assign,assignment]
        with caplog.at_level(logging.WARNING, "malmoi.serve"):
            path = "/v1/api-tools/chat-tokenize/a%0AERROR%20forged%1B[31m"
            answer = await gateway.post(path, {"messages": [{"role": "user", "content": "x"}]})
    assert answer.status_code == 500
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    [record] = [record for record in caplog.records if record.name == "malmoi.serve"]
    assert "\n" not in record.getMessage()
    assert "\x1b" not in record.getMessage()
