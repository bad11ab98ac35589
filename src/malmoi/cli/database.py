"""The server's database, opened by a command; it may run at the same time as the server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from malmoi.serve.db import Database
    from malmoi.serve.identity import Identity
    from malmoi.serve.settings import ServeSettings


@asynccontextmanager
async def open_database(settings: "ServeSettings") -> "AsyncIterator[Database]":
    """The database of the settings, with the tables of the server and of the installed apps."""
    from malmoi.core.registry import Registry
    from malmoi.serve.app import App
    from malmoi.serve.db import Database

    registry: Registry[App] = Registry("app")
    apps = [registry.get(name) for name in registry.names()]
    database = Database.of(settings)
    try:
        await database.migrate([app.migrations for app in apps if app.migrations is not None])
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def open_identity(settings: "ServeSettings") -> "AsyncIterator[Identity]":
    """Accounts and keys of the server of the settings."""
    from malmoi.serve.identity import Identity

    async with open_database(settings) as database:
        identity = Identity(database, settings)
        await identity.start()
        yield identity
        await identity.stop()
