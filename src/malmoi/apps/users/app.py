"""The seam to the server: what `malmoi.apps.users:app` is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import APIRouter

    from malmoi.serve.services import Services


class UsersApp:
    """The page of users as an app of the server (`malmoi.serve.app.App`). It keeps nothing of its own."""

    name = "users"
    migrations = None

    def router(self, services: Services) -> APIRouter:
        """The routes under `/api/users`."""
        from malmoi.apps.users.routes import users_page_router

        return users_page_router(services.users)

    async def start(self, services: Services) -> None:
        """Nothing: a model is opened when somebody asks it."""

    async def stop(self) -> None:
        """Nothing: the server ends what runs."""
