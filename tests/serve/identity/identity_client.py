"""A browser for tests of identity."""

from typing import Any

import httpx

from malmoi.serve.security import CSRF_HEADER

PASSWORD = "correct horse 말모이"


class Client(httpx.AsyncClient):
    """A browser: keeps cookies, and sends the CSRF token that /api/session gave it."""

    async def refresh(self) -> dict[str, Any]:
        state: dict[str, Any] = (await self.get("/api/session")).json()
        self.headers[CSRF_HEADER] = state["csrf"]
        return state

    async def log_in(self, name: str, password: str = PASSWORD) -> httpx.Response:
        await self.refresh()
        answer = await self.post("/api/session", json={"name": name, "password": password})
        await self.refresh()
        return answer
