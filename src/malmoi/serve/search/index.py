"""The full-text index of a database, whichever it is."""

import re
from collections.abc import Sequence
from typing import Literal, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from malmoi.serve.search.postgresql import PostgresqlTerms
from malmoi.serve.search.sqlite import SqliteTerms
from malmoi.serve.search.terms import PartTerms, QueryWord, Term


class Terms(Protocol):
    """The full-text index of one kind of database."""

    async def put(self, session: AsyncSession, parts: Sequence[PartTerms]) -> None:
        """Add parts."""
        ...

    async def add_morphemes(self, session: AsyncSession, part_id: int, morphemes: Sequence[str]) -> None:
        """Add the morphemes of a part that has none."""
        ...

    async def find(
        self, session: AsyncSession, scope: str, query: Sequence[QueryWord], limit: int
    ) -> list[tuple[int, float]]:
        """The parts that have every word, as `(id, score)`, best first."""
        ...

    async def find_any(
        self,
        session: AsyncSession,
        scopes: Sequence[str],
        exact: Sequence[Sequence[Term]],
        morphemes: Sequence[str],
        limit: int,
    ) -> list[tuple[int, float]]:
        """The parts that have any of the terms, as `(id, score)`, best first: for questions.

        Args:
            session: a transaction.
            scopes: a part must be of one of them.
            exact: runs of neighbouring terms of titles and texts, as `index_terms` makes them.
            morphemes: terms of the morphemes.
            limit: most parts.
        """
        ...

    async def tidy(self, session: AsyncSession) -> None:
        """Let go of what is left of deleted parts inside of the index."""
        ...


def open_terms(dialect: Literal["sqlite", "postgresql"], table: str) -> Terms:
    """The index in `table`.

    On SQLite that is an FTS5 table with the columns scope, title, morphemes and bigrams, whose rows go with
    their part by a trigger; on PostgreSQL a table `(id, terms tsvector)`, whose rows go by a foreign key.

    Args:
        dialect: of the database.
        table: a plain name.

    Raises:
        ValueError: the name is not a plain one.
    """
    if not re.fullmatch(r"[a-z][a-z_]*", table):
        raise ValueError(f"{table!r} is not the plain name of a table")
    return SqliteTerms(table) if dialect == "sqlite" else PostgresqlTerms(table)
