"""How a file becomes passages, terms and vectors. Each step is saved; what is done is not done again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from sqlalchemy import ColumnElement, not_, or_, select, update

from malmoi.assist.retrieval.document import Document, Passage
from malmoi.serve.documents.embedding import NoEmbedder
from malmoi.serve.documents.library import mark_changed
from malmoi.serve.documents.packing import (
    pack_document,
    pack_text,
    pack_vectors,
    unpack_document,
    unpack_text,
)
from malmoi.serve.documents.tables import StoredDocument, StoredPassage
from malmoi.serve.search import PartTerms, Terms, index_terms

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from malmoi.core.morphemes import MorphemeAnalyzer
    from malmoi.serve.db import Database
    from malmoi.serve.documents.embedding import Embedding
    from malmoi.serve.documents.files import FileStore
    from malmoi.serve.documents.vectors import Vectors

Parse: TypeAlias = Callable[..., Awaitable[Document]]
Split: TypeAlias = Callable[[Document], list[Passage]]
Texts: TypeAlias = Callable[[Passage, str, str], list[str]]
"""A passage, its words and its document's title -> the texts whose vectors stand for it."""

_LOG = logging.getLogger("malmoi.serve")
_ANALYSED_AT_ONCE = 16  # passages; a search waits for one such piece at most
_EMBEDDED_AT_ONCE = 32
_SHOWN_EVERY = 4  # pieces after which searches may take new vectors in
_PUT_AT_ONCE = 500
_MOST_TERMS = 8000  # of one passage; PostgreSQL counts no more than 16,383 positions
# How far a document is when a step begins.
_PUTTING, _ANALYSING, _EMBEDDING = 0.3, 0.35, 0.5


@dataclass(frozen=True, slots=True)
class Tools:
    """What the indexer works with.

    Attributes:
        db: the database.
        files: the files as they were uploaded.
        terms: the terms of passages.
        analyzer: for morphemes.
        embed: for vectors.
        vectors: where they are searched.
        parse: makes a document of a file.
        split: cuts a document into passages.
        texts: what is embedded of a passage.
    """

    db: Database
    files: FileStore
    terms: Terms
    analyzer: MorphemeAnalyzer
    embed: Embedding
    vectors: Vectors
    parse: Parse
    split: Split
    texts: Texts


class Gone(Exception):
    """The document was deleted while it was indexed."""


