"""A whole server with skills of the test's own in its operator's folder."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from gateway import Gateway, events_of, running, settings
from malmoi.assist.skills.routing.ngrams import letter_vectors
from malmoi.engine.scripted import ScriptedEngine
from malmoi.serve.app import create_app
from malmoi.serve.db import utc_now
from malmoi.serve.db.tables import Account
from malmoi.serve.identity import Principal, Role, account_principal
from malmoi.serve.services import Services
from malmoi.serve.settings import SkillSettings

MANIFEST = """\
name = "{name}"
domain = "{domain}"
version = "1"
description = "Rents cars."
documents = true
[people.ko]
name = "차"
description = "차를 빌립니다."
[[examples]]
query = "제주 렌터카 찾아줘"
operation = "search"
arguments = {{ place = "제주" }}
[[examples]]
query = "부산에서 렌터카 보여줘"
operation = "search"
[[examples]]
query = "아반떼 예약해줘"
operation = "book"
[[examples]]
query = "문서 읽어줘"
operation = "read"
[source]
python = "skills_provider:Cars"
{more}
"""


def put_skill(home: Path, name: str = "rental", domain: str | None = None, more: str = "") -> None:
    folder = home / "skills" / name
    folder.mkdir(parents=True)
    (folder / "skill.toml").write_text(
        MANIFEST.format(name=name, domain=domain or name, more=more), encoding="utf-8"
    )


@dataclass
class InProcess:
    """A server in this process: no port is opened, and streams come whole."""

    client: httpx.AsyncClient
    app: FastAPI

    @property
    def services(self) -> Services:
        return self.app.state.services

    async def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return await self.client.post(path, json=body, headers=headers)


def see_letters(app: FastAPI) -> None:
    """The router sees letters alone: no encoder is loaded."""

    async def embed(texts: Any) -> Any:
        return letter_vectors(texts)

    app.state.services.skills.runner.router._embed = embed


@asynccontextmanager
async def skills_server(
    home: Path, engine: ScriptedEngine | None = None, **skills: Any
) -> AsyncIterator[InProcess]:
    """A server with one scripted model, and these settings of skills."""
    chosen = settings(home).model_copy(update={"skills": SkillSettings(**skills)})
    app = create_app(chosen, engines={"scripted": engine or ScriptedEngine()})
    see_letters(app)
    transport = httpx.ASGITransport(app)
    base_url = "http://127.0.0.1:8080"
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url=base_url, timeout=30) as client,
    ):
        client.headers["X-Malmoi-CSRF"] = (await client.get("/api/session")).json()["csrf"]
        yield InProcess(client, app)


@asynccontextmanager
async def real_server(home: Path) -> AsyncIterator[Gateway]:
    """A server on a port, whose clients can leave."""
    async with running(home, change=see_letters) as gateway:
        gateway.client.headers["X-Malmoi-CSRF"] = (await gateway.client.get("/api/session")).json()["csrf"]
        yield gateway


async def stages(gateway: Any, path: str, body: Any, **headers: str) -> list[tuple[str, dict[str, Any]]]:
    """The stages of a run as they came."""
    async with gateway.client.stream("POST", path, json=body, headers=headers) as response:
        if response.status_code != 200:
            await response.aread()
            return [(str(response.status_code), response.json()["error"])]
        return [(name or "", json.loads(data)) for name, data in await events_of(response)]


async def ask(gateway: Any, query: str, **more: Any) -> list[tuple[str, dict[str, Any]]]:
    headers = more.pop("headers", {})
    return await stages(gateway, "/api/skills/runs", {"query": query, **more}, **headers)


def stage(found: list[tuple[str, dict[str, Any]]], kind: str) -> dict[str, Any]:
    return next(data for name, data in found if name == kind)


def names(found: list[tuple[str, dict[str, Any]]]) -> list[str]:
    return [name for name, _ in found]


def said(found: list[tuple[str, dict[str, Any]]]) -> str:
    return "".join(data["text"] for name, data in found if name == "text")


async def person(gateway: Any, name: str, role: Role = Role.MEMBER) -> tuple[Principal, dict[str, str]]:
    """Another account, and the header of a key of it."""
    async with gateway.services.db.session() as session:
        session.add(
            Account(id=f"acc_{name}", name=name, name_key=name, role=role.value, created_at=utc_now())
        )
    principal = account_principal(f"acc_{name}", name, role)
    _, secret = await gateway.services.identity.keys.create(principal, "key", {"skills"})
    return principal, {"authorization": f"Bearer {secret}"}
