"""The documents of collections: uploaded, listed, read, deleted. What is uploaded waits for the indexer."""

import asyncio
import unicodedata
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, func, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import undefer

from malmoi.assist.retrieval.document import Document
from malmoi.core.errors import Conflict, InvalidInput, NotFound
from malmoi.serve.db import Database, new_id, utc_now
from malmoi.serve.documents.access import collection_for, document_for, is_readable
from malmoi.serve.documents.files import FileStore, Received
from malmoi.serve.documents.packing import unpack_document, unpack_text
from malmoi.serve.documents.tables import Collection, StoredDocument, StoredPassage
from malmoi.serve.documents.types import DocumentOut
from malmoi.serve.identity import Principal

_MOST_NAME = 255
_ASKED_AT_ONCE = 500
FINISHED = ("ready", "failed")
UNFINISHED = ("waiting", "parsing", "indexing")


@dataclass(frozen=True, slots=True)
class Original:
    """A file as it was uploaded."""

    path: Path
    name: str


class Library:
    """The documents of a server.

    Args:
        db: the database.
        files: the files as they were uploaded.
        most_bytes: of one file.
        on_work: called when there is work for the indexer.
        on_delete: called when something was deleted.
    """

    def __init__(
        self,
        db: Database,
        files: FileStore,
        *,
        most_bytes: int,
        on_work: Callable[[], None],
        on_delete: Callable[[], None],
    ) -> None:
        self._db = db
        self._files = files
        self._most_bytes = most_bytes
        self._on_work = on_work
        self._on_delete = on_delete

    async def add(
        self, principal: Principal, collection_id: str, name: str, chunks: AsyncIterator[bytes]
    ) -> tuple[StoredDocument, bool]:
        """Take a file in; it is indexed in the background.

        The same content is in a collection once: it is found, not doubled. A file with the name of an older
        one takes its place when its own index is ready.

        Args:
            principal: who uploads it.
            collection_id: where it belongs.
            name: as people call it; slashes may tell folders, and no path is ever made of it.
            chunks: the content.

        Returns:
            The document, and whether it is new.

        Raises:
            NotFound: there is no such collection.
            Forbidden: the principal may not add to it.
            InvalidInput: the name cannot be shown, or the file is empty.
            RequestRefused: the file is too large.
            DiskFull: there is no room.
        """
        name = parse_file_name(name)
        async with self._db.reading() as session:
            await collection_for(session, principal, collection_id, "write")
        received = await self._files.receive(chunks, self._most_bytes)
        try:
            self._files.keep(received)
            document, is_new = await self._insert(principal, collection_id, name, received)
            # Had another document of the same content been deleted meanwhile, the file would be gone with it.
            self._files.keep(received)
        finally:
            self._files.discard(received)
        self._on_work()
        return document, is_new

    async def page(
        self,
        principal: Principal,
        collection_id: str,
        *,
        cursor: str | None = None,
        limit: int = 50,
        unfinished: bool = False,
    ) -> tuple[Sequence[StoredDocument], str | None]:
        """Documents of a collection, newest first, and where the next page begins.

        Args:
            principal: who asks.
            collection_id: of which collection.
            cursor: of the page before.
            limit: most documents.
            unfinished: only those that are not ready and have not failed.

        Raises:
            NotFound: there is no such collection.
        """
        async with self._db.reading() as session:
            await collection_for(session, principal, collection_id)
            wanted = select(StoredDocument).where(StoredDocument.collection_id == collection_id)
            if unfinished:
                wanted = wanted.where(StoredDocument.status.in_(UNFINISHED))
            if cursor:
                wanted = wanted.where(StoredDocument.id < cursor)
            found = (await session.scalars(wanted.order_by(StoredDocument.id.desc()).limit(limit + 1))).all()
        more = len(found) > limit
        return found[:limit], found[limit - 1].id if more else None

    async def get(self, principal: Principal, document_id: str) -> StoredDocument:
        """One document.

        Raises:
            NotFound: there is none that the principal may read.
        """
        async with self._db.reading() as session:
            return await document_for(session, principal, document_id)

    async def readable(self, principal: Principal, document_ids: Iterable[str]) -> set[str]:
        """Those of some documents that are there and that the principal may read."""
        asked, found = list(document_ids), set[str]()
        async with self._db.reading() as session:
            for at in range(0, len(asked), _ASKED_AT_ONCE):
                rows = await session.scalars(
                    select(StoredDocument.id)
                    .join(Collection, Collection.id == StoredDocument.collection_id)
                    .where(StoredDocument.id.in_(asked[at : at + _ASKED_AT_ONCE]), is_readable(principal))
                )
                found.update(rows)
        return found

    async def read(self, principal: Principal, document_id: str) -> tuple[StoredDocument, Document]:
        """A document with its text and blocks.

        Raises:
            NotFound: there is none that the principal may read.
            Conflict: it is not read yet, or could not be.
        """
        async with self._db.reading() as session:
            row = await document_for(session, principal, document_id)
            await session.refresh(row, ["text", "parsed"])
        if row.text is None or row.parsed is None:
            raise Conflict(
                "this document could not be read."
                if row.status == "failed"
                else "this document is not read yet.",
                fix="Look at its error." if row.status == "failed" else "Try again in a moment.",
            )
        return row, await asyncio.to_thread(_unpacked, row.text, row.parsed)

    async def original(self, principal: Principal, document_id: str) -> Original:
        """The file as it was uploaded.

        Raises:
            NotFound: there is none that the principal may read.
        """
        async with self._db.reading() as session:
            row = await document_for(session, principal, document_id)
        return Original(self._files.path(row.sha256), row.name.rpartition("/")[2])

    async def delete(self, principal: Principal, document_id: str) -> None:
        """Delete a document with its passages, terms, vectors and file.

        Raises:
            NotFound: there is none that the principal may read.
            Forbidden: the principal may not delete it.
        """
        async with self._db.session() as session:
            row = await document_for(session, principal, document_id, "write")
            await remove_documents(session, [row])
        await self.forget([row.sha256])

    async def again(self, principal: Principal, document_id: str) -> StoredDocument:
        """Read and index a document anew.

        Raises:
            NotFound: there is none that the principal may read.
            Forbidden: the principal may not change it.
            Conflict: it is under way.
        """
        async with self._db.session() as session:
            row = await document_for(session, principal, document_id, "write")
            if row.status not in FINISHED:
                raise Conflict("this document is being indexed.", fix="Wait until it is ready.")
            await session.execute(delete(StoredPassage).where(StoredPassage.document_id == row.id))
            await mark_changed(session, [row.collection_id])
            _begin_again(row)
        self._on_work()
        return row

    async def again_all(self, principal: Principal, collection_id: str, *, only_failed: bool) -> int:
        """As `again`, for the finished documents of a collection; how many.

        Raises:
            NotFound: there is no such collection.
            Forbidden: the principal may not change it.
        """
        async with self._db.session() as session:
            await collection_for(session, principal, collection_id, "write")
            statuses = ("failed",) if only_failed else FINISHED
            rows = (
                await session.scalars(
                    select(StoredDocument).where(
                        StoredDocument.collection_id == collection_id, StoredDocument.status.in_(statuses)
                    )
                )
            ).all()
            for row in rows:
                await session.execute(delete(StoredPassage).where(StoredPassage.document_id == row.id))
                _begin_again(row)
            await mark_changed(session, [collection_id])
        self._on_work()
        return len(rows)

    async def forget(self, digests: Iterable[str]) -> None:
        """Delete files that no document has any more."""
        digests = set(digests)
        async with self._db.reading() as session:
            kept = set(
                await session.scalars(
                    select(StoredDocument.sha256).where(StoredDocument.sha256.in_(digests)).distinct()
                )
            )
        for digest in digests - kept:
            self._files.remove(digest)
        self._on_delete()

    async def _insert(
        self, principal: Principal, collection_id: str, name: str, received: Received
    ) -> tuple[StoredDocument, bool]:
        try:
            async with self._db.session() as session:
                await collection_for(session, principal, collection_id, "write")
                known = await _with_content(session, collection_id, received.sha256)
                if known is not None:
                    if known.status == "failed":
                        _begin_again(known)
                    return known, False
                same_name = (
                    StoredDocument.collection_id == collection_id,
                    StoredDocument.name == name,
                )
                version = await session.scalar(select(func.max(StoredDocument.version)).where(*same_name))
                answering = await session.scalar(
                    select(StoredDocument.id)
                    .where(*same_name, StoredDocument.pending.is_(False), StoredDocument.status != "failed")
                    .limit(1)
                )
                now = utc_now()
                document = StoredDocument(
                    id=new_id("doc"),
                    collection_id=collection_id,
                    name=name,
                    version=(version or 0) + 1,
                    pending=answering is not None,
                    sha256=received.sha256,
                    size=received.size,
                    status="waiting",
                    progress=0.0,
                    attempts=0,
                    error=None,
                    format="",
                    title="",
                    pages=None,
                    length=0,
                    remarks=[],
                    account_id=principal.account_id,
                    created_at=now,
                    updated_at=now,
                )
                session.add(document)
                await session.execute(
                    update(Collection).where(Collection.id == collection_id).values(updated_at=now)
                )
            return document, True
        except IntegrityError:
            # The same content was uploaded twice at the same moment: the other one is as good.
            async with self._db.reading() as session:
                await collection_for(session, principal, collection_id, "write")
                known = await _with_content(session, collection_id, received.sha256)
            if known is None:
                raise NotFound("there is no such collection.") from None
            return known, False


