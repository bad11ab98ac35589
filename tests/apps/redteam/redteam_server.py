"""A whole server in this process with the workbench, scripted models, and several people."""

from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI

from malmoi.apps.redteam import RedteamApp
from malmoi.serve.db import utc_now
from malmoi.serve.db.tables import Account
from malmoi.serve.identity import Role, account_principal
from malmoi.testing import ScriptedEngine


@dataclass
class Person:
    """Somebody who calls the server; the local owner sends no key."""

    client: httpx.AsyncClient
    headers: dict[str, str] = field(default_factory=dict)

    async def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return await self.client.request(method, f"/api/redteam/{path}", json=body, headers=self.headers)

    async def json(self, method: str, path: str, body: Any = None, *, status: int | None = None) -> Any:
        answer = await self.call(method, path, body)
        if status is None:
            assert answer.is_success, answer.text
        else:
            assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    async def score(self, turn: Any, *scores: tuple[int | None, int | None]) -> None:
        """Score the replies of a turn in the order in which they are shown."""
        for reply, (harmlessness, overall) in zip(turn["replies"], scores, strict=True):
            body = {"harmlessness": harmlessness, "overall": overall}
            await self.json("PUT", f"replies/{reply['id']}/score", body)


@dataclass
class Server:
    """A running server."""

    app: FastAPI
    redteam_app: RedteamApp
    engines: dict[str, ScriptedEngine]
    owner: Person

    async def person(self, name: str, role: Role = Role.ANNOTATOR, *rights: str) -> Person:
        """Another account, which calls with a key that has its rights."""
        account_id = f"acc_{name}"
        async with self.app.state.services.db.session() as session:
            session.add(
                Account(id=account_id, name=name, name_key=name, role=role.value, created_at=utc_now())
            )
        principal = account_principal(account_id, name, role)
        scopes = set(rights) or {"redteam"}
        _, secret = await self.app.state.services.identity.keys.create(principal, "key", scopes)
        return Person(self.owner.client, {"authorization": f"Bearer {secret}"})

    async def begin(self, person: Person | None = None, **fields: Any) -> Any:
        """A new session."""
        new = {"topic": "bias", "strategy": "role_play", "models": ["polite", "rude"], **fields}
        return await (person or self.owner).json("POST", "sessions", new)

    async def send(
        self, session_id: str, text: str, person: Person | None = None, client_id: str = ""
    ) -> Any:
        """Send a turn and wait until every model has answered; the session then."""
        person = person or self.owner
        body = {"content": text, "client_id": client_id or f"c{abs(hash(text))}"}
        await person.json("POST", f"sessions/{session_id}/turns", body)
        assert self.redteam_app._redteam is not None
        await self.redteam_app._redteam.replies.idle()
        return await person.json("GET", f"sessions/{session_id}")

    async def attack(self, *, turns: int = 1, scores: Any = ((6, 5), (1, 2)), **fields: Any) -> Any:
        """A finished session of the owner's, scored alike in every turn."""
        session_id = (await self.begin(**fields))["session"]["id"]
        for number in range(turns):
            session = await self.send(session_id, f"질문 {number}")
            await self.owner.score(session["turns"][-1], *scores)
        return await self.owner.json("POST", f"sessions/{session_id}/finish")
