"""A server on a port with documents and a skill of the test's own, and the official client of it."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, TextContent

sys.path += [str(Path(__file__).parents[1] / "skills"), str(Path(__file__).parents[1] / "documents")]
from documents_server import Parser, Stems, split
from skills_provider import Cars
from skills_server import put_skill, see_letters

import malmoi.serve.app as app_module
from gateway import Gateway, running
from malmoi.serve.db import utc_now
from malmoi.serve.db.tables import Account
from malmoi.serve.documents import Documents
from malmoi.serve.identity import Principal, Role, account_principal

MODES = ["legacy", "auto"]
"""How the client begins: the handshake of the protocol up to 2025-11-25, or that of 2026-07-28."""


@dataclass
class World:
    """A running server; `owner` is a key of its owner with all rights that a key can have here."""

    gateway: Gateway
    owner: str

    @asynccontextmanager
    async def client(self, key: str = "", mode: str = "auto", **more: Any) -> AsyncIterator[Client]:
        """The official client with a key; none: the owner's."""
        headers = {"authorization": f"Bearer {key or self.owner}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=30, trust_env=False) as http,
            Client(
                streamable_http_client(f"{self.gateway.url}/mcp", http_client=http), mode=mode, **more
            ) as client,
        ):
            yield client

    async def person(self, name: str, *scopes: str) -> tuple[Principal, str]:
        """Another account, and a key of it."""
        services = self.gateway.services
        async with services.db.session() as session:
            session.add(
                Account(id=f"acc_{name}", name=name, name_key=name, role="member", created_at=utc_now())
            )
        principal = account_principal(f"acc_{name}", name, Role.MEMBER)
        _, secret = await services.identity.keys.create(principal, "key", set(scopes))
        return principal, secret

    async def key(self, *scopes: str) -> str:
        """A key of the owner."""
        identity = self.gateway.services.identity
        owner = await identity.open_to()
        assert owner is not None
        owner = account_principal(owner.account_id, owner.name, Role.OWNER)
        _, secret = await identity.keys.create(owner, "key", set(scopes))
        return str(secret)

    async def add(self, text: str, name: str = "안내.txt", *, key: str = "", collection: str = "자료") -> str:
        """A collection with one document, indexed; the document's id."""
        headers = {"authorization": f"Bearer {key or self.owner}"}
        client = self.gateway.client
        made = await client.post("/api/documents/collections", json={"name": collection}, headers=headers)
        assert made.status_code == 201, made.text
        added = await client.post(
            f"/api/documents/collections/{made.json()['id']}/files",
            params={"name": name},
            content=text.encode(),
            headers={"content-type": "application/octet-stream", **headers},
        )
        document_id = str(added.json()["document"]["id"])
        async with asyncio.timeout(15):
            while True:
                row = (await client.get(f"/api/documents/files/{document_id}", headers=headers)).json()
                if row["status"] in ("ready", "failed"):
                    assert row["status"] == "ready", row
                    return document_id
                await asyncio.sleep(0.02)


@asynccontextmanager
async def open_world(home: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """The server, with the skill `rental` switched on for its owner."""
    Cars.calls.clear()
    Cars.told.clear()
    put_skill(home)

    def build(db: Any, engines: Any, settings: Any, folder: Path) -> Documents:
        settings = settings.model_copy(update={"embedder": "scripted"})
        return Documents(db, engines, settings, folder, analyzer=Stems(), parse=Parser(), split=split)

    monkeypatch.setattr(app_module, "Documents", build)
    async with running(home, change=see_letters) as gateway:
        world = World(gateway, "")
        world.owner = await world.key("documents", "skills", "inference")
        headers = {"authorization": f"Bearer {world.owner}"}
        assert (await gateway.client.put("/api/skills/rental/switch", headers=headers)).status_code == 200
        yield world


def text_of(result: CallToolResult) -> str:
    """What a model reads of an answer."""
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))
