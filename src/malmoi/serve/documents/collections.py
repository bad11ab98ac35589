"""Collections: made, shared and deleted."""

from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from malmoi.core.errors import Conflict, Forbidden, NotFound
from malmoi.serve.db import Database, new_id, utc_now
from malmoi.serve.db.tables import Account
from malmoi.serve.documents.access import collection_for, is_readable
from malmoi.serve.documents.tables import Collection, CollectionMember, StoredDocument
from malmoi.serve.documents.types import (
    CollectionOut,
    CollectionPatch,
    MemberOut,
    MemberRole,
    NewCollection,
    Right,
)
from malmoi.serve.identity import Principal, Scope
from malmoi.serve.identity.accounts import name_key


class Collections:
    """The collections of a server.

    Args:
        db: the database.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    async def all(self, principal: Principal) -> list[CollectionOut]:
        """Those that the principal may read, by name."""
        async with self._db.reading() as session:
            found = (
                await session.scalars(
                    select(Collection).where(is_readable(principal)).order_by(Collection.name)
                )
            ).all()
            writable = set(
                await session.scalars(
                    select(CollectionMember.collection_id).where(
                        CollectionMember.account_id == principal.account_id,
                        CollectionMember.role == MemberRole.WRITER,
                    )
                )
            )
            rights: dict[str, Right] = {
                one.id: "own"
                if one.account_id == principal.account_id
                else "write"
                if one.id in writable
                else "read"
                for one in found
            }
            return await _shown(session, found, rights)

    async def get(self, principal: Principal, collection_id: str) -> CollectionOut:
        """One of them.

        Raises:
            NotFound: there is none that the principal may read.
        """
        async with self._db.reading() as session:
            collection, right = await collection_for(session, principal, collection_id)
            return (await _shown(session, [collection], {collection.id: right}))[0]

    async def create(self, principal: Principal, wanted: NewCollection) -> CollectionOut:
        """A new, empty one.

        Raises:
            Conflict: the principal has one of that name.
        """
        now = utc_now()
        collection = Collection(
            id=new_id("col"),
            account_id=principal.account_id,
            name=wanted.name,
            description=wanted.description,
            everybody=False,
            revision=0,
            created_at=now,
            updated_at=now,
        )
        try:
            async with self._db.session() as session:
                session.add(collection)
        except IntegrityError as error:
            raise _taken(wanted.name) from error
        return await self.get(principal, collection.id)

    async def change(self, principal: Principal, collection_id: str, patch: CollectionPatch) -> CollectionOut:
        """Rename, describe, or open it to everybody.

        Raises:
            NotFound: there is none that the principal may read.
            Forbidden: it is not the principal's, or only an admin opens collections to everybody.
            Conflict: the principal has another one of that name.
        """
        if patch.everybody is not None and not principal.may(Scope.ADMIN):
            raise Forbidden("only an admin opens a collection to everybody.", fix="Ask an admin.")
        try:
            async with self._db.session() as session:
                collection, _ = await collection_for(session, principal, collection_id, "own")
                for name, value in patch.model_dump(exclude_none=True).items():
                    setattr(collection, name, value)
                collection.updated_at = utc_now()
        except IntegrityError as error:
            raise _taken(str(patch.name)) from error
        return await self.get(principal, collection_id)

    async def delete(self, principal: Principal, collection_id: str) -> list[str]:
        """Delete it with all its documents; the digests of the files that it had.

        Raises:
            NotFound: there is none that the principal may read.
            Forbidden: it is not the principal's.
        """
        async with self._db.session() as session:
            await collection_for(session, principal, collection_id, "own")
            digests = await session.scalars(
                select(StoredDocument.sha256).where(StoredDocument.collection_id == collection_id)
            )
            gone = list(digests)
            await session.execute(delete(Collection).where(Collection.id == collection_id))
        return gone

    async def members(self, principal: Principal, collection_id: str) -> list[MemberOut]:
        """With whom it is shared, by name; only its owner sees them all, a member only itself.

        Raises:
            NotFound: there is none that the principal may read.
        """
        async with self._db.reading() as session:
            _, right = await collection_for(session, principal, collection_id)
            wanted = select(CollectionMember, Account.name).join(
                Account, Account.id == CollectionMember.account_id
            )
            wanted = wanted.where(CollectionMember.collection_id == collection_id)
            if right != "own":
                wanted = wanted.where(CollectionMember.account_id == principal.account_id)
            rows = await session.execute(wanted.order_by(Account.name_key))
            return [
                MemberOut(account_id=member.account_id, name=name, role=MemberRole(member.role))
                for member, name in rows
            ]

    async def share(
        self, principal: Principal, collection_id: str, name: str, role: MemberRole
    ) -> list[MemberOut]:
        """Let somebody use it, or change what a member may do.

        Raises:
            NotFound: there is no such collection or account.
            Forbidden: the collection is not the principal's.
            Conflict: it is the owner.
        """
        async with self._db.session() as session:
            collection, _ = await collection_for(session, principal, collection_id, "own")
            account = await session.scalar(select(Account).where(Account.name_key == name_key(name)))
            if account is None:
                raise NotFound(f"there is no account {name!r}.", fix="Look at how the name is written.")
            if account.id == collection.account_id:
                raise Conflict("it is yours already.")
            member = await session.get(CollectionMember, (collection_id, account.id))
            if member is None:
                member = CollectionMember(collection_id=collection_id, account_id=account.id)
                session.add(member)
            member.role = role.value
        return await self.members(principal, collection_id)

    async def unshare(self, principal: Principal, collection_id: str, account_id: str) -> None:
        """Take a member out; members may leave by themselves.

        Raises:
            NotFound: there is no such collection or member.
            Forbidden: the collection is not the principal's.
        """
        needed: Right = "read" if account_id == principal.account_id else "own"
        async with self._db.session() as session:
            await collection_for(session, principal, collection_id, needed)
            member = await session.get(CollectionMember, (collection_id, account_id))
            if member is None:
                raise NotFound("there is no such member.")
            await session.delete(member)


async def _shown(
    session: AsyncSession, collections: Sequence[Collection], rights: dict[str, Right]
) -> list[CollectionOut]:
    ids = [collection.id for collection in collections]
    rows = await session.execute(
        select(StoredDocument.collection_id, StoredDocument.status, func.count())
        .where(StoredDocument.collection_id.in_(ids))
        .group_by(StoredDocument.collection_id, StoredDocument.status)
    )
    counts: dict[str, dict[str, int]] = {}
    for collection_id, status, count in rows:
        counts.setdefault(collection_id, {})[status] = count
    owners = {one.account_id for one in collections}
    named = await session.execute(select(Account.id, Account.name).where(Account.id.in_(owners)))
    names = dict(named.all())
    shown = []
    for one in collections:
        by_status = counts.get(one.id, {})
        shown.append(
            CollectionOut(
                id=one.id,
                name=one.name,
                description=one.description,
                everybody=one.everybody,
                right=rights[one.id],
                owner=names[one.account_id],
                documents=sum(by_status.values()),
                unfinished=sum(
                    count for status, count in by_status.items() if status not in ("ready", "failed")
                ),
                created_at=one.created_at,
                updated_at=one.updated_at,
            )
        )
    return shown


def _taken(name: str) -> Conflict:
    return Conflict(f"you have a collection {name!r} already.", fix="Choose another name.")
