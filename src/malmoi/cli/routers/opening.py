"""The routers of a home, opened by a command, and for whom."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from malmoi.cli.documents.opening import account_option

if TYPE_CHECKING:
    from malmoi.serve.identity import Principal
    from malmoi.serve.routers import Routers
    from malmoi.serve.routers.types import RouterItem, SharePart
    from malmoi.serve.settings import ServeSettings

__all__ = ["Opened", "account_option", "open_routers", "share_text"]


@dataclass(frozen=True, slots=True)
class Opened:
    """The routers, and who uses them."""

    routers: "Routers"
    principal: "Principal"

    async def router(self, name: str) -> "RouterItem":
        """The router of that name or id.

        Raises:
            UnknownName: there is none; the message holds the nearest names.
        """
        from malmoi.core.errors import UnknownName

        known = await self.routers.store.all(self.principal.account_id)
        for one in known:
            if name in (one.name, one.id):
                return one
        raise UnknownName("router", name, [one.name for one in known])


@asynccontextmanager
async def open_routers(settings: "ServeSettings", account: str | None) -> AsyncIterator[Opened]:
    """The routers of the server of the settings, for an account.

    Raises:
        UnknownName: there is no such account.
    """
    from malmoi.cli.accounts import acting
    from malmoi.cli.database import open_database
    from malmoi.engine.catalog import Catalog
    from malmoi.serve.documents.embedding import alike_embedder
    from malmoi.serve.engines import EnginePool
    from malmoi.serve.guards import Guards
    from malmoi.serve.identity import Identity
    from malmoi.serve.metering import Metering
    from malmoi.serve.routers import Routers
    from malmoi.serve.skills.vectors import RoutingVectors

    async with open_database(settings) as database:
        identity = Identity(database, settings)
        await identity.start()
        pool = EnginePool(home=settings.home, settings=settings.models, catalog=Catalog(settings.home))
        metering = Metering(database, settings)
        guards = Guards(settings.guard, settings.home)
        embed = RoutingVectors(pool, alike_embedder(settings.documents.embedder))
        try:
            yield Opened(Routers(database, embed, guards, metering), await acting(identity, account))
        finally:
            await metering.stop()  # usage that is being written
            await pool.close()
            await identity.stop()


def share_text(share: "SharePart") -> str:
    """7 of 8 (53 to 98 %)."""
    return f"{share.count} of {share.total} ({100 * share.low:.0f} to {100 * share.high:.0f} %)"
