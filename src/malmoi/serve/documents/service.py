"""Documents: the parts put together, for the server's routes and for all apps."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from malmoi.core.morphemes import MorphemeAnalyzer
from malmoi.serve.documents.collections import Collections
from malmoi.serve.documents.embedding import Embedding, alike_embedder, passage_texts, search_embedder
from malmoi.serve.documents.files import FileStore
from malmoi.serve.documents.finding import Finder, Manner
from malmoi.serve.documents.indexing import Indexer
from malmoi.serve.documents.library import Library
from malmoi.serve.documents.reranking import Reranker
from malmoi.serve.documents.steps import Parse, Split, Texts, Tools
from malmoi.serve.documents.tables import Collection, StoredDocument
from malmoi.serve.documents.types import Hit, Rerank
from malmoi.serve.documents.vectors import Vectors
from malmoi.serve.search import open_terms

if TYPE_CHECKING:
    from malmoi.assist.retrieval.document import Document, Passage
    from malmoi.serve.db import Database
    from malmoi.serve.engines import EnginePool
    from malmoi.serve.identity import Principal
    from malmoi.serve.settings import DocumentSettings

USUAL = Manner()
_LOG_TRIES = 10  # of a second each, at most


class Documents:
    """The documents of one server.

    Args:
        db: the database.
        engines: the models of the server; one of them embeds.
        settings: sizes, and which model embeds.
        home: Malmoi's home; files lie in `documents` under it.
        analyzer: for morphemes; None: one of its own.
        parse: makes a document of a file; None: `parse_file`.
        split: cuts a document into passages; None: `split_passages`.
        texts: what is embedded of a passage; None: `passage_texts`.

    Attributes:
        collections: made, shared, deleted.
        library: uploads, lists, texts.
        indexer: the work in the background.
        analyzer: the analyser of Korean; other rooms may use it too.
        embed_for_search: passages and questions to vectors that tell what answers what.
        embed: texts to vectors that tell how alike they are; by another model where there are two.
    """

    def __init__(
        self,
        db: Database,
        engines: EnginePool,
        settings: DocumentSettings,
        home: Path,
        *,
        analyzer: MorphemeAnalyzer | None = None,
        parse: Parse | None = None,
        split: Split | None = None,
        texts: Texts | None = None,
    ) -> None:
        folder = home / "documents"
        self.analyzer = analyzer or MorphemeAnalyzer()
        self.collections = Collections(db)
        self._db = db
        self._files = FileStore(folder)
        self._terms = open_terms(db.dialect, "document_terms")
        self._vectors = Vectors(db.dialect, settings.vector_cache_megabytes << 20)
        embed = self.embed_for_search = Embedding(engines, search_embedder(settings.embedder))
        self.embed = Embedding(engines, alike_embedder(settings.embedder))
        tools = Tools(
            db=db,
            files=self._files,
            terms=self._terms,
            analyzer=self.analyzer,
            embed=embed,
            vectors=self._vectors,
            parse=parse or _parse_file,
            split=split or _split_passages,
            texts=texts or passage_texts,
        )
        self.library = Library(
            db,
            self._files,
            most_bytes=settings.max_file_bytes,
            on_work=lambda: self.indexer.wake(),
            on_delete=lambda: self.indexer.wake(deleted=True),
        )
        self.indexer = Indexer(tools, folder / ".indexing.lock", forget=self.library.forget, tidy=self.tidy)
        self._rerank = (
            Reranker(engines, settings.reranker, settings.reranker_seconds) if settings.reranker else None
        )
        self._finder = Finder(db, self._terms, self._vectors, self.analyzer, embed)

    async def start(self) -> None:
        """Begin to index; the database is open and migrated."""
        await self.indexer.start()

    async def close(self) -> None:
        """End the work in the background; what is unfinished goes on at the next start."""
        await self.indexer.stop()
        await self.analyzer.close()

    async def search(
        self,
        principal: Principal,
        query: str,
        *,
        collections: Sequence[str] = (),
        documents: Sequence[str] = (),
        limit: int = 8,
        rerank: Rerank | None = None,
        manner: Manner = USUAL,
    ) -> list[Hit]:
        """The passages that answer a query best, best first.

        Args:
            principal: who asks; nothing that it may not read is found.
            query: a question or words.
            collections: only in these; empty: in all that the principal may read.
            documents: only in these.
            limit: most hits.
            rerank: puts the hits into a better order; None: the model of the settings, if there is one.
            manner: how is ranked.

        Raises:
            NotFound: a collection or document that is not there, or not for this principal.
        """
        return await self._finder.search(
            principal,
            query,
            collections=collections,
            documents=documents,
            limit=limit,
            rerank=rerank or (self._rerank if manner.rerank else None),
            manner=manner,
        )

    async def read(self, principal: Principal, document_id: str) -> Document:
        """A document as it was parsed.

        Raises:
            NotFound: there is none that the principal may read.
            Conflict: it is not read yet, or could not be.
        """
        _, document = await self.library.read(principal, document_id)
        return document

    async def where_vectors_are(self) -> str | None:
        """Where vectors are compared, and why, as a sentence; None: it is always in memory."""
        async with self._db.reading() as session:
            return await self._vectors.describe(session)

    async def delete_collection(self, principal: Principal, collection_id: str) -> None:
        """Delete a collection with all its documents and their files.

        Raises:
            NotFound: there is none that the principal may read.
            Forbidden: it is not the principal's.
        """
        digests = await self.collections.delete(principal, collection_id)
        self._vectors.drop([collection_id])
        await self.library.forget(digests)

    async def tidy(self, deleted: bool = True) -> None:
        """Take away what belongs to nobody any more: matrices, files, and traces inside of the index.

        Args:
            deleted: whether something was deleted since the last time.
        """
        async with self._db.reading() as session:
            known = frozenset(await session.scalars(select(Collection.id)))
            digests = set(await session.scalars(select(StoredDocument.sha256).distinct()))
        self._vectors.keep_only(known)
        await asyncio.to_thread(self._files.sweep, digests)
        if deleted:
            async with self._db.session() as session:
                await self._terms.tidy(session)
            if self._db.dialect == "sqlite":
                await asyncio.to_thread(_empty_log, str(self._db.url.database))


class DocumentsFor:
    """The documents of one principal, as skills may see them (`assist.skills.operation.Documents`)."""

    def __init__(self, documents: Documents, principal: Principal) -> None:
        self._documents = documents
        self._principal = principal

    async def text(self, document_id: str) -> str:
        """The text of a document.

        Raises:
            NotFound: there is none that the principal may read.
            Conflict: it is not read yet, or could not be.
        """
        return (await self._documents.read(self._principal, document_id)).text

    async def tables(self, document_id: str) -> Sequence[Sequence[Sequence[str]]]:
        """The tables of a document, each as rows of cells.

        Raises:
            NotFound: there is none that the principal may read.
            Conflict: it is not read yet, or could not be.
        """
        document = await self._documents.read(self._principal, document_id)
        return [block.rows for block in document.blocks if block.kind == "table" and block.rows]


async def _parse_file(content: bytes, *, name: str) -> Document:
    from malmoi.assist.retrieval.parsing import parse_file

    return await parse_file(content, name=name)


def _split_passages(document: Document) -> list[Passage]:
    from malmoi.assist.retrieval.passages import split_passages

    return split_passages(document)


def _empty_log(path: str) -> None:
    """Bring SQLite's log into the file and empty it: deleted rows would stay readable in it."""
    connection = sqlite3.connect(path, timeout=1.0)
    try:
        for _ in range(_LOG_TRIES):
            busy, *_rest = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:  # it does nothing while somebody reads for longer than the timeout
                return
    finally:
        connection.close()
