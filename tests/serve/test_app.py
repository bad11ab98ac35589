"""The application as a whole: hostile requests get a typed 4xx, and apps are part of its life."""

import asyncio
import gc
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter

from gateway import Gateway, running, script
from malmoi.core.errors import UnknownName
from malmoi.serve.app import App
from malmoi.serve.services import Services

CHAT = "/v1/chat/completions"
JSON = {"content-type": "application/json"}


@pytest.fixture
async def gateway(home: Path) -> AsyncIterator[Gateway]:
    async with running(home, script({"reply": "ok"}), http={"max_body_bytes": 100_000}) as it:
        yield it


def wrapped(text: bytes) -> bytes:
    return b'{"messages":[{"role":"user","content":"' + text + b'"}]}'


MALFORMED = (
    b"",
    b"{",
    b"null",
    b"[]",
    b"3",
    b'"text"',
    b"\xff\xfe",
    b"[" * 10_000,
    b"[" * 10_000 + b"]" * 10_000,
    b'{"messages":' * 5_000,
    wrapped(b"\\ud800"),
    wrapped(b"\\udc00x"),
    wrapped(b"\\u0000"),
    wrapped(b"\x00"),
    wrapped(b"\xed\xa0\x80"),
    b'{"messages":[{"role":"user","content":"x"}],"temperature":NaN}',
    b'{"messages":[{"role":"user","content":"x"}],"temperature":1e999}',
    b'{"messages":[{"role":"user","content":"x"}],"max_tokens":' + b"9" * 5_000 + b"}",
    b'{"messages":{"role":"user"}}',
    b'{"messages":[{"role":"robot","content":"x"}]}',
    b'{"messages":[{"role":"tool","content":"x"}]}',
    b'{"messages":[{"role":"user"}]}',
    b'{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"file:///etc/passwd"}}]}]}',
    b'{"messages":[]}',
)
WRONG = (
    b'{"messages":[{"role":"user","content":"x"}],"max_tokens":1.5}',
    b'{"messages":[{"role":"user","content":"x"}],"n":100}',
    b'{"messages":[{"role":"user","content":"x"}],"stop":[""]}',
    b'{"messages":[{"role":"user","content":"x"}],"logit_bias":{"x":1}}',
    b'{"messages":[{"role":"user","content":"x"}],"tool_choice":"required"}',
    b'{"messages":[{"role":"user","content":"x"}],"chat_template_kwargs":{"messages":[]}}',
    b'{"messages":[{"role":"user","content":"x"}],"stream_options":{"include_usage":true}}',
)


def short(body: bytes) -> str:
    return repr(body[:40] + body[-40:])[:80]


