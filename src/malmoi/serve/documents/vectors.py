"""The vectors of passages: compared by the database where it can, else in this process.

PostgreSQL with the extension pgvector compares them itself (`vector_table`); otherwise, and on SQLite, they
are read into memory (`matrices`). Both compare a question with every vector, and find the same.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from sqlalchemy.exc import DBAPIError

from malmoi.serve.documents import vector_table
from malmoi.serve.documents.matrices import Matrices

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy.ext.asyncio import AsyncSession

    from malmoi.serve.db import Database

_LOG = logging.getLogger("malmoi.serve")


class Vectors:
    """Searches the vectors of passages.

    Args:
        dialect: of the database.
        most_bytes: of vectors in memory.
    """

    def __init__(self, dialect: Literal["sqlite", "postgresql"], most_bytes: int) -> None:
        self._matrices = Matrices(most_bytes)
        self._may_have_table = dialect == "postgresql"

    @property
    def bytes_held(self) -> int:
        """Of vectors in memory."""
        return self._matrices.bytes_held

    async def prepare(self, db: Database) -> None:
        """Have the database compare vectors from now on, if it can; the log tells."""
        if not self._may_have_table:
            return
        try:
            await vector_table.prepare(db)
            async with db.reading() as session:
                _LOG.info("documents: %s", await vector_table.describe(session))
        except DBAPIError as error:
            # Whatever the extension or its administrator refuses: memory is as good.
            _LOG.warning("documents: the table of pgvector cannot be made or filled: %s", error)

    async def describe(self, session: AsyncSession) -> str | None:
        """Where vectors are compared, and why, as a sentence; None: there is no choice."""
        return await vector_table.describe(session) if self._may_have_table else None

    async def put(self, session: AsyncSession, ids: Sequence[int]) -> None:
        """Take in the vectors of passages, which were written in this transaction.

        Args:
            session: a transaction that may write.
            ids: of the passages.
        """
        if self._may_have_table:
            await vector_table.put(session, ids)

    async def search(
        self,
        session: AsyncSession,
        collections: Sequence[tuple[str, int]],
        embedder: str,
        query: NDArray[np.float32],
        limit: int,
        *,
        documents: frozenset[str] = frozenset(),
    ) -> list[tuple[int, float]]:
        """The passages whose best vector is nearest to the query, as `(id, cosine)`, best first.

        Args:
            session: a transaction.
            collections: ids and revisions.
            embedder: only vectors of this model are compared.
            query: (D,) a unit vector.
            limit: most passages.
            documents: only passages of these; empty: of all.
        """
        if self._may_have_table:
            homes = [one for one, _ in collections]
            found = await vector_table.search(session, homes, embedder, query, limit, documents=documents)
            if found is not None:
                self._matrices.drop()
                return found
        return await self._matrices.search(session, collections, embedder, query, limit, documents=documents)

    def drop(self, collection_ids: Sequence[str] | None = None) -> None:
        """Let go of what is in memory of collections; None: of all."""
        self._matrices.drop(collection_ids)

    def keep_only(self, collection_ids: frozenset[str]) -> None:
        """Let go of what is in memory of all other collections: they are deleted."""
        self._matrices.keep_only(collection_ids)
