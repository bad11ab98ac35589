"""A whole server in this process with the chat and a scripted engine, and a client that reads its streams."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI

from malmoi.apps.chat import ChatApp
from malmoi.apps.chat.routes import chat_router
from malmoi.apps.chat.service import Chat
from malmoi.assist.skills.routing.ngrams import letter_vectors
from malmoi.core.morphemes import MorphemeAnalyzer
from malmoi.serve.identity import Principal, Role, account_principal
from malmoi.testing import ScriptedEngine


class NoMorphemes(MorphemeAnalyzer):
    """No child process; tests of search use the real one."""

    def __init__(self) -> None:
        super().__init__(command=("false",))

    async def analyze(self, texts: Any) -> list[list[str]]:
        return [[] for _ in texts]


def see_letters(app: FastAPI) -> None:
    """Skills are found by letters alone: no encoder is loaded."""

    async def embed(texts: Any) -> Any:
        return letter_vectors(texts)

    app.state.services.skills.runner.router._embed = embed


class QuickChatApp(ChatApp):
    """The chat without a child process."""

    def router(self, services: Any) -> Any:
        self._chat = Chat(
            services.db,
            services.inference,
            analyzer=NoMorphemes(),
            skills=services.skills,
            documents=services.documents,
        )
        return chat_router(self._chat, send_timeout=5.0)

    @property
    def chat(self) -> Chat:
        assert self._chat is not None
        return self._chat


@dataclass
class Stream:
    """A stream of events that is being read; `close` is what a reload does."""

    task: asyncio.Task[None]
    queue: asyncio.Queue[tuple[str, Any] | None]
    gone: asyncio.Event
    status: int = 0
    body: bytes = b""
    seen: list[tuple[str, Any]] = field(default_factory=list)

    async def next(self) -> tuple[str, Any] | None:
        async with asyncio.timeout(20):
            item = await self.queue.get()
        if item is not None:
            self.seen.append(item)
        return item

    async def until(self, name: str) -> Any:
        """The data of the next event of this name."""
        while (item := await self.next()) is not None:
            if item[0] == name:
                return item[1]
        raise AssertionError(f"the stream ended without {name!r}: {self.seen}")

    async def rest(self) -> list[tuple[str, Any]]:
        while await self.next() is not None:
            pass
        return self.seen

    async def close(self) -> None:
        self.gone.set()
        await asyncio.gather(self.task, return_exceptions=True)


@dataclass
class Server:
    """A running server; requests are made as its local owner, or with another key."""

    app: FastAPI
    chat_app: QuickChatApp
    engine: ScriptedEngine
    client: httpx.AsyncClient

    @property
    def chat(self) -> Chat:
        return self.chat_app.chat

    async def json(self, method: str, path: str, body: Any = None, *, status: int | None = None) -> Any:
        answer = await self.client.request(method, f"/api/chat/{path}", json=body)
        assert answer.status_code == (status or answer.status_code), answer.text
        if status is None:
            assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def new_conversation(self, **fields: Any) -> str:
        return str((await self.json("POST", "conversations", fields))["id"])

    @asynccontextmanager
    async def stream(self, method: str, path: str, body: Any = None) -> AsyncIterator[Stream]:
        """Events as they come (httpx would hand over the whole response at its end)."""
        opened = self._open(method, f"/api/chat/{path}", b"" if body is None else json.dumps(body).encode())
        try:
            yield opened
        finally:
            await opened.close()

    async def events(self, method: str, path: str, body: Any = None) -> list[tuple[str, Any]]:
        async with self.stream(method, path, body) as stream:
            return await stream.rest()

    async def ask(self, conversation_id: str, content: str, **fields: Any) -> tuple[Any, Any]:
        """Send a message; the question and the finished reply."""
        body = {"content": content, "client_id": uuid.uuid4().hex, **fields}
        events = await self.events("POST", f"conversations/{conversation_id}/messages", body)
        assert events, "no events"
        assert events[0][0] == "message"
        name, data = events[-1]
        assert name in ("done", "error"), events
        return events[0][1]["user"], data["message"]

    async def switch_on(self, skill: str) -> None:
        """Switch a skill on for the owner."""
        answer = await self.client.put(f"/api/skills/{skill}/switch")
        assert answer.status_code == 200, answer.text

    async def switch_off(self, skill: str) -> None:
        answer = await self.client.delete(f"/api/skills/{skill}/switch")
        assert answer.status_code == 200, answer.text

    async def owner(self) -> Principal:
        state = (await self.client.get("/api/session")).json()["account"]
        return account_principal(state["id"], state["name"], Role(state["role"]))

    def _open(self, method: str, path: str, body: bytes) -> Stream:
        queue: asyncio.Queue[tuple[str, Any] | None] = asyncio.Queue()
        gone = asyncio.Event()
        headers = [(key.lower().encode(), value.encode()) for key, value in self.client.headers.items()]
        headers += [(b"host", b"127.0.0.1:8080"), (b"content-type", b"application/json")]
        pure, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": pure,
            "raw_path": pure.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 1234),
            "server": ("127.0.0.1", 8080),
        }
        sent = False

        async def receive() -> dict[str, Any]:
            nonlocal sent
            if not sent:
                sent = True
                return {"type": "http.request", "body": body, "more_body": False}
            await gone.wait()
            return {"type": "http.disconnect"}

        rest = b""

        async def send(message: dict[str, Any]) -> None:
            nonlocal rest
            if message["type"] == "http.response.start":
                stream.status = message["status"]
                return
            stream.body += message.get("body", b"")
            rest += message.get("body", b"")
            *blocks, rest = rest.split(b"\n\n")
            for block in blocks:
                lines = dict(line.split(": ", 1) for line in block.decode().splitlines() if ": " in line[1:])
                if "data" in lines:
                    queue.put_nowait((lines.get("event", "message"), json.loads(lines["data"])))
            if not message.get("more_body"):
                queue.put_nowait(None)

        async def run() -> None:
            try:
                await self.app(scope, receive, send)  # type: ignore[arg-type]
            finally:
                queue.put_nowait(None)

        stream = Stream(asyncio.create_task(run()), queue, gone)
        return stream
