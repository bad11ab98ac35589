"""The web application: one FastAPI app made of the gateway's APIs and of the apps that are given to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from fastapi import APIRouter

    from malmoi.serve.services import Services


@runtime_checkable
class App(Protocol):
    """What people open in the browser: its routes, its tables, and what it runs in the background.

    `router` is called once, while the application is built, before anything is open; `start` is called when the
    database is open and migrated, and `stop` before it closes, while the engines still run. The router carries its own
    prefix (`/api/chat`). Every route needs a signed-in principal, as all routes of the server do.
    """

    @property
    def name(self) -> str:
        """Short name: letters, digits and dashes."""
        ...

    @property
    def migrations(self) -> Path | None:
        """Directory of Alembic migrations, or None when the app has no tables."""
        ...

    def router(self, services: Services) -> APIRouter:
        """The app's routes."""
        ...

    async def start(self, services: Services) -> None:
        """Begin background work; the database is open and migrated."""
        ...

    async def stop(self) -> None:
        """End background work; save what is unfinished."""
        ...
