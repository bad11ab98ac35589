"""The terms on SQLite: an FTS5 table, ranked by bm25."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from malmoi.apps.chat.search.terms import PartTerms, QueryWord, Term

# Weights of the columns scope, title, morphemes, bigrams. bm25 gives lower numbers to better matches.
_FIND = text(
    "SELECT rowid AS id, -bm25(chat_search_terms, 0.0, 8.0, 2.0, 1.0) AS score FROM chat_search_terms "
    "WHERE chat_search_terms MATCH :query ORDER BY score DESC, rowid DESC LIMIT :limit"
)
_PUT = text(
    "INSERT INTO chat_search_terms (rowid, scope, title, morphemes, bigrams) "
    "VALUES (:id, :scope, :title, '', :bigrams)"
)
_ADD = text("UPDATE chat_search_terms SET morphemes = :morphemes WHERE rowid = :id")


class SqliteTerms:
    """Reads and writes `chat_search_terms`; rows go with their part, by a trigger."""

    async def put(self, session: AsyncSession, parts: Sequence[PartTerms]) -> None:
        """Add parts."""
        rows = []
        for part in parts:
            joined = " ".join(part.terms)
            title, bigrams = (joined, "") if part.is_title else ("", joined)
            rows.append({"id": part.id, "scope": part.scope, "title": title, "bigrams": bigrams})
        await session.execute(_PUT, rows)

    async def add_morphemes(self, session: AsyncSession, part_id: int, morphemes: Sequence[str]) -> None:
        """Add the morphemes of a part that has none."""
        await session.execute(_ADD, {"id": part_id, "morphemes": " ".join(morphemes)})

    async def find(
        self, session: AsyncSession, scope: str, query: Sequence[QueryWord], limit: int
    ) -> list[tuple[int, float]]:
        """The best parts as `(id, score)`, best first."""
        rows = await session.execute(_FIND, {"query": match_expression(scope, query), "limit": limit})
        return [(row.id, row.score) for row in rows]


def match_expression(scope: str, query: Sequence[QueryWord]) -> str:
    """The query in FTS5's language; every term is a quoted string in it."""
    return " AND ".join([f"scope : {_quoted(scope)}", *(f"({_word(word)})" for word in query)])


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
