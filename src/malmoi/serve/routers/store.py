"""Routers and versions in the database. Those of others are not found."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import undefer

from malmoi.core.errors import Conflict, NotFound
from malmoi.serve.db import new_id, utc_now
from malmoi.serve.identity.accounts import name_key
from malmoi.serve.routers.tables import RouterVersion, StoredRouter
from malmoi.serve.routers.types import (
    Content,
    Figures,
    NewRouter,
    RouterDetail,
    RouterItem,
    RouterPatch,
    VersionDetail,
    VersionItem,
)

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from malmoi.serve.db import Database

MAX_ROUTERS = 50
MAX_VERSIONS = 200


class RouterStore:
    """The routers of a server. Every method takes the account.

    Args:
        db: the database.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    async def all(self, account_id: str) -> list[RouterItem]:
        """The account's routers, by name."""
        async with self._db.reading() as session:
            found = await session.scalars(
                select(StoredRouter)
                .where(StoredRouter.account_id == account_id)
                .order_by(StoredRouter.name_key)
            )
            return [RouterItem(**await _shown(session, one)) for one in found.all()]

    async def get(self, account_id: str, router_id: str) -> RouterDetail:
        """One of them.

        Raises:
            NotFound: the account has none of this id.
        """
        async with self._db.reading() as session:
            row = await _own(session, account_id, router_id)
            return RouterDetail(**await _shown(session, row), content=Content.model_validate(row.content))

    async def create(self, account_id: str, wanted: NewRouter) -> RouterDetail:
        """A new one.

        Raises:
            Conflict: the account has one of that name, or too many.
        """
        router_id, now = new_id("rtr"), utc_now()
        try:
            async with self._db.session() as session:
                owned = select(func.count()).where(StoredRouter.account_id == account_id)
                if (await session.execute(owned)).scalar_one() >= MAX_ROUTERS:
                    raise Conflict(f"you have {MAX_ROUTERS} routers already.", fix="Delete one first.")
                session.add(
                    StoredRouter(
                        id=router_id,
                        account_id=account_id,
                        name=wanted.name,
                        name_key=name_key(wanted.name),
                        description=wanted.description,
                        content=wanted.content.model_dump(),
                        created_at=now,
                        updated_at=now,
                    )
                )
        except IntegrityError as error:
            raise _taken(wanted.name) from error
        return await self.get(account_id, router_id)

    async def change(self, account_id: str, router_id: str, patch: RouterPatch) -> RouterDetail:
        """Rename or describe it, or give it other content; its versions stay as they are.

        Raises:
            NotFound: the account has none of this id.
            Conflict: the account has another one of that name.
        """
        try:
            async with self._db.session() as session:
                row = await _own(session, account_id, router_id, for_update=True)
                if patch.name is not None:
                    row.name, row.name_key = patch.name, name_key(patch.name)
                if patch.description is not None:
                    row.description = patch.description
                if patch.content is not None:
                    row.content = patch.content.model_dump()
                row.updated_at = utc_now()
        except IntegrityError as error:
            raise _taken(str(patch.name)) from error
        return await self.get(account_id, router_id)

    async def delete(self, account_id: str, router_id: str) -> None:
        """Delete it with its versions.

        Raises:
            NotFound: the account has none of this id.
        """
        async with self._db.session() as session:
            await _own(session, account_id, router_id)
            await session.execute(delete(StoredRouter).where(StoredRouter.id == router_id))

    async def versions(self, account_id: str, router_id: str) -> list[VersionItem]:
        """The versions of a router, the newest first.

        Raises:
            NotFound: the account has no such router.
        """
        async with self._db.reading() as session:
            await _own(session, account_id, router_id)
            found = await session.scalars(
                select(RouterVersion)
                .where(RouterVersion.router_id == router_id)
                .order_by(RouterVersion.number.desc())
            )
            return [VersionItem.model_validate(one, from_attributes=True) for one in found]

    async def version(self, account_id: str, router_id: str, number: int | None) -> VersionDetail:
        """A version of a router; None: the newest.

        Raises:
            NotFound: the account has no such router, or the router no such version.
        """
        async with self._db.reading() as session:
            await _own(session, account_id, router_id)
            query = select(RouterVersion).where(RouterVersion.router_id == router_id)
            if number is not None:
                query = query.where(RouterVersion.number == number)
            query = query.order_by(RouterVersion.number.desc()).limit(1)
            row = await session.scalar(query.options(undefer(RouterVersion.content)))
            if row is None:
                wanted = "version yet" if number is None else f"version {number}"
                raise NotFound(f"the router has no {wanted}.")
            return VersionDetail.model_validate(row, from_attributes=True)

    async def freeze(
        self, account_id: str, router_id: str, content: Content, figures: Figures
    ) -> VersionItem:
        """Keep a copy of the content as the next version; the same content twice is one version.

        Raises:
            NotFound: the account has no such router.
            Conflict: it has too many versions.
        """
        told = json.dumps(content.model_dump(), ensure_ascii=False, sort_keys=True)
        digest = hashlib.sha256(told.encode()).hexdigest()
        async with self._db.session() as session:
            await _own(session, account_id, router_id, for_update=True)
            newest = await session.scalar(
                select(RouterVersion)
                .where(RouterVersion.router_id == router_id)
                .order_by(RouterVersion.number.desc())
                .limit(1)
            )
            if newest is not None and newest.content_hash == digest:
                return VersionItem.model_validate(newest, from_attributes=True)
            if newest is not None and newest.number >= MAX_VERSIONS:
                raise Conflict(f"the router has {MAX_VERSIONS} versions already.", fix="Make a new router.")
            row = RouterVersion(
                id=new_id("rtv"),
                router_id=router_id,
                number=newest.number + 1 if newest is not None else 1,
                content_hash=digest,
                content=content.model_dump(),
                figures=figures.model_dump(),
                created_at=utc_now(),
            )
            session.add(row)
            return VersionItem.model_validate(row, from_attributes=True)


async def _own(
    session: AsyncSession, account_id: str, router_id: str, *, for_update: bool = False
) -> StoredRouter:
    query = select(StoredRouter).where(StoredRouter.id == router_id, StoredRouter.account_id == account_id)
    if for_update:
        query = query.with_for_update()
    row = await session.scalar(query.options(undefer(StoredRouter.content)))
    if row is None:
        raise NotFound(f"there is no router {router_id!r}.")
    return row


async def _shown(session: AsyncSession, row: StoredRouter) -> dict[str, object]:
    count = select(func.count()).where(RouterVersion.router_id == row.id)
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "versions": (await session.execute(count)).scalar_one(),
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def _taken(name: str) -> Conflict:
    return Conflict(f"you have a router of the name {name!r} already.", fix="Take another name.")