def parse_file_name(text: str) -> str:
    """A file's name in NFC; folders are told by slashes.

    Raises:
        InvalidInput: it is empty, too long, or has characters that cannot be seen.
    """
    parts = unicodedata.normalize("NFC", text).replace("\\", "/").split("/")
    name = "/".join(part.strip() for part in parts if part.strip() not in ("", ".", ".."))
    if not 1 <= len(name) <= _MOST_NAME or not name.isprintable():
        raise InvalidInput(f"a file's name has 1 to {_MOST_NAME} printable characters.", field="name")
    return name


def shown_document(row: StoredDocument) -> DocumentOut:
    """A document for its reader."""
    return DocumentOut.model_validate(
        {
            "id": row.id,
            "collection_id": row.collection_id,
            "name": row.name,
            "title": row.title,
            "version": row.version,
            "format": row.format,
            "size": row.size,
            "pages": row.pages,
            "length": row.length,
            "status": row.status,
            "progress": row.progress,
            "error": row.error,
            "remarks": row.remarks,
            "created_at": row.created_at,
            "updated_at": row.updated_at,
        }
    )


async def remove_documents(session: AsyncSession, rows: Sequence[StoredDocument]) -> None:
    """Delete documents with all that hangs on them; a waiting version of the same name needs not wait."""
    ids = [row.id for row in rows]
    names = [(row.collection_id, row.name) for row in rows]
    await session.execute(delete(StoredDocument).where(StoredDocument.id.in_(ids)))
    answered = select(StoredDocument.collection_id, StoredDocument.name).where(
        StoredDocument.pending.is_(False), StoredDocument.status != "failed"
    )
    own = tuple_(StoredDocument.collection_id, StoredDocument.name)
    still = {(home, name) for home, name in await session.execute(answered.where(own.in_(names)))}
    for collection_id, name in set(names) - still:
        await session.execute(
            update(StoredDocument)
            .where(StoredDocument.collection_id == collection_id, StoredDocument.name == name)
            .values(pending=False)
        )
    await mark_changed(session, {row.collection_id for row in rows})


async def mark_changed(session: AsyncSession, collection_ids: Iterable[str]) -> None:
    """Say that vectors of these collections have changed."""
    await session.execute(
        update(Collection)
        .where(Collection.id.in_(set(collection_ids)))
        .values(revision=Collection.revision + 1)
    )


async def load_text(session: AsyncSession, document_id: str) -> str:
    """The text of a document; empty when it is not read yet."""
    row = await session.get(StoredDocument, document_id, options=[undefer(StoredDocument.text)])
    return "" if row is None or row.text is None else await asyncio.to_thread(unpack_text, row.text)


def _begin_again(row: StoredDocument) -> None:
    row.status, row.progress, row.attempts, row.error = "waiting", 0.0, 0, None
    row.text = row.parsed = None
    row.updated_at = utc_now()


async def _with_content(session: AsyncSession, collection_id: str, sha256: str) -> StoredDocument | None:
    return (
        await session.scalars(
            select(StoredDocument).where(
                StoredDocument.collection_id == collection_id, StoredDocument.sha256 == sha256
            )
        )
    ).one_or_none()


def _unpacked(text: bytes, parsed: bytes) -> Document:
    return unpack_document(parsed, unpack_text(text))
