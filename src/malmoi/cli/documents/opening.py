"""The documents of a home, opened by a command, and for whom."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from malmoi.serve.documents import Documents
    from malmoi.serve.documents.types import CollectionOut
    from malmoi.serve.identity import Principal
    from malmoi.serve.settings import ServeSettings


@dataclass(frozen=True, slots=True)
class Opened:
    """The documents, and who uses them."""

    documents: "Documents"
    principal: "Principal"

    async def collection(self, name: str) -> "CollectionOut":
        """The collection of that name or id: one's own before those of others.

        Raises:
            UnknownName: there is none; the message holds the nearest names.
        """
        from malmoi.core.errors import UnknownName

        known = await self.documents.collections.all(self.principal)
        found = sorted(
            (one for one in known if name in (one.name, one.id)), key=lambda one: one.right != "own"
        )
        if not found:
            raise UnknownName("collection", name, [one.name for one in known])
        return min(found, key=lambda one: one.right != "own")


account_option = click.option("--account", metavar="NAME", help="Who does it.  [default: the only account]")


@asynccontextmanager
async def open_documents(settings: "ServeSettings", account: str | None) -> AsyncIterator[Opened]:
    """The documents of the server of the settings, for an account.

    Raises:
        UnknownName: there is no such account.
    """
    from malmoi.cli.accounts import acting
    from malmoi.cli.database import open_database
    from malmoi.engine.catalog import Catalog
    from malmoi.serve.documents import Documents
    from malmoi.serve.engines import EnginePool
    from malmoi.serve.identity import Identity

    async with open_database(settings) as database:
        identity = Identity(database, settings)
        await identity.start()
        pool = EnginePool(home=settings.home, settings=settings.models, catalog=Catalog(settings.home))
        documents = Documents(database, pool, settings.documents, settings.home)
        try:
            yield Opened(documents, await acting(identity, account))
        finally:
            await documents.close()
            await pool.close()
            await identity.stop()


def size_of(count: int) -> str:
    """12 B, 3.4 kB, 5.6 MB."""
    for unit, step in (("MB", 1e6), ("kB", 1e3)):
        if count >= step:
            return f"{count / step:.1f} {unit}"
    return f"{count} B"
