"""A server in this process with documents: no child processes, a parser that reads marked-up text."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI

from malmoi.assist.retrieval.document import Block, Document, Passage
from malmoi.core.errors import DocumentUnreadable
from malmoi.core.morphemes import MorphemeAnalyzer
from malmoi.serve.db import utc_now
from malmoi.serve.db.tables import Account
from malmoi.serve.documents import Documents
from malmoi.serve.identity import Principal, Role, account_principal

PASSWORD = "a long enough password"


class Stems(MorphemeAnalyzer):
    """No child process: a morpheme is a Korean word without its last letter if it is a particle."""

    def __init__(self) -> None:
        super().__init__(command=("false",))
        self.available = True
        self.asked: list[Sequence[str]] = []

    @property
    def is_available(self) -> bool:
        return self.available

    async def analyze(self, texts: Sequence[str]) -> list[list[str]]:
        self.asked.append(texts)
        if not self.available:
            return [[] for _ in texts]
        return [
            [re.sub("(을|를|이|가|은|는|에서|에)$", "", word) for word in re.findall("[가-힣]+", text)]
            for text in texts
        ]


@dataclass
class Parser:
    """Paragraphs between blank lines; `# ` begins a heading, `|` a table; some contents are special."""

    calls: int = 0
    gate: asyncio.Event | None = None

    async def __call__(self, content: bytes, *, name: str) -> Document:
        self.calls += 1
        if self.gate is not None:
            await self.gate.wait()
        text = content.decode()
        if text.startswith("LONG"):
            text = text[:100]
        if text.startswith("LOCKED"):
            raise DocumentUnreadable(f"{name!r} is encrypted.", reason="encrypted", fix="Take it off.")
        if text.startswith("BUG"):
            raise RuntimeError("a parser has a bug")
        blocks, title = [], ""
        for found in re.finditer(r"\S(?:.|\n(?!\n))*", text):
            if found[0].startswith("# "):
                title = title or found[0][2:].strip()
                blocks.append(Block("heading", found.start(), found.end(), level=1))
            elif found[0].startswith("|"):
                rows = tuple(tuple(line.strip("|").split("|")) for line in found[0].splitlines())
                blocks.append(Block("table", found.start(), found.end(), rows=rows))
            else:
                blocks.append(Block("paragraph", found.start(), found.end(), page=1, place="p. 1"))
        return Document(format="txt", title=title, text=text, blocks=tuple(blocks), pages=1)


def split(document: Document) -> list[Passage]:
    """A passage a block that is no heading."""
    headings: tuple[str, ...] = ()
    passages = []
    for block in document.blocks:
        if block.kind == "heading":
            headings = (document.text[block.start + 2 : block.end].strip(),)
        else:
            passages.append(Passage(block.start, block.end, headings, block.page, block.place))
    return passages


async def no_table(db: object) -> None:
    """In place of `vector_table.prepare`: a PostgreSQL server without pgvector."""


@dataclass
class Server:
    """A running server; `client` is its owner, who has no password yet."""

    app: FastAPI
    client: httpx.AsyncClient
    parser: Parser
    stems: Stems

    @property
    def documents(self) -> Documents:
        documents: Documents = self.app.state.services.documents
        return documents

    async def owner(self) -> Principal:
        state = (await self.client.get("/api/session")).json()["account"]
        return account_principal(state["id"], state["name"], Role(state["role"]))

    async def person(self, name: str, role: Role = Role.MEMBER) -> tuple[Principal, dict[str, str]]:
        """Another account, and the header of a key of it."""
        services = self.app.state.services
        async with services.db.session() as session:
            session.add(
                Account(id=f"acc_{name}", name=name, name_key=name, role=role.value, created_at=utc_now())
            )
        principal = account_principal(f"acc_{name}", name, role)
        _, secret = await services.identity.keys.create(principal, "key", {"documents"})
        return principal, {"authorization": f"Bearer {secret}"}

    async def collection(self, name: str = "자료", **headers: str) -> str:
        answer = await self.client.post("/api/documents/collections", json={"name": name}, headers=headers)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def upload(
        self, collection_id: str, name: str, text: str | bytes, *, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        return await self.client.post(
            f"/api/documents/collections/{collection_id}/files",
            params={"name": name},
            content=text.encode() if isinstance(text, str) else text,
            headers={"content-type": "application/octet-stream", **(headers or {})},
        )

    async def add(self, collection_id: str, name: str, text: str) -> str:
        """Upload and wait until it is finished; the id."""
        answer = await self.upload(collection_id, name, text)
        assert answer.status_code == 202, answer.text
        document_id = str(answer.json()["document"]["id"])
        await self.finished(document_id)
        return document_id

    async def finished(self, document_id: str) -> dict[str, Any]:
        async with asyncio.timeout(50):
            while True:
                shown = (await self.client.get(f"/api/documents/files/{document_id}")).json()
                if shown.get("status") in ("ready", "failed"):
                    return dict(shown)
                await asyncio.sleep(0.01)

    async def find(self, query: str, **fields: Any) -> list[dict[str, Any]]:
        answer = await self.client.post("/api/documents/search", json={"query": query, **fields})
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])
