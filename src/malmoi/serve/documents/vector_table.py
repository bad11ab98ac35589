"""The vectors of passages in a type of PostgreSQL's extension pgvector, compared by the server.

What holds are the vectors in the passages' own rows. The table `document_vectors` has them once more, made
from those rows by who indexes, as soon as the extension is there; so a database may get the extension at any
time, and whoever drops the table loses nothing. Its column has no fixed size: vectors of several encoders lie
in it side by side while new ones are made, and only those of one are ever compared.

There is no index of nearest neighbours; a search compares all vectors of the collections that its principal
may read. Why, and how long that takes: docs/documents.md.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from malmoi.serve.documents.packing import unpack_vectors
from malmoi.serve.documents.tables import StoredPassage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy.ext.asyncio import AsyncSession

    from malmoi.serve.db import Database

_LOG = logging.getLogger("malmoi.serve")
_KINDS = ("halfvec", "vector")  # the first that the server has; halfvec since 0.7, with half the bytes
_MOST_SIZE = 16_000  # numbers in a vector that the extension takes
_COPIED_AT_ONCE = 500
_LOCK = text("SELECT pg_advisory_xact_lock(7093009345098445683)")  # of those who make the table

_STATE = text(
    "SELECT CAST(CAST(atttypid AS regtype) AS text) AS kind, "
    "coalesce(obj_description(attrelid, 'pg_class') = 'complete', false) AS is_complete "
    "FROM pg_attribute WHERE attrelid = to_regclass('document_vectors') AND attname = 'vector'"
)
_EXTENSION = text("SELECT installed_version FROM pg_available_extensions WHERE name = 'vector'")
# Vectors stay in their rows instead of beside the table: every search reads all of them.
_MAKE = (
    "DROP TABLE IF EXISTS document_vectors",  # whose column went with the extension
    "CREATE TABLE document_vectors ("
    "passage_id bigint NOT NULL REFERENCES document_passages(id) ON DELETE CASCADE, number integer NOT NULL, "
    "collection_id varchar(40) NOT NULL, document_id varchar(40) NOT NULL, embedder varchar(255) NOT NULL, "
    "vector {kind} NOT NULL, PRIMARY KEY (passage_id, number))",
    "ALTER TABLE document_vectors ALTER COLUMN vector SET STORAGE MAIN",
    "CREATE INDEX ix_document_vectors_collection_id_embedder ON document_vectors (collection_id, embedder)",
    "CREATE INDEX ix_document_vectors_number ON document_vectors (number) WHERE number > 0",
)
_MISSING = text(
    "SELECT id FROM document_passages AS passage WHERE id > :after AND vector_count > 0 "
    "AND length(vectors) <= 2 * :size * vector_count AND NOT EXISTS (SELECT FROM document_vectors AS own "
    "WHERE own.passage_id = passage.id AND own.embedder = passage.embedder) ORDER BY id LIMIT :limit"
)
_CLEAR = text("DELETE FROM document_vectors WHERE passage_id = ANY(:ids)")
_PUT = (
    "INSERT INTO document_vectors (passage_id, number, collection_id, document_id, embedder, vector) "
    "VALUES (:passage_id, :number, :collection_id, :document_id, :embedder, CAST(:vector AS {kind}))"
)
# In half precision the question is rounded too, which may exchange neighbours: twice as many as are wanted
# are compared once more. Subqueries are evaluated once, where an expression would be for each row; that of
# the limit is how many vectors a passage has at most, which an index tells.
_SEARCH = (
    "WITH near AS MATERIALIZED (SELECT passage_id, vector FROM document_vectors "
    "WHERE embedder = :embedder AND collection_id = ANY(:collections){documents} "
    "ORDER BY vector <#> (SELECT CAST(CAST(:query AS text) AS {kind})) LIMIT 2 * :limit * "
    "(SELECT coalesce(max(number), 0) + 1 FROM document_vectors WHERE number > 0)) "
    "SELECT passage_id, "
    "max(-(CAST(vector AS vector) <#> (SELECT CAST(CAST(:query AS text) AS vector)))) AS score "
    "FROM near GROUP BY passage_id ORDER BY score DESC, passage_id LIMIT :limit"
)
_OF_DOCUMENTS = " AND document_id = ANY(:documents)"


@dataclass(frozen=True, slots=True)
class _Table:
    """The table that is there.

    Attributes:
        kind: the type of its vectors.
        is_complete: whether it has the vectors of all passages.
    """

    kind: str
    is_complete: bool


async def prepare(db: Database) -> None:
    """Make the table where it is missing and can be made, and take in all vectors that it lacks.

    Searches use it from the moment on when it has everything.

    Raises:
        DBAPIError: the database refuses something else than the extension.
    """
    async with db.session() as session:
        await session.execute(_LOCK)
        if await _table(session) is None and not await _make(session):
            return
    # Making the reference to passages waits for whoever writes them; those who write them now see the table.
    after, copied = -1, 0
    while True:
        async with db.session() as session:
            ids = await _missing(session, after)
            await put(session, ids)
        if not ids:
            break
        after, copied = ids[-1], copied + len(ids)
    async with db.session() as session:
        table = await _table(session)
        if table is not None and not table.is_complete:
            await session.execute(text("COMMENT ON TABLE document_vectors IS 'complete'"))
        if copied:
            await session.execute(text("ANALYZE document_vectors"))


async def describe(session: AsyncSession) -> str:
    """Where vectors are compared, and why, as a sentence."""
    table = await _table(session)
    version = (await session.execute(_EXTENSION)).first()
    if table is not None and table.is_complete and version is not None:
        return f"vectors are compared by pgvector {version.installed_version} ({table.kind})."
    if version is None:
        why = "this PostgreSQL server does not have the extension vector (pgvector)"
    elif version.installed_version is None:
        why = "the extension vector is not in this database (a superuser may CREATE EXTENSION vector)"
    elif await _visible_kind(session) is None:
        why = "the extension vector is in a schema that search_path does not name"
    else:
        why = "the table of pgvector is not complete yet"
    return f"vectors are compared in memory: {why}."


async def put(session: AsyncSession, ids: Sequence[int]) -> None:
    """Take in the vectors of passages, in place of what was here of them; nothing without the table.

    Args:
        session: a transaction that may write.
        ids: of the passages.
    """
    table = await _table(session)
    if table is None or not ids:
        return
    wanted = select(
        StoredPassage.id,
        StoredPassage.collection_id,
        StoredPassage.document_id,
        StoredPassage.embedder,
        StoredPassage.vector_count,
        StoredPassage.vectors,
    ).where(StoredPassage.id.in_(ids), StoredPassage.vector_count > 0)
    # Nobody deletes or changes them until they are here as well.
    found = (await session.execute(wanted.with_for_update(key_share=True))).all()
    rows = await asyncio.to_thread(_rows, found)
    await session.execute(_CLEAR, {"ids": list(ids)})
    if rows:
        await session.execute(text(_PUT.format(kind=table.kind)), rows)


async def search(
    session: AsyncSession,
    collections: Sequence[str],
    embedder: str,
    query: NDArray[np.float32],
    limit: int,
    *,
    documents: frozenset[str] = frozenset(),
) -> list[tuple[int, float]] | None:
    """The passages whose best vector is nearest to the query, as `(id, cosine)`, best first.

    Args:
        session: a transaction.
        collections: ids.
        embedder: only vectors of this model are compared.
        query: (D,) a unit vector.
        limit: most passages.
        documents: only passages of these; empty: of all.

    Returns:
        None: there is no such table, or not all vectors are in it.
    """
    table = await _table(session)
    if table is None or not table.is_complete or query.size > _MOST_SIZE:
        return None
    statement = _SEARCH.format(kind=table.kind, documents=_OF_DOCUMENTS if documents else "")
    given: dict[str, Any] = {
        "query": _written(query),
        "embedder": embedder,
        "collections": list(collections),
        "limit": limit,
    }
    if documents:
        given["documents"] = sorted(documents)
    return [(row.passage_id, row.score) for row in await session.execute(text(statement), given)]


async def _table(session: AsyncSession) -> _Table | None:
    """The table; None: there is none, or the type of its vectors cannot be named."""
    found = (await session.execute(_STATE)).first()
    return None if found is None or found.kind not in _KINDS else _Table(found.kind, found.is_complete)


async def _make(session: AsyncSession) -> bool:
    """Make the table, and the extension if this role may; whether it is there."""
    found = (await session.execute(_EXTENSION)).first()
    if found is None:
        return False
    if found.installed_version is None:
        try:
            async with session.begin_nested():
                await session.execute(text("CREATE EXTENSION vector"))
        except DBAPIError as error:
            _LOG.warning("documents: this role cannot create the extension vector: %s", error.orig)
            return False
    kind = await _visible_kind(session)
    if kind is None:
        return False
    for statement in _MAKE:
        await session.execute(text(statement.format(kind=kind)))
    return True


async def _visible_kind(session: AsyncSession) -> str | None:
    for kind in _KINDS:
        if await session.scalar(text("SELECT to_regtype(:kind) IS NOT NULL"), {"kind": kind}):
            return kind
    return None


async def _missing(session: AsyncSession, after: int) -> list[int]:
    given = {"after": after, "size": _MOST_SIZE, "limit": _COPIED_AT_ONCE}
    return list(await session.scalars(_MISSING, given))


def _rows(found: Sequence[Any]) -> list[dict[str, Any]]:
    return [
        {
            "passage_id": row.id,
            "number": number,
            "collection_id": row.collection_id,
            "document_id": row.document_id,
            "embedder": row.embedder,
            "vector": _written(vector),
        }
        for row in found
        for number, vector in enumerate(unpack_vectors(row.vectors, row.vector_count))
    ]


def _written(vector: NDArray[np.float32]) -> str:
    return json.dumps(vector.tolist())
