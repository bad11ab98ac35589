"""The users API: the Studio API's manners, rights, limits, usage, and nothing told that must not be."""

import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from malmoi.serve.db.tables import UsageEvent
from malmoi.serve.identity import Role, Scope, account_principal
from malmoi.users.service import MAX_EVENTS
from users_gateway import fill, gateway, key_of

HISTORY = ["빨간 운동화 구매"]


@pytest.fixture
async def server(home: Path) -> AsyncIterator[tuple[FastAPI, httpx.AsyncClient]]:
    fill(home)
    async with gateway(home) as made:
        yield made


@pytest.fixture
async def client(server: tuple[FastAPI, httpx.AsyncClient]) -> httpx.AsyncClient:
    app, client = server
    client.headers.update(await key_of(app, "users", "audience"))
    return client


async def test_recommend_for_somebody_new(client: httpx.AsyncClient) -> None:
    body = {"history": HISTORY, "topN": 2, "includeReasons": True}
    answer = await client.post("/v1/users/recommend", json=body)
    found = answer.json()
    assert found["status"] == {"code": "20000", "message": "OK"}
    assert answer.headers["x-request-id"].startswith("users")
    result = found["result"]
    assert result["model"] == "word-counts"
    assert len(result["modelVersion"]) == 16
    [first, second] = result["items"]
    assert (first["itemId"], first["service"], first["text"]) == ("i1", "shop", "파란 운동화 구매")
    assert first["score"] >= second["score"]
    assert first["reasons"] == [{"event": 0, "text": HISTORY[0], "drop": pytest.approx(first["score"])}]
    plain = await client.post("/v1/users/recommend", json={"history": HISTORY, "services": ["travel"]})
    assert {item["service"] for item in plain.json()["result"]["items"]} == {"travel"}
    assert "reasons" not in plain.json()["result"]["items"][0]


async def test_vectors_of_histories(client: httpx.AsyncClient) -> None:
    body = {"model": "word-counts", "histories": [HISTORY, []], "unknown": 1}
    answer = await client.post("/v1/users/encode", json=body)
    vectors = answer.json()["result"]["vectors"]
    assert [len(vector) for vector in vectors] == [64, 64]
    assert answer.headers["x-malmoi-ignored"] == "unknown"


async def test_look_alike_and_propensity(client: httpx.AsyncClient) -> None:
    body = {"collection": "people", "userIds": ["u000", "nobody"], "size": 5}
    result = (await client.post("/v1/users/look-alike", json=body)).json()["result"]
    assert result["unknownUserIds"] == ["nobody"]
    assert len(result["users"]) == 5
    assert result["users"][0]["score"] >= result["users"][4]["score"]
    assert "u000" not in {user["userId"] for user in result["users"]}
    body = {"collection": "people", "campaign": "shoe-sale", "userIds": ["u000", "u003", "nobody"]}
    result = (await client.post("/v1/users/propensity", json=body)).json()["result"]
    assert [user["userId"] for user in result["users"]] == ["u000", "u003"]
    shoes, other = (user["probability"] for user in result["users"])
    assert 0 < other < shoes < 1
    assert result["unknownUserIds"] == ["nobody"]


async def test_taking_a_user_out(client: httpx.AsyncClient) -> None:
    answer = await client.delete("/v1/users/people/u007")
    assert answer.json()["result"] == {"collection": "people", "userId": "u007", "deleted": True}
    body = {"collection": "people", "userIds": ["u007"]}
    for answer in (
        await client.delete("/v1/users/people/u007"),
        await client.post("/v1/users/look-alike", json=body),
    ):
        assert answer.status_code == 404
        assert answer.json()["status"]["code"] == "40400"


WRONG: list[tuple[str, Any, int, str]] = [
    ("recommend", {"history": ["x"] * (MAX_EVENTS + 1)}, 400, "40001"),
    ("recommend", {"history": "text"}, 400, "40001"),
    ("recommend", {"history": ["\ud800"]}, 400, "40001"),
    ("recommend", {"history": [], "topN": 0}, 400, "40001"),
    ("recommend", {"history": [], "model": "../../etc"}, 400, "40080"),
    ("recommend", {"history": [], "services": ["moon"]}, 400, "40080"),
    ("encode", {"histories": []}, 400, "40001"),
    ("look-alike", {"collection": "../people", "userIds": ["a"]}, 400, "40080"),
    ("look-alike", {"collection": "people", "userIds": ["a\0b"]}, 400, "40001"),
    ("propensity", {"collection": "people", "campaign": "no", "userIds": ["a"]}, 400, "40080"),
]


