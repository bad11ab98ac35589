"""An index of an evaluation's own, in a folder that may be kept, and ways to search in it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from malmoi.core.errors import InvalidInput
from malmoi.serve.db import Database
from malmoi.serve.documents.evaluation.baseline import plain_pieces, plain_texts
from malmoi.serve.documents.evaluation.run import Way
from malmoi.serve.documents.finding import Manner
from malmoi.serve.documents.packing import unpack_text
from malmoi.serve.documents.service import Documents
from malmoi.serve.documents.tables import StoredDocument, StoredPassage
from malmoi.serve.documents.types import Hit, NewCollection

if TYPE_CHECKING:
    from malmoi.assist.retrieval.document import Document
    from malmoi.serve.documents.steps import Parse
    from malmoi.serve.engines import EnginePool
    from malmoi.serve.identity import Principal
    from malmoi.serve.settings import ServeSettings

_COLLECTION = "evaluation"
_AT_ONCE = 50  # documents
_TEXTS = (".txt", ".md")


@dataclass(frozen=True, slots=True)
class Index:
    """Documents that are indexed for an evaluation.

    Attributes:
        documents: the service.
        principal: whose they are.
        db: its database.
    """

    documents: Documents
    principal: Principal
    db: Database

    async def fill(self, corpus: Iterable[tuple[str, bytes]], on_done: Callable[[], None]) -> int:
        """Add what is not there yet, and index it; how many documents there are.

        Raises:
            InvalidInput: a document could not be read.
        """
        known = await self.documents.collections.all(self.principal)
        collection = (
            known[0]
            if known
            else await self.documents.collections.create(self.principal, NewCollection(name=_COLLECTION))
        )
        # Some at a time: the indexer tidies up at every end, which takes longer the more documents there are.
        rest = iter(corpus)
        while batch := list(islice(rest, _AT_ONCE)):
            for name, content in batch:
                await self.documents.library.add(self.principal, collection.id, name, _whole(content))
            await self.documents.indexer.finish()
            for _ in batch:
                on_done()
        async with self.db.reading() as session:
            rows = await session.execute(select(StoredDocument.name, StoredDocument.error))
            found = list(rows.all())
        failed = [f"{name}: {error['message']}" for name, error in found if error]
        if failed:
            raise InvalidInput(f"{len(failed)} documents could not be read, such as {failed[0]}")
        return len(found)

    async def texts(self) -> dict[str, str]:
        """The text of each document, by name."""
        async with self.db.reading() as session:
            rows = await session.execute(select(StoredDocument.name, StoredDocument.text))
            return {name: unpack_text(text) for name, text in rows if text is not None}

    async def by_content(self) -> dict[str, str]:
        """The id of each document by the digest of its file."""
        async with self.db.reading() as session:
            rows = await session.execute(select(StoredDocument.sha256, StoredDocument.id))
            return dict(rows.all())

    async def way(self, name: str, manner: Manner) -> Way:
        """A way of searching in this index."""
        async with self.db.reading() as session:
            rows = await session.execute(
                select(StoredDocument.name, StoredPassage.start, StoredPassage.end).join(
                    StoredDocument, StoredDocument.id == StoredPassage.document_id
                )
            )
            passages: dict[str, list[tuple[int, int]]] = {}
            for document, start, end in rows:
                passages.setdefault(document, []).append((start, end))

        async def search(question: str, limit: int) -> list[Hit]:
            return await self.documents.search(self.principal, question, limit=limit, manner=manner)

        return Way(name, search, passages)


@asynccontextmanager
async def open_index(
    folder: Path, settings: ServeSettings, engines: EnginePool, *, plain_of: Index | None = None
) -> AsyncIterator[Index]:
    """The index in a folder, made if it is not there.

    Args:
        folder: where it lies.
        settings: which model embeds.
        engines: the models.
        plain_of: cut and embed the documents of this index in the plain way (see `baseline`).
    """
    from malmoi.serve.identity import Identity

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    db = Database.open(f"sqlite:///{folder / 'malmoi.db'}")
    await db.migrate()
    identity = Identity(db, settings.model_copy(update={"home": folder}))
    await identity.start()
    principal = await identity.open_to()
    if principal is None:
        raise InvalidInput(f"{folder} holds the database of a server with accounts.", fix="Choose another.")
    if plain_of is None:
        documents = Documents(db, engines, settings.documents, folder, parse=_parse)
    else:
        documents = Documents(
            db,
            engines,
            settings.documents,
            folder,
            analyzer=plain_of.documents.analyzer,
            parse=await _parser_of(plain_of),
            split=plain_pieces,
            texts=plain_texts,
        )
    try:
        yield Index(documents, principal, db)
    finally:
        await documents.close()
        await identity.stop()
        await db.close()


async def _parse(content: bytes, *, name: str) -> Document:
    """As the server reads files, but plain texts in this process: a child for each takes most of the time."""
    from malmoi.assist.retrieval.parsing import ParseLimits, child, parse

    if not name.endswith(_TEXTS):
        return await parse.parse_file(content, name=name)
    limits = ParseLimits()
    told = child.read(base64.b64encode(content).decode(), name, asdict(limits))
    return parse.checked(told, name, limits)


async def _parser_of(index: Index) -> Parse:
    """What reads nothing itself: the documents were read before."""
    ids = await index.by_content()

    async def parse(content: bytes, *, name: str) -> Document:
        del name
        digest = hashlib.sha256(content).hexdigest()
        return await index.documents.read(index.principal, ids[digest])

    return parse


async def _whole(content: bytes) -> AsyncIterator[bytes]:
    yield content
