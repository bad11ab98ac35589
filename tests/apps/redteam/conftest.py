"""Servers with the workbench, on both databases."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from redteam_server import Person, Server

from malmoi.apps.redteam import RedteamApp
from malmoi.engine.scripted import Rule
from malmoi.serve.app import create_app
from malmoi.serve.db import Database
from malmoi.serve.settings import ServeSettings
from malmoi.testing import ScriptedEngine


@pytest.fixture
async def server(database_url: str, home: Path) -> AsyncIterator[Server]:
    """A server with two models that say different things."""
    engines = {
        "polite": ScriptedEngine([Rule(when=".", reply="정중한 답입니다.")], name="polite"),
        "rude": ScriptedEngine([Rule(when=".", reply="무례한 답이다.")], name="rude"),
        "slow": ScriptedEngine([Rule(when=".", reply="천천히 쓰는 답", hold_after=1)], name="slow"),
        "broken": ScriptedEngine(
            [
                Rule(when=".", reply="여기까지", fail_after=1, times=1),
                Rule(when=".", reply="이제 됩니다."),
            ],
            name="broken",
        ),
    }
    database = Database.open(database_url)
    redteam_app = RedteamApp()
    app = create_app(ServeSettings(home=home), apps=[redteam_app], engines=engines, database=database)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
            csrf = (await client.get("/api/session")).json()["csrf"]
            yield Server(app, redteam_app, engines, Person(client, {"X-Malmoi-CSRF": csrf}))
    await database.close()
