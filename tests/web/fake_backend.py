"""The browser's API in memory: for work on the pages alone, and for states that a real server rarely shows.

    python tests/web/fake_backend.py --port 8099 [--no-model] [--login]

The tests of whole conversations run against the real server; this one knows nothing about models or accounts.
"""

import argparse
import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import Body, FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from malmoi.serve.pages import mount_pages

DEMO = (Path(__file__).parent / "demo_reply.md").read_text(encoding="utf-8")


def now() -> str:
    return datetime.now(UTC).isoformat()


class State:
    def __init__(self, *, has_model: bool = True, login: bool = False) -> None:
        self.ids = itertools.count(1)
        self.signed_in = not login
        self.login = login
        self.preferences: dict[str, Any] = {}
        self.conversations: dict[str, dict[str, Any]] = {}
        self.trash: dict[str, dict[str, Any]] = {}
        self.messages: dict[str, dict[str, Any]] = {}
        self.folders: dict[str, dict[str, Any]] = {}
        self.personas: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, dict[str, Any]] = {}
        self.stopped: set[str] = set()
        self.changed: dict[str, asyncio.Event] = {}
        self.models = [
            model("standard", "Qwen2.5 Coder 1.5B", 1_117_000_000, default=True, ready=has_model),
            model("small", "Gemma 3 270M", 253_000_000, base=True, ready=False),
        ]

    def new(self, prefix: str) -> str:
        return f"{prefix}_{next(self.ids):06d}"


def model(
    name: str, title: str, size: int, *, default: bool = False, base: bool = False, ready: bool
) -> dict[str, Any]:
    return {
        "name": name,
        "title": title,
        "description": "한국어와 영어로 답합니다." if default else "가볍고 빠릅니다.",
        "license": "Apache-2.0" if default else "Gemma",
        "languages": ["ko", "en"],
        "base": base,
        "size_bytes": size,
        "context_length": 32768,
        "capabilities": ["chat"],
        "state": "ready" if ready else "available",
        "default": default,
        "error": None,
        "download": None,
    }


def refused(status: int, code: str, message: str, fix: str = "") -> JSONResponse:
    error = {"code": code, "message": message, "fix": fix, "field": None}
    return JSONResponse({"error": error}, status_code=status)


def build(state: State) -> FastAPI:
    app = FastAPI()
    mount_pages(app, None)
    _session(app, state)
    _models(app, state)
    _lists(app, state)
    _conversations(app, state)
    return app


def _session(app: FastAPI, state: State) -> None:
    @app.get("/api/session")
    def read() -> dict[str, Any]:
        account = {"id": "a_1", "name": "주인", "role": "owner"} if state.signed_in else None
        return {
            "signed_in": state.signed_in,
            "login_required": state.login,
            "csrf": "token",
            "account": account,
            "version": "0.1.0",
            "language": None,
        }

    @app.post("/api/session")
    def sign_in(body: dict[str, str] = Body()) -> Any:
        if body["password"] != "correct horse":
            return refused(401, "unauthenticated", "wrong name or password")
        state.signed_in = True
        return read()

    @app.delete("/api/session")
    def sign_out() -> dict[str, Any]:
        state.signed_in = False
        return read()

    @app.get("/api/preferences")
    def preferences() -> dict[str, Any]:
        return state.preferences

    @app.put("/api/preferences")
    def keep(body: dict[str, Any] = Body()) -> dict[str, Any]:
        state.preferences = body
        return body

    @app.get("/api/keys")
    def keys() -> dict[str, Any]:
        return {"items": list(state.keys.values())}

    @app.post("/api/keys")
    def make_key(body: dict[str, Any] = Body()) -> dict[str, Any]:
        key = {"id": state.new("key"), "name": body["name"], "prefix": "mm_1234", "created_at": now()}
        state.keys[key["id"]] = key
        return {"key": key, "secret": "mm_1234_abcdefghijklmnop"}

    @app.delete("/api/keys/{key_id}", status_code=204)
    def revoke(key_id: str) -> None:
        state.keys.pop(key_id, None)

    @app.get("/api/usage")
    def usage() -> dict[str, Any]:
        today = now()[:10]
        row = {"day": today, "model": "standard", "requests": 12, "prompt_tokens": 5120, "completion_tokens": 2048}
        totals = {"requests": 12, "prompt_tokens": 5120, "completion_tokens": 2048, "cached_tokens": 1024}
        return {"totals": totals, "by_day": [row], "by_key": []}

    @app.get("/api/accounts")
    def accounts() -> dict[str, Any]:
        return {"items": [{"id": "a_1", "name": "주인", "role": "owner"}]}


