"""Servers with documents on both databases."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from documents_server import Parser, Server, Stems, split

import malmoi.serve.app as app_module
from malmoi.serve.app import create_app
from malmoi.serve.db import Database
from malmoi.serve.documents import Documents
from malmoi.serve.settings import DocumentSettings, ServeSettings
from malmoi.testing import ScriptedEngine


@pytest.fixture
async def open_server(
    database_url: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[..., Awaitable[Server]]]:
    """Start servers on one database, one after another; the last one is stopped at the end."""
    closing: list[Callable[[], Awaitable[None]]] = []

    async def close() -> None:
        while closing:
            await closing.pop()()

    async def open_one(**fields: Any) -> Server:
        await close()
        parser, stems = Parser(), Stems()

        def build(*arguments: Any) -> Documents:
            return Documents(*arguments, analyzer=stems, parse=parser, split=split)

        monkeypatch.setattr(app_module, "Documents", build)
        database = Database.open(database_url)
        settings = DocumentSettings.model_validate({"embedder": "scripted", **fields})
        app = create_app(
            ServeSettings(home=home, documents=settings),
            engines={"scripted": ScriptedEngine()},
            database=database,
        )
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
        return Server(app, client, parser, stems)

    yield open_one
    await close()


@pytest.fixture
async def server(open_server: Callable[..., Awaitable[Server]]) -> Server:
    """One server with documents."""
    return await open_server()
