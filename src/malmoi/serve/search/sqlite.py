"""The terms on SQLite: an FTS5 table, ranked by bm25."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from malmoi.serve.search.terms import PartTerms, QueryWord, Term

# TERMS stands for the table. Weights are those of the columns scope, title, morphemes, bigrams; bm25 gives
# lower numbers to better matches.
_FIND = (
    "SELECT rowid AS id, -bm25(TERMS, 0.0, 8.0, 2.0, 1.0) AS score FROM TERMS "
    "WHERE TERMS MATCH :query ORDER BY score DESC, rowid DESC LIMIT :limit"
)
_FIND_ANY = (
    "SELECT rowid AS id, -bm25(TERMS, 0.0, 0.5, 2.0, 1.0) AS score FROM TERMS "
    "WHERE TERMS MATCH :query ORDER BY score DESC, rowid LIMIT :limit"
)
_PUT = (
    "INSERT INTO TERMS (rowid, scope, title, morphemes, bigrams) VALUES (:id, :scope, :title, '', :bigrams)"
)
_ADD = "UPDATE TERMS SET morphemes = :morphemes WHERE rowid = :id"
_TIDY = "INSERT INTO TERMS (TERMS) VALUES ('optimize')"


class SqliteTerms:
    """Reads and writes one table of terms; rows go with their part, by a trigger.

    Args:
        table: its name.
    """

    def __init__(self, table: str) -> None:
        self._find = text(_FIND.replace("TERMS", table))
        self._find_any = text(_FIND_ANY.replace("TERMS", table))
        self._put = text(_PUT.replace("TERMS", table))
        self._add = text(_ADD.replace("TERMS", table))
        self._tidy = text(_TIDY.replace("TERMS", table))

    async def put(self, session: AsyncSession, parts: Sequence[PartTerms]) -> None:
        """Add parts."""
        rows = [
            {
                "id": part.id,
                "scope": part.scope,
                "title": " ".join(part.terms if part.is_title else part.title),
                "bigrams": "" if part.is_title else " ".join(part.terms),
            }
            for part in parts
        ]
        if rows:
            await session.execute(self._put, rows)

    async def add_morphemes(self, session: AsyncSession, part_id: int, morphemes: Sequence[str]) -> None:
        """Add the morphemes of a part that has none."""
        await session.execute(self._add, {"id": part_id, "morphemes": " ".join(morphemes)})

    async def find(
        self, session: AsyncSession, scope: str, query: Sequence[QueryWord], limit: int
    ) -> list[tuple[int, float]]:
        """The parts that have every word, as `(id, score)`, best first."""
        rows = await session.execute(self._find, {"query": match_expression(scope, query), "limit": limit})
        return [(row.id, row.score) for row in rows]

    async def find_any(
        self,
        session: AsyncSession,
        scopes: Sequence[str],
        exact: Sequence[Sequence[Term]],
        morphemes: Sequence[str],
        limit: int,
    ) -> list[tuple[int, float]]:
        """The parts that have any of the terms, as `(id, score)`, best first."""
        if not scopes or not (exact or morphemes):
            return []
        query = any_expression(scopes, exact, morphemes)
        rows = await session.execute(self._find_any, {"query": query, "limit": limit})
        return [(row.id, row.score) for row in rows]

    async def tidy(self, session: AsyncSession) -> None:
        """Let go of what is left of deleted parts: FTS5 only marks them until its pieces are merged."""
        await session.execute(self._tidy)


def match_expression(scope: str, query: Sequence[QueryWord]) -> str:
    """The query in FTS5's language; every term is a quoted string in it."""
    return " AND ".join([f"scope : {_quoted(scope)}", *(f"({_word(word)})" for word in query)])


def any_expression(scopes: Sequence[str], exact: Sequence[Sequence[Term]], morphemes: Sequence[str]) -> str:
    """As `match_expression`, for parts of some scopes that have any of the terms."""
    wanted = [f"{{title bigrams}} : {_phrase(phrase)}" for phrase in exact]
    wanted += [f"morphemes : {_quoted(morpheme)}" for morpheme in morphemes]
    allowed = " OR ".join(f"scope : {_quoted(scope)}" for scope in scopes)
    return f"({allowed}) AND ({' OR '.join(wanted)})"


def _word(word: QueryWord) -> str:
    exact = " AND ".join(f"{{title bigrams}} : {_phrase(phrase)}" for phrase in word.phrases)
    if not word.morphemes:
        return exact
    return f"({exact}) OR (morphemes : {_quoted(' '.join(word.morphemes))})"


def _phrase(terms: Sequence[Term]) -> str:
    star = " *" if terms[-1].is_prefix else ""
    return _quoted(" ".join(term.text for term in terms)) + star


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
