"""The sandbox server inside of this process: built-in skills that point at it need no other one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from malmoi.assist.egress import Answer
from malmoi.core.errors import SkillUnavailable

if TYPE_CHECKING:
    from malmoi.assist.skills.manifest import Skill

_ADDRESS = "http://127.0.0.1:8799/"


def is_sandboxed(skill: Skill) -> bool:
    """Whether a skill is built in and points at the sandbox server."""
    base_url = skill.manifest.source.base_url or ""
    return skill.origin == "builtin" and base_url.startswith(_ADDRESS)


class SandboxWay:
    """Sends requests to the sandbox as an application; nothing leaves this process.

    Args:
        folder: where its bookings are kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._client: httpx.AsyncClient | None = None

    async def send(
        self,
        method: str,
        url: str | httpx.URL,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        seconds: float | None = None,
        max_bytes: int | None = None,
    ) -> Answer:
        """Send one request. Raises `SkillUnavailable` when the answer is late or too large."""
        client = self._opened()
        try:
            async with asyncio.timeout(seconds):
                answer = await client.request(
                    method, url, headers=dict(headers or {}), content=content, follow_redirects=False
                )
        except TimeoutError as error:
            raise SkillUnavailable(f"the sandbox did not answer in {seconds:g} s.") from error
        if max_bytes is not None and len(answer.content) > max_bytes:
            raise SkillUnavailable(f"the sandbox's answer is larger than {max_bytes} bytes.")
        told = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status_code, told, answer.content, answer.url)

    async def close(self) -> None:
        """Let go of the application."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _opened(self) -> httpx.AsyncClient:
        if self._client is None:
            from malmoi.assist.skills.sandbox_server.app import sandbox_app

            app: Any = sandbox_app(self._folder)
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            self._client = httpx.AsyncClient(transport=transport, trust_env=False)
        return self._client