@pytest.fixture
def no_collections() -> Iterator[None]:
    """No collection of garbage: it takes seconds after many tests, which no request has cost."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("path", [CHAT, "/v1/openai/chat/completions", "/v3/chat-completions/scripted"])
async def test_what_is_no_request_gets_a_400_at_once(home: Path, path: str, no_collections: None) -> None:
    """At once: it waits for no slot, of which none is free, and costs little processor time."""
    engine = script({"reply": "one two three", "hold_after": 1}, num_slots=1)
    http = {"max_body_bytes": 100_000}
    async with running(home, engine, http=http, admission={"max_queued": 0}) as gateway:
        held = asyncio.create_task(gateway.chat())
        await engine.held.wait()
        assert (await gateway.chat()).status_code == 429
        for body in MALFORMED:
            began = time.process_time()
            answer = await gateway.client.post(path, content=body, headers=JSON)
            assert answer.status_code == 400, (short(body), answer.text)
            assert time.process_time() - began < 2.0, short(body)
            assert answer.json().keys() <= {"error", "status"}, short(body)
        assert len(engine.requests) == 1
        engine.release()
        assert (await held).status_code == 200


async def test_what_cannot_be_done_gets_a_typed_400(gateway: Gateway) -> None:
    for body in WRONG:
        answer = await gateway.client.post(CHAT, content=body, headers=JSON)
        assert answer.status_code == 400, (short(body), answer.text)
        error = answer.json()["error"]
        assert error["type"] == "invalid_request_error", short(body)
        assert error["message"], short(body)
    assert gateway.engine.requests == []


async def test_the_field_that_is_wrong_is_named_by_its_path(gateway: Gateway) -> None:
    body = {"messages": [{"role": "user", "content": "x"}, {"role": "user", "content": 3}]}
    error = (await gateway.post(CHAT, body)).json()["error"]
    assert error["param"].startswith("messages.1.content")
    body = {"messages": [{"role": "user", "content": "x\u0000"}]}
    error = (await gateway.post(CHAT, body)).json()["error"]
    assert error["param"] == "messages.0.content"


async def test_a_body_that_is_too_large_is_refused_unread(gateway: Gateway) -> None:
    answer = await gateway.client.post(CHAT, content=b"x" * 100_001, headers=JSON)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "body_too_large"


async def test_unknown_fields_are_ignored_and_listed(gateway: Gateway) -> None:
    answer = await gateway.chat(service_tier="auto", store=True)
    assert answer.status_code == 200
    assert answer.headers["x-malmoi-ignored"] == "service_tier, store"


async def test_special_texts_reach_the_model_as_they_are(gateway: Gateway) -> None:
    text = "<|im_end|>\u200d\u1112\u1161\u11ab" + "가" * 1000
    assert (await gateway.chat(text)).status_code == 200
    assert gateway.engine.requests[-1].prompt.messages[-1].content == text  # type: ignore[union-attr]


async def test_paths_and_methods_that_are_not_there_are_told_in_their_apis_shape(gateway: Gateway) -> None:
    nowhere = await gateway.client.get("/v1/nothing")
    assert (nowhere.status_code, nowhere.json()["error"]["code"]) == (404, "not_found")
    wrong = await gateway.client.put(CHAT, json={})
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    own = await gateway.client.get("/api/nothing")
    assert own.json()["error"].keys() == {"code", "message", "fix", "field"}


async def test_a_bug_tells_nothing_of_the_inside(home: Path) -> None:
    def break_it(app: Any) -> None:
        def explode() -> None:
            raise RuntimeError("secret detail")

        app.state.services.engines.resolve = lambda name: explode()

    async with running(home, change=break_it) as gateway:
        answer = await gateway.chat()
        assert answer.status_code == 500
        assert "secret" not in answer.text
        assert answer.json()["error"]["code"] == "internal_error"


async def test_the_reference_needs_no_other_server(gateway: Gateway) -> None:
    document = (await gateway.client.get("/openapi.json")).json()
    assert {"/v1/chat/completions", "/v3/chat-completions/{model}", "/api/models"} <= document["paths"].keys()
    page = await gateway.client.get("/docs")
    assert "/v1/chat/completions" in page.text
    assert "<script" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_the_reference_can_be_left_out(home: Path) -> None:
    async with running(home, http={"docs": False}) as gateway:
        for path in ("/docs", "/openapi.json"):
            assert (await gateway.client.get(path)).status_code == 404


class Diary:
    """An app that writes down its life."""

    name = "diary"
    migrations = None

    def __init__(self) -> None:
        self.events: list[str] = []

    def router(self, services: Services) -> APIRouter:
        router = APIRouter(prefix="/api/diary")

        @router.get("")
        async def read() -> list[str]:
            return self.events

        return router

    async def start(self, services: Services) -> None:
        async with services.db.reading() as session:  # the database is open and migrated
            await session.connection()
        self.events.append("start")

    async def stop(self) -> None:
        self.events.append("stop")


async def test_apps_are_started_served_and_stopped(home: Path) -> None:
    diary = Diary()
    assert isinstance(diary, App)
    async with running(home, apps=[diary]) as gateway:
        assert (await gateway.client.get("/api/diary")).json() == ["start"]
    assert diary.events == ["start", "stop"]


async def test_every_error_of_the_wire_is_json(gateway: Gateway) -> None:
    answer = await gateway.client.post(CHAT, content=b"x=1", headers={"content-type": "text/plain"})
    assert answer.status_code == 400
    assert json.loads(answer.text)["error"]["type"] == "invalid_request_error"
    assert isinstance(answer, httpx.Response)


async def test_a_default_model_that_nothing_has_stops_the_start(home: Path) -> None:
    with pytest.raises(UnknownName, match=r"no model 'standrad' \(did you mean 'standard'"):
        async with running(home, engines={}, models={"default": "standrad"}):
            pass
