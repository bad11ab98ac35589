"""The seam to the server: what `malmoi.apps.redteam:app` is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import APIRouter

    from malmoi.apps.redteam.service import Redteam
    from malmoi.serve.services import Services


class RedteamApp:
    """The workbench as an app of the server (`malmoi.serve.app.App`). One object serves one server."""

    name = "redteam"

    def __init__(self) -> None:
        self._redteam: Redteam | None = None

    @property
    def migrations(self) -> Path:
        """Where its tables are described."""
        return Path(__file__).parent / "migrations"

    def router(self, services: Services) -> APIRouter:
        """The routes under `/api/redteam`."""
        from malmoi.apps.redteam.routes import redteam_router
        from malmoi.apps.redteam.service import Redteam

        self._redteam = Redteam(services.db, services.inference)
        return redteam_router(self._redteam)

    async def start(self, services: Services) -> None:
        """Mark what an earlier run has left unwritten."""
        assert self._redteam is not None  # the server asks for the router first
        await self._redteam.replies.start()

    async def stop(self) -> None:
        """Interrupt replies that are being written."""
        if self._redteam is not None:
            await self._redteam.replies.stop()