async def test_what_is_wrong_is_said(client: httpx.AsyncClient) -> None:
    for path, body, status, code in WRONG:
        headers = {"content-type": "application/json"}
        answer = await client.post(f"/v1/users/{path}", content=json.dumps(body), headers=headers)
        assert (answer.status_code, answer.json()["status"]["code"]) == (status, code), answer.text


async def test_a_gateway_without_a_model_says_so(home: Path) -> None:
    async with gateway(home, models=()) as (app, client):
        headers = await key_of(app, "users", "audience")
        answer = await client.post("/v1/users/recommend", json={"history": []}, headers=headers)
        assert answer.status_code == 404
        assert "serves no user model" in answer.json()["status"]["message"]
        assert "users.models" in answer.json()["status"]["message"]


async def test_rights(server: tuple[FastAPI, httpx.AsyncClient]) -> None:
    app, client = server
    calls = {
        "users": [("POST", "encode", {"histories": [[]]}), ("POST", "recommend", {"history": []})],
        "audience": [
            ("POST", "look-alike", {"collection": "people", "userIds": ["u001"]}),
            ("POST", "propensity", {"collection": "people", "campaign": "shoe-sale", "userIds": ["u001"]}),
            ("DELETE", "people/u001", None),
        ],
    }
    for scope in ("users", "audience", "inference"):
        headers = await key_of(app, scope)
        for right, requests in calls.items():
            for method, path, body in requests:
                answer = await client.request(method, f"/v1/users/{path}", json=body, headers=headers)
                assert (answer.status_code == 200) == (right == scope), f"{scope}: {path}: {answer.text}"
                if right != scope:
                    assert (answer.status_code, answer.json()["status"]["code"]) == (403, "40300")
    for role in Role:
        rights = account_principal("a", "a", role).scopes
        is_trusted = role in (Role.OWNER, Role.ADMIN, Role.ANALYST)
        assert (Scope.AUDIENCE in rights, Scope.USERS in rights) == (is_trusted, is_trusted)


async def test_limits_and_usage(server: tuple[FastAPI, httpx.AsyncClient]) -> None:
    app, client = server
    headers = await key_of(app, "users", requests_per_minute=2)
    for _ in range(2):
        answer = await client.post("/v1/users/recommend", json={"history": HISTORY}, headers=headers)
        assert answer.status_code == 200
    assert answer.headers["x-ratelimit-remaining-requests"] == "0"
    refused = await client.post("/v1/users/recommend", json={"history": HISTORY}, headers=headers)
    assert (refused.status_code, refused.json()["status"]["code"]) == (429, "42901")
    assert int(refused.headers["retry-after"]) >= 1
    failing = await key_of(app, "users")
    await client.post("/v1/users/recommend", json={"history": HISTORY, "services": ["x"]}, headers=failing)
    async with app.state.services.db.reading() as session:
        rows = (await session.scalars(select(UsageEvent).order_by(UsageEvent.at))).all()
    assert [(row.source, row.model, row.finish_reason) for row in rows] == [
        ("users", "word-counts", "stop"),
        ("users", "word-counts", "stop"),
        ("users", "word-counts", "error"),
    ]
    assert [row.prompt_tokens > 0 for row in rows] == [True, True, False]


async def test_histories_are_never_logged(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "아무도 모를 일 예약"
    await client.post("/v1/users/recommend", json={"history": [secret]})
    await client.post("/v1/users/recommend", json={"history": [secret], "services": ["none"]})
    await client.post("/v1/users/encode", json={"histories": [[secret]], "model": "other"})
    assert secret not in caplog.text


async def test_the_reference_has_the_routes(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json", headers={"authorization": ""})).json()
    paths = [path for path in document["paths"] if path.startswith("/v1/users/")]
    assert len(paths) == 5
    errors = document["paths"]["/v1/users/recommend"]["post"]["responses"]["400"]
    assert "StudioError" in str(errors)
