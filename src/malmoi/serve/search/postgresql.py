"""The terms on PostgreSQL: a `tsvector` made of the same terms, with a GIN index."""

from collections.abc import Sequence
from math import log

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from malmoi.serve.search.terms import PartTerms, QueryWord, Term

# TERMS stands for the table. Labels: A title, B morphemes, C bigrams, D the scope; their weights stand in
# the order D, C, B, A.
_FIND = (
    "SELECT id, ts_rank('{0, 0.125, 0.25, 1}', terms, CAST(:query AS tsquery)) AS score FROM TERMS "
    "WHERE terms @@ CAST(:query AS tsquery) ORDER BY score DESC, id DESC LIMIT :limit"
)
# ts_rank knows nothing of how rare a term is, so each term is looked up and weighed by itself.
_COUNT = (
    "SELECT number, (SELECT count(*) FROM TERMS WHERE terms @@ CAST(one AS tsquery)) AS found "
    "FROM unnest(CAST(:queries AS text[])) WITH ORDINALITY AS asked(one, number)"
)
# The last argument of ts_rank, 1: a long text counts less.
_FIND_ANY = (
    "SELECT id, sum(weight * ts_rank('{0, 0.5, 1, 0.25}', terms, CAST(one AS tsquery), 1)) AS score "
    "FROM unnest(CAST(:queries AS text[]), CAST(:weights AS float8[])) AS asked(one, weight) "
    "JOIN TERMS ON terms @@ CAST(one AS tsquery) GROUP BY id ORDER BY score DESC, id LIMIT :limit"
)
_PUT = "INSERT INTO TERMS (id, terms) VALUES (:id, CAST(:terms AS tsvector))"
# Concatenation moves the positions of the second vector behind those of the first.
_ADD = "UPDATE TERMS SET terms = terms || CAST(:terms AS tsvector) WHERE id = :id"


class PostgresqlTerms:
    """Reads and writes one table of terms; rows go with their part, by a foreign key.

    Args:
        table: its name.
    """

    def __init__(self, table: str) -> None:
        self._find = text(_FIND.replace("TERMS", table))
        self._count = text(_COUNT.replace("TERMS", table))
        self._find_any = text(_FIND_ANY.replace("TERMS", table))
        self._put = text(_PUT.replace("TERMS", table))
        self._add = text(_ADD.replace("TERMS", table))

    async def put(self, session: AsyncSession, parts: Sequence[PartTerms]) -> None:
        """Add parts."""
        rows = []
        for part in parts:
            scopes = " ".join(_quoted("@" + scope) for scope in part.scope.split())
            terms = (
                f"{scopes} {_vector(part.title, 'A')} {_vector(part.terms, 'A' if part.is_title else 'C')}"
            )
            rows.append({"id": part.id, "terms": terms})
        if rows:
            await session.execute(self._put, rows)

    async def add_morphemes(self, session: AsyncSession, part_id: int, morphemes: Sequence[str]) -> None:
        """Add the morphemes of a part that has none."""
        await session.execute(self._add, {"id": part_id, "terms": _vector(morphemes, "B")})

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
        allowed = " | ".join(_quoted("@" + scope) for scope in scopes)
        wanted = [_phrase(phrase, "AC") for phrase in exact]
        wanted += [_phrase([Term(morpheme)], "B") for morpheme in morphemes]
        queries = [f"({allowed}) & {one}" for one in wanted]
        counted = await session.execute(self._count, {"queries": [f"({allowed})", *queries]})
        found = {row.number: row.found for row in counted}
        known = [(query, found[number]) for number, query in enumerate(queries, start=2) if found[number]]
        if not known:
            return []
        rows = await session.execute(
            self._find_any,
            {
                "queries": [query for query, _ in known],
                "weights": [log(1 + (found[1] - count + 0.5) / (count + 0.5)) for _, count in known],
                "limit": limit,
            },
        )
        return [(row.id, row.score) for row in rows]

    async def tidy(self, session: AsyncSession) -> None:
        """Nothing to do: the server's own cleaner takes deleted rows away."""


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


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
