"""The terms on PostgreSQL: a `tsvector` made of the same terms, with a GIN index."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from malmoi.apps.chat.search.terms import PartTerms, QueryWord, Term

# Labels: A title, B morphemes, C bigrams, D the account; their weights stand in the order D, C, B, A.
_FIND = text(
    "SELECT id, ts_rank('{0, 0.125, 0.25, 1}', terms, CAST(:query AS tsquery)) AS score "
    "FROM chat_search_terms WHERE terms @@ CAST(:query AS tsquery) ORDER BY score DESC, id DESC LIMIT :limit"
)
_PUT = text("INSERT INTO chat_search_terms (id, terms) VALUES (:id, CAST(:terms AS tsvector))")
# Concatenation moves the positions of the second vector behind those of the first.
_ADD = text("UPDATE chat_search_terms SET terms = terms || CAST(:terms AS tsvector) WHERE id = :id")


class PostgresqlTerms:
    """Reads and writes `chat_search_terms`; rows go with their part, by a foreign key."""

    async def put(self, session: AsyncSession, parts: Sequence[PartTerms]) -> None:
        """Add parts."""
        rows = []
        for part in parts:
            vector = f"{_quoted('@' + part.scope)} {_vector(part.terms, 'A' if part.is_title else 'C')}"
            rows.append({"id": part.id, "terms": vector})
        await session.execute(_PUT, rows)

    async def add_morphemes(self, session: AsyncSession, part_id: int, morphemes: Sequence[str]) -> None:
        """Add the morphemes of a part that has none."""
        await session.execute(_ADD, {"id": part_id, "terms": _vector(morphemes, "B")})

    async def find(
        self, session: AsyncSession, scope: str, query: Sequence[QueryWord], limit: int
    ) -> list[tuple[int, float]]:
        """The best parts as `(id, score)`, best first."""
        rows = await session.execute(_FIND, {"query": match_expression(scope, query), "limit": limit})
        return [(row.id, row.score) for row in rows]


def match_expression(scope: str, query: Sequence[QueryWord]) -> str:
    """The query in the language of `tsquery`; every term is a quoted string in it."""
    return " & ".join([_quoted("@" + scope), *(f"({_word(word)})" for word in query)])


def _word(word: QueryWord) -> str:
    exact = " & ".join(f"({_phrase(phrase, 'AC')})" for phrase in word.phrases)
    if not word.morphemes:
        return exact
    morphemes = _phrase([Term(morpheme) for morpheme in word.morphemes], "B")
    return f"({exact}) | ({morphemes})"


def _phrase(terms: Sequence[Term], labels: str) -> str:
    return " <-> ".join(f"{_quoted(term.text)}:{'*' if term.is_prefix else ''}{labels}" for term in terms)


def _vector(terms: Sequence[str], label: str) -> str:
    return " ".join(f"{_quoted(term)}:{place}{label}" for place, term in enumerate(terms, start=1))


def _quoted(term: str) -> str:
    return "'" + term.replace("\\", "\\\\").replace("'", "''") + "'"
