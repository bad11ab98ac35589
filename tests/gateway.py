"""A whole server for tests: real HTTP on a free port, in the test's own event loop, on a scripted engine."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from malmoi.engine.base import Engine
from malmoi.engine.scripted import Rule, Script, ScriptedEngine
from malmoi.serve.app import App, create_app
from malmoi.serve.server import serve
from malmoi.serve.services import Services
from malmoi.serve.settings import AdmissionSettings, HttpSettings, LimitSettings, ModelSettings, ServeSettings


@dataclass
class Gateway:
    """A running server, a client of it, and the engine behind it."""

    url: str
    client: httpx.AsyncClient
    engine: ScriptedEngine
    app: FastAPI
    stop: asyncio.Event

    @property
    def services(self) -> Services:
        return self.app.state.services

    async def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return await self.client.post(path, json=body, headers=headers)

    async def chat(self, text: str = "hello", **fields: Any) -> httpx.Response:
        body = {"model": "scripted", "messages": [{"role": "user", "content": text}], **fields}
        return await self.post("/v1/chat/completions", body)


def script(*rules: Mapping[str, Any], **fields: Any) -> ScriptedEngine:
    """A scripted engine from rules as plain dictionaries."""
    return ScriptedEngine(Script(rules=tuple(Rule.model_validate(rule) for rule in rules), **fields))


def settings(home: Path, **sections: Mapping[str, Any]) -> ServeSettings:
    """Settings for a test: a free port, and short waits."""
    return ServeSettings(
        home=home,
        http=HttpSettings.model_validate({"port": 0, "shutdown_timeout": 5.0, **sections.get("http", {})}),
        admission=AdmissionSettings.model_validate(sections.get("admission", {})),
        limits=LimitSettings.model_validate(sections.get("limits", {})),
        models=ModelSettings.model_validate(sections.get("models", {})),
    )


@asynccontextmanager
async def running(
    home: Path,
    engine: ScriptedEngine | None = None,
    *,
    engines: Mapping[str, Engine] | None = None,
    apps: Sequence[App] = (),
    catalog: Any = None,
    change: Callable[[FastAPI], None] | None = None,
    **sections: Mapping[str, Any],
) -> AsyncIterator[Gateway]:
    """A server with one scripted model, named `scripted`."""
    engine = engine if engine is not None else ScriptedEngine()
    chosen = settings(home, **sections)
    app = create_app(
        chosen, engines={"scripted": engine} if engines is None else engines, apps=apps, catalog=catalog
    )
    if change is not None:
        change(app)
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    task = asyncio.create_task(serve(app, chosen.http, on_ready=url.set_result, stop=stop))
    try:
        await asyncio.wait((task, url), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        async with httpx.AsyncClient(base_url=url.result(), trust_env=False, timeout=30) as client:
            yield Gateway(url.result(), client, engine, app, stop)
    finally:
        stop.set()
        engine.release()
        await task


async def events_of(response: httpx.Response) -> list[tuple[str | None, str]]:
    """`(event, data)` of a stream of server-sent events; comments are left out."""
    found: list[tuple[str | None, str]] = []
    name: str | None = None
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            found.append((name, line.removeprefix("data: ")))
        elif not line:
            name = None
    return found