class Steps:
    """What is done with one document.

    Args:
        tools: what it is done with.
    """

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def set(self, document_id: str, **values: object) -> None:
        """Change columns of a document."""
        async with self._tools.db.session() as session:
            await session.execute(
                update(StoredDocument).where(StoredDocument.id == document_id).values(**values)
            )

    async def parse(self, row: StoredDocument) -> Document:
        """The document of a file, read now or before."""
        if row.parsed is not None and row.text is not None:
            return await asyncio.to_thread(_unpack, row.parsed, row.text)
        content = await asyncio.to_thread(self._tools.files.read, row.sha256)
        document = await self._tools.parse(content, name=row.name.rpartition("/")[2])
        packed, text = await asyncio.to_thread(_pack, document)
        await self.set(
            row.id,
            format=document.format[:16],
            title=document.title,
            pages=document.pages,
            length=len(document.text),
            remarks=list(document.remarks),
            parsed=packed,
            text=text,
            status="indexing",
            progress=_PUTTING,
        )
        return document

    async def put_passages(self, row: StoredDocument, document: Document) -> None:
        """Passages with their words, all at once: from here on the document is found."""
        async with self._tools.db.reading() as session:
            known = await session.scalar(
                select(StoredPassage.id).where(StoredPassage.document_id == row.id).limit(1)
            )
        if known is not None:
            return
        passages = await asyncio.to_thread(self._tools.split, document)
        prepared = await asyncio.to_thread(_prepared, document, passages)
        async with self._tools.db.session() as session:
            await check_there(session, row.id)
            for start in range(0, len(passages), _PUT_AT_ONCE):
                added = [
                    StoredPassage(
                        document_id=row.id,
                        collection_id=row.collection_id,
                        number=number,
                        start=passage.start,
                        end=passage.end,
                        text=document.text[passage.start : passage.end],
                        headings=list(passage.headings),
                        page=passage.page,
                        place=passage.place,
                        analysed=False,
                        embedder=None,
                        vector_count=0,
                        vectors=None,
                    )
                    for number, passage in list(enumerate(passages))[start : start + _PUT_AT_ONCE]
                ]
                session.add_all(added)
                await session.flush()
                await self._tools.terms.put(
                    session,
                    [
                        PartTerms(
                            one.id,
                            f"{row.collection_id} {row.id}",
                            prepared[one.number][0],
                            title=prepared[one.number][1],
                        )
                        for one in added
                    ],
                )
                session.expunge_all()

    async def add_morphemes(self, row: StoredDocument, document: Document) -> None:
        """The morphemes of passages that have none; without an analyser they are found by their pairs."""
        if not self._can_analyse():
            return
        left, done = await self._left(row, StoredPassage.analysed.is_(False)), 0
        for start in range(0, len(left), _ANALYSED_AT_ONCE):
            batch = await self._load(left[start : start + _ANALYSED_AT_ONCE])
            texts = ["\n".join([*_above(document, one.headings), one.text]) for one in batch]
            found = await self._tools.analyzer.analyze(texts)
            if not self._can_analyse():
                return
            async with self._tools.db.session() as session:
                await check_there(session, row.id)
                for one, morphemes in zip(batch, found, strict=True):
                    await self._tools.terms.add_morphemes(session, one.id, morphemes[:_MOST_TERMS])
                await session.execute(
                    update(StoredPassage)
                    .where(StoredPassage.id.in_([one.id for one in batch]))
                    .values(analysed=True)
                )
                done += len(batch)
                await _set_progress(session, row.id, _ANALYSING, _EMBEDDING, done / len(left))

    async def add_vectors(self, row: StoredDocument, document: Document) -> None:
        """The vectors of passages that have none of this model; without one they are found by their words."""
        left = await self._left(row, lacks_vectors(self._tools.embed))
        for turn, start in enumerate(range(0, len(left), _EMBEDDED_AT_ONCE)):
            batch = await self._load(left[start : start + _EMBEDDED_AT_ONCE])
            texts = [
                self._tools.texts(
                    Passage(one.start, one.end, tuple(one.headings), one.page, one.place),
                    one.text,
                    document.title,
                )
                for one in batch
            ]
            try:
                vectors = await self._tools.embed([text for each in texts for text in each], role="passage")
            except NoEmbedder as error:
                _LOG.warning("documents are indexed without vectors: %s", error)
                return
            label = self._tools.embed.label(vectors.shape[1])
            async with self._tools.db.session() as session:
                await check_there(session, row.id)
                first = 0
                for one, each in zip(batch, texts, strict=True):
                    own = vectors[first : first + len(each)]
                    first += len(each)
                    await session.execute(
                        update(StoredPassage)
                        .where(StoredPassage.id == one.id)
                        .values(embedder=label, vector_count=len(each), vectors=pack_vectors(own))
                    )
                await self._tools.vectors.put(session, [one.id for one in batch])
                if turn % _SHOWN_EVERY == 0:
                    await mark_changed(session, [row.collection_id])
                done = min(1.0, (start + len(batch)) / len(left))
                await _set_progress(session, row.id, _EMBEDDING, 1.0, done)

    def _can_analyse(self) -> bool:
        return self._tools.analyzer.is_available

    async def _left(self, row: StoredDocument, condition: ColumnElement[bool]) -> list[int]:
        async with self._tools.db.reading() as session:
            wanted = select(StoredPassage.id).where(StoredPassage.document_id == row.id, condition)
            return list(await session.scalars(wanted.order_by(StoredPassage.number)))

    async def _load(self, ids: Sequence[int]) -> Sequence[StoredPassage]:
        async with self._tools.db.reading() as session:
            wanted = select(StoredPassage).where(StoredPassage.id.in_(ids)).order_by(StoredPassage.number)
            return (await session.scalars(wanted)).all()


def lacks_vectors(embed: Embedding) -> ColumnElement[bool]:
    """Whether a passage has no vectors of the model that embeds now: none, or those of another."""
    own = StoredPassage.embedder.startswith(f"{embed.name}:", autoescape=True)
    return or_(StoredPassage.embedder.is_(None), not_(own))


async def check_there(session: AsyncSession, document_id: str) -> None:
    """Lock a document's row, so that it cannot be deleted meanwhile.

    Raises:
        Gone: it was deleted before.
    """
    wanted = select(StoredDocument.id).where(StoredDocument.id == document_id).with_for_update()
    if await session.scalar(wanted) is None:
        raise Gone


async def _set_progress(
    session: AsyncSession, document_id: str, begin: float, end: float, done: float
) -> None:
    await session.execute(
        update(StoredDocument)
        .where(StoredDocument.id == document_id)
        .values(progress=round(begin + (end - begin) * done, 3))
    )


def _pack(document: Document) -> tuple[bytes, bytes]:
    return pack_document(document), pack_text(document.text)


def _unpack(parsed: bytes, text: bytes) -> Document:
    return unpack_document(parsed, unpack_text(text))


def _prepared(document: Document, passages: Sequence[Passage]) -> list[tuple[list[str], list[str]]]:
    """Of each passage the terms of its text, and those of the titles above it."""
    prepared = []
    for passage in passages:
        above = _above(document, passage.headings)
        terms = index_terms(document.text[passage.start : passage.end])
        prepared.append((terms[:_MOST_TERMS], index_terms("\n".join(above))[:_MOST_TERMS]))
    return prepared


def _above(document: Document, headings: Sequence[str]) -> list[str]:
    """The titles above a passage, each once."""
    return [title for title in dict.fromkeys([document.title, *headings]) if title]
