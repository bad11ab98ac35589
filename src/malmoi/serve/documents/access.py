"""Who may do what with a collection. What a principal may not read does not exist for it."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from malmoi.core.errors import Forbidden, NotFound
from malmoi.serve.documents.tables import Collection, CollectionMember, StoredDocument
from malmoi.serve.documents.types import MemberRole, Right
from malmoi.serve.identity import Principal

_RIGHTS: Sequence[Right] = ("read", "write", "own")  # each includes those before it


def is_readable(principal: Principal) -> ColumnElement[bool]:
    """The condition on `Collection` that it is the principal's, shared with the principal, or everybody's."""
    shared = select(CollectionMember.collection_id).where(CollectionMember.account_id == principal.account_id)
    return or_(
        Collection.account_id == principal.account_id,
        Collection.everybody.is_(True),
        Collection.id.in_(shared),
    )


async def collection_for(
    session: AsyncSession, principal: Principal, collection_id: str, needed: Right = "read"
) -> tuple[Collection, Right]:
    """A collection, and what the principal may do with it.

    Raises:
        NotFound: there is none, or none that the principal may read.
        Forbidden: the principal may read it, but not what is needed.
    """
    collection = await session.scalar(
        select(Collection).where(Collection.id == collection_id, is_readable(principal))
    )
    if collection is None:
        raise NotFound("there is no such collection.")
    right: Right = "read"
    if collection.account_id == principal.account_id:
        right = "own"
    else:
        member = await session.get(CollectionMember, (collection_id, principal.account_id))
        if member is not None and member.role == MemberRole.WRITER:
            right = "write"
    if _RIGHTS.index(right) < _RIGHTS.index(needed):
        raise Forbidden("this collection is only shared with you.", fix="Ask its owner.")
    return collection, right


async def document_for(
    session: AsyncSession, principal: Principal, document_id: str, needed: Right = "read"
) -> StoredDocument:
    """A document of a collection with which the principal may do what is needed.

    Raises:
        NotFound: there is none, or none that the principal may read.
        Forbidden: the principal may read it, but not what is needed.
    """
    document = await session.scalar(
        select(StoredDocument)
        .join(Collection, Collection.id == StoredDocument.collection_id)
        .where(StoredDocument.id == document_id, is_readable(principal))
    )
    if document is None:
        raise NotFound("there is no such document.")
    if needed != "read":
        await collection_for(session, principal, document.collection_id, needed)
    return document
