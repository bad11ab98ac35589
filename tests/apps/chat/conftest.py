"""Servers with the chat on both databases."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from chat_server import QuickChatApp, Server, see_letters

from malmoi.engine.base import Engine
from malmoi.serve.app import create_app
from malmoi.serve.db import Database
from malmoi.serve.settings import ServeSettings
from malmoi.testing import ScriptedEngine


@pytest.fixture
async def open_server(database_url: str, home: Path) -> AsyncIterator[Callable[..., Awaitable[Server]]]:
    """Start servers on one database, one after another; the last one is stopped at the end."""
    closing: list[Callable[[], Awaitable[None]]] = []

    async def close() -> None:
        while closing:
            await closing.pop()()

    async def open_one(engine: ScriptedEngine | None = None, **engines: Engine) -> Server:
        await close()
        engine = engine or ScriptedEngine()
        database = Database.open(database_url)
        chat_app = QuickChatApp()
        app = create_app(
            ServeSettings(home=home),
            apps=[chat_app],
            engines={"scripted": engine, **engines},
            database=database,
        )
        see_letters(app)
        lifespan = app.router.lifespan_context(app)
        await lifespan.__aenter__()
        transport = httpx.ASGITransport(app)
        client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080")
        client.headers["X-Malmoi-CSRF"] = (await client.get("/api/session")).json()["csrf"]

        async def stop() -> None:
            await client.aclose()
            await lifespan.__aexit__(None, None, None)
            await database.close()

        closing.append(stop)
        return Server(app, chat_app, engine, client)

    yield open_one
    await close()


@pytest.fixture
async def server(open_server: Callable[..., Awaitable[Server]]) -> Server:
    """One server with the chat."""
    return await open_server()
