"""The seam to the server: what `malmoi.apps.chat:app` is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import APIRouter

    from malmoi.apps.chat.service import Chat
    from malmoi.serve.services import Services


class ChatApp:
    """The chat as an app of the server (`malmoi.serve.app.App`). One object serves one server at a time."""

    name = "chat"

    def __init__(self) -> None:
        self._chat: Chat | None = None

    @property
    def migrations(self) -> Path:
        """Where its tables are described."""
        return Path(__file__).parent / "migrations"

    def router(self, services: Services) -> APIRouter:
        """The routes under `/api/chat`."""
        from malmoi.apps.chat.routes import chat_router
        from malmoi.apps.chat.service import Chat

        documents = services.documents
        self._chat = Chat(
            services.db,
            services.inference,
            analyzer=documents.analyzer,
            skills=services.skills,
            documents=documents,
        )
        return chat_router(self._chat, send_timeout=services.settings.http.send_timeout)

    async def start(self, services: Services) -> None:
        """Begin the work in the background."""
        assert self._chat is not None  # the server asks for the router first
        await self._chat.start()

    async def stop(self) -> None:
        """Interrupt running replies and save what they have."""
        if self._chat is not None:
            await self._chat.stop()