def _models(app: FastAPI, state: State) -> None:
    def find(name: str) -> dict[str, Any]:
        return next(item for item in state.models if item["name"] == name)

    @app.get("/api/models")
    def models() -> dict[str, Any]:
        return {"items": state.models}

    @app.post("/api/models/{name}/download", status_code=202)
    async def download(name: str) -> dict[str, Any]:
        item = find(name)
        item["state"] = "downloading"
        done = item["size_bytes"] * 38 // 100
        item["download"] = progress(done, item["size_bytes"])
        return item

    @app.delete("/api/models/{name}/download")
    def cancel(name: str) -> dict[str, Any]:
        item = find(name)
        item.update(state="available", download=None)
        return item


def progress(done: int, total: int) -> dict[str, Any]:
    return {
        "stage": "download",
        "done_bytes": done,
        "total_bytes": total,
        "bytes_per_second": 11_300_000,
        "error": None,
    }


def _lists(app: FastAPI, state: State) -> None:
    for name, rows, start in (
        ("folders", state.folders, {"position": 0}),
        ("personas", state.personas, {"builtin": False, "description": "", "model": None, "sampling": {}}),
    ):
        _list(app, state, name, rows, start)


def _list(
    app: FastAPI, state: State, name: str, rows: dict[str, dict[str, Any]], start: dict[str, Any]
) -> None:
    @app.get(f"/api/chat/{name}")
    def read() -> dict[str, Any]:
        return {"items": list(rows.values())}

    @app.post(f"/api/chat/{name}", status_code=201)
    def create(body: dict[str, Any] = Body()) -> dict[str, Any]:
        row = {**start, **body, "id": state.new(name[0])}
        rows[row["id"]] = row
        return row

    @app.patch(f"/api/chat/{name}/{{row_id}}")
    def change(row_id: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
        rows[row_id].update(body)
        return rows[row_id]

    @app.delete(f"/api/chat/{name}/{{row_id}}", status_code=204)
    def remove(row_id: str) -> None:
        rows.pop(row_id)
        for conversation in state.conversations.values():
            if conversation["folder_id"] == row_id:
                conversation["folder_id"] = None


def _conversations(app: FastAPI, state: State) -> None:
    base = "/api/chat/conversations"

    @app.get(base)
    def listed() -> dict[str, Any]:
        items = sorted(state.conversations.values(), key=lambda item: item["updated_at"], reverse=True)
        return {"items": items, "next_cursor": None}

    @app.post(base, status_code=201)
    def create(body: dict[str, Any] = Body()) -> dict[str, Any]:
        empty = {"title": "", "folder_id": None, "model": None, "persona_id": None, "sampling": {}}
        conversation = {
            **empty,
            **body,
            "id": state.new("c"),
            "pinned": False,
            "active_leaf_id": None,
            "created_at": now(),
            "updated_at": now(),
        }
        state.conversations[conversation["id"]] = conversation
        return conversation

    @app.get(base + "/{conversation_id}")
    def read(conversation_id: str) -> Any:
        if conversation_id not in state.conversations:
            return refused(404, "not_found", "there is no such conversation.")
        messages = [m for m in state.messages.values() if m["conversation_id"] == conversation_id]
        return {"conversation": state.conversations[conversation_id], "messages": messages}

    @app.patch(base + "/{conversation_id}")
    def change(conversation_id: str, body: dict[str, Any] = Body()) -> dict[str, Any]:
        state.conversations[conversation_id].update(body)
        return state.conversations[conversation_id]

    @app.delete(base + "/{conversation_id}", status_code=204)
    def trash(conversation_id: str) -> None:
        state.trash[conversation_id] = state.conversations.pop(conversation_id)

    @app.post(base + "/{conversation_id}/restore")
    def restore(conversation_id: str) -> dict[str, Any]:
        state.conversations[conversation_id] = state.trash.pop(conversation_id)
        return state.conversations[conversation_id]

    @app.get("/api/chat/trash")
    def trashed() -> dict[str, Any]:
        return {"items": list(state.trash.values()), "next_cursor": None}

    @app.get("/api/chat/search")
    def search(q: str) -> dict[str, Any]:
        found = []
        for item in state.messages.values():
            at = item["content"].find(q)
            conversation = state.conversations.get(item["conversation_id"])
            if at < 0 or conversation is None:
                continue
            start = max(0, at - 20)
            found.append(
                {
                    "conversation_id": conversation["id"],
                    "title": conversation["title"],
                    "message_id": item["id"],
                    "role": item["role"],
                    "snippet": item["content"][start : at + 60].replace("\n", " "),
                    "ranges": [[at - start, at - start + len(q)]],
                    "created_at": item["created_at"],
                }
            )
        return {"items": found}

    @app.post(base + "/{conversation_id}/messages")
    async def send(conversation_id: str, request: Request) -> Response:
        body = await request.json()
        user = _message(state, conversation_id, body["parent_id"], "user", body["content"])
        conversation = state.conversations[conversation_id]
        conversation["title"] = conversation["title"] or body["content"][:40]
        return _answer(state, user, user, conversation["title"])

    @app.post("/api/chat/messages/{message_id}/regenerate")
    async def again(message_id: str) -> Response:
        return _answer(state, state.messages[state.messages[message_id]["parent_id"]], None, None)

    @app.post("/api/chat/messages/{message_id}/stop")
    async def stop(message_id: str) -> dict[str, Any]:
        state.stopped.add(message_id)
        return {**state.messages[message_id], "status": "stopped"}

    @app.get("/api/chat/messages/{message_id}/events")
    async def follow(message_id: str) -> Response:
        return StreamingResponse(_follow(state, message_id), media_type="text/event-stream")


def _message(
    state: State, conversation_id: str, parent: str | None, role: str, content: str
) -> dict[str, Any]:
    row = {
        "id": state.new("m"),
        "conversation_id": conversation_id,
        "parent_id": parent,
        "role": role,
        "content": content,
        "reasoning": "",
        "status": "complete",
        "finish_reason": None,
        "error": None,
        "model": "standard" if role == "assistant" else None,
        "usage": None,
        "created_at": now(),
    }
    state.messages[row["id"]] = row
    state.conversations[conversation_id]["active_leaf_id"] = row["id"]
    state.conversations[conversation_id]["updated_at"] = now()
    return row


def _answer(
    state: State, question: dict[str, Any], user: dict[str, Any] | None, title: str | None
) -> Response:
    reply = _message(state, question["conversation_id"], question["id"], "assistant", "")
    reply["status"] = "streaming"
    first = _event("message", {"user": user, "reply": dict(reply)})
    state.changed[reply["id"]] = asyncio.Event()
    task = asyncio.get_running_loop().create_task(_write(state, reply))

    async def events() -> AsyncIterator[bytes]:
        yield first
        if title:
            yield _event("title", {"title": title})
        async for data in _follow(state, reply["id"]):
            yield data
        await task

    return StreamingResponse(events(), media_type="text/event-stream")


async def _write(state: State, reply: dict[str, Any]) -> None:
    reply["reasoning"] = "먼저 속담의 뜻을 살핀 뒤, 영어에서 가장 가까운 말을 찾는다."
    for piece in [DEMO[at : at + 6] for at in range(0, len(DEMO), 6)]:
        if reply["id"] in state.stopped:
            break
        reply["content"] += piece
        await asyncio.sleep(0.012)
    reply["status"] = "stopped" if reply["id"] in state.stopped else "complete"
    reply["usage"] = {
        "prompt_tokens": 32,
        "completion_tokens": 214,
        "cached_tokens": 0,
        "seconds": 5.1,
        "first_token_seconds": 0.42,
        "tokens_per_second": 41.7,
    }


async def _follow(state: State, reply_id: str) -> AsyncIterator[bytes]:
    reply = state.messages[reply_id]
    shown = len(reply["content"])
    yield _event("snapshot", {"content": reply["content"], "reasoning": reply["reasoning"]})
    while reply["status"] == "streaming" or shown < len(reply["content"]):
        if shown < len(reply["content"]):
            text = reply["content"][shown:]
            shown = len(reply["content"])
            yield _event("token", {"text": text})
        await asyncio.sleep(0.01)
    yield _event("done", {"message": reply})


def _event(name: str, data: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def main() -> None:
    from granian.constants import Interfaces
    from granian.server.embed import Server

    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument("--no-model", action="store_true")
    parser.add_argument("--login", action="store_true")
    options = parser.parse_args()
    app = build(State(has_model=not options.no_model, login=options.login))
    asyncio.run(Server(app, port=options.port, interface=Interfaces.ASGI).serve())


if __name__ == "__main__":
    main()
