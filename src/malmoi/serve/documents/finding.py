"""Hybrid search: terms and vectors, what they find put into one order, and only what the principal may read.

Both rankings are made at the same time. Where no vectors are (no embedder, or they are not made yet) or no
morphemes, the rest answers alone: a search that finds less is better than none.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from sqlalchemy import and_, select
from sqlalchemy.orm import aliased

from malmoi.assist.retrieval.document import Passage
from malmoi.assist.retrieval.fusion import Fused, fuse
from malmoi.assist.retrieval.ordering import Candidate, Concept, features, weigh
from malmoi.core.errors import EngineError, NotFound
from malmoi.serve.documents.about import first_line, plain_name
from malmoi.serve.documents.access import is_readable
from malmoi.serve.documents.embedding import NoEmbedder
from malmoi.serve.documents.library import load_text
from malmoi.serve.documents.question import question_concepts, question_terms
from malmoi.serve.documents.tables import Collection, StoredDocument, StoredPassage
from malmoi.serve.documents.types import Hit, Order, Rerank

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from malmoi.core.morphemes import MorphemeAnalyzer
    from malmoi.serve.db import Database
    from malmoi.serve.documents.embedding import Embedding
    from malmoi.serve.documents.vectors import Vectors
    from malmoi.serve.identity import Principal
    from malmoi.serve.search import Terms

T = TypeVar("T")
_Found: TypeAlias = tuple[StoredPassage, str, str, str]
"""A passage, title and name of its document, and the passage that the document begins with."""

_LOG = logging.getLogger("malmoi.serve")
_DEPTH = 50  # of each ranking
_REORDERED = 100  # of each ranking, where all of them are put into order
_RERANKED = 20  # hits that a reranker is given at least
_WAIT = 3.0  # seconds a search waits for morphemes or the vector of its query
_MOST_MERGED = 2000  # characters of neighbours as one hit
# Chosen on the development half of the written questions (docs/documents.md).
_K = 10.0
WEIGHTS: Mapping[str, float] = {"terms": 1.0, "vectors": 0.7}


@dataclass(frozen=True, slots=True)
class Manner:
    """How a search ranks; the usual one is what evaluation has chosen.

    Attributes:
        orders: which rankings are made.
        weights: how much each of them counts.
        merge: whether neighbours that were found become one hit.
        reorder: whether what was found is put into order by its words (`assist.retrieval.ordering`); else
            the fused ranks are the order.
        rerank: whether a language model puts the first of them into order, where the settings name one.
    """

    orders: tuple[Order, ...] = ("terms", "vectors")
    weights: Mapping[str, float] | None = None
    merge: bool = True
    reorder: bool = True
    rerank: bool = True


@dataclass(frozen=True, slots=True)
class _Scope:
    """Where is searched: collections with their revisions, and documents; no documents: all."""

    collections: tuple[tuple[str, int], ...]
    documents: frozenset[str]


class Finder:
    """Searches documents.

    Args:
        db: the database.
        terms: the terms of passages.
        vectors: the vectors of passages.
        analyzer: for the morphemes of a query.
        embed: for the vector of a query.
    """

    def __init__(
        self,
        db: Database,
        terms: Terms,
        vectors: Vectors,
        analyzer: MorphemeAnalyzer,
        embed: Embedding,
    ) -> None:
        self._db = db
        self._terms = terms
        self._vectors = vectors
        self._analyzer = analyzer
        self._embed = embed
        self._running: set[asyncio.Task[Any]] = set()

    async def search(
        self,
        principal: Principal,
        query: str,
        *,
        collections: Sequence[str],
        documents: Sequence[str],
        limit: int,
        rerank: Rerank | None,
        manner: Manner,
    ) -> list[Hit]:
        """The best passages for a query, best first."""
        scope = await self._scope(principal, collections, documents)
        if not query.strip() or not scope.collections:
            return []
        depth = _REORDERED if manner.reorder else _DEPTH
        (by_terms, concepts), by_vectors = await asyncio.gather(
            self._by_terms(query, scope, depth) if "terms" in manner.orders else _no_terms(),
            self._by_vectors(query, scope, depth) if "vectors" in manner.orders else _nothing(),
        )
        weights: dict[str, float] = {**WEIGHTS, **(manner.weights or {})}
        rankings = {"terms": [one for one, _ in by_terms], "vectors": [one for one, _ in by_vectors]}
        fused = fuse(rankings, weights=weights, k=_K)
        async with self._db.reading() as session:
            found = await _load(session, [one.item for one in fused])
            fused = [one for one in fused if one.item in found]
            known: dict[int, dict[str, float]] = {}
            if manner.reorder and fused:
                fused, known = await asyncio.to_thread(
                    _reordered, fused, concepts, found, dict(by_terms), dict(by_vectors)
                )
            hits = await _hits(
                session, fused, found, known, max(limit, _RERANKED) if rerank else limit, merge=manner.merge
            )
        if rerank is not None and hits:
            hits = list(await rerank(query, hits))
        return hits[:limit]

    async def _scope(
        self, principal: Principal, collections: Sequence[str], documents: Sequence[str]
    ) -> _Scope:
        async with self._db.reading() as session:
            readable = select(Collection.id, Collection.revision).where(is_readable(principal))
            known = dict((await session.execute(readable)).all())
            chosen = set(collections) or set(known)
            if documents:
                rows = await session.execute(
                    select(StoredDocument.id, StoredDocument.collection_id).where(
                        StoredDocument.id.in_(documents), StoredDocument.collection_id.in_(known)
                    )
                )
                homes = dict(rows.all())
                if set(documents) - set(homes):
                    raise NotFound("there is no such document.")
                chosen &= set(homes.values())
        if set(collections) - set(known):
            raise NotFound("there is no such collection.")
        return _Scope(tuple((one, known[one]) for one in sorted(chosen)), frozenset(documents))

    async def _by_terms(
        self, query: str, scope: _Scope, depth: int
    ) -> tuple[list[tuple[int, float]], list[Concept]]:
        morphemes = await self._in_time(self._analyzer.analyze([query]))
        known = morphemes[0] if morphemes else ()
        exact, korean = question_terms(query, known)
        scopes = sorted(scope.documents) or [one for one, _ in scope.collections]
        async with self._db.reading() as session:
            found = await self._terms.find_any(session, scopes, exact, korean, depth)
        return found, question_concepts(query, known)

    async def _by_vectors(self, query: str, scope: _Scope, depth: int) -> list[tuple[int, float]]:
        try:
            vectors = await self._in_time(self._embed([query]))
        except (NoEmbedder, EngineError) as error:
            _LOG.debug("a search goes without vectors: %s", error)
            return []
        if vectors is None:
            return []
        label = self._embed.label(vectors.shape[1])
        async with self._db.reading() as session:
            return await self._vectors.search(
                session, scope.collections, label, vectors[0], depth, documents=scope.documents
            )

    async def _in_time(self, work: Coroutine[Any, Any, T]) -> T | None:
        """What `work` gives, or None when it takes too long; it goes on for the next search."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._forget)
        done, _ = await asyncio.wait([task], timeout=_WAIT)
        return task.result() if done else None

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may be left to be told


async def _nothing() -> list[tuple[int, float]]:
    return []


async def _no_terms() -> tuple[list[tuple[int, float]], list[Concept]]:
    return [], []


async def _load(session: AsyncSession, ids: Sequence[int]) -> dict[int, _Found]:
    first = aliased(StoredPassage)
    rows = await session.execute(
        select(StoredPassage, StoredDocument.title, StoredDocument.name, first.text)
        .join(StoredDocument, StoredDocument.id == StoredPassage.document_id)
        .join(first, and_(first.document_id == StoredPassage.document_id, first.number == 0))
        # A new version answers when its index is ready; until then the older one does.
        .where(StoredPassage.id.in_(ids), StoredDocument.pending.is_(False))
    )
    return {passage.id: (passage, title, name, beginning) for passage, title, name, beginning in rows}


def _reordered(
    fused: Sequence[Fused[int]],
    concepts: Sequence[Concept],
    found: Mapping[int, _Found],
    terms: Mapping[int, float],
    vectors: Mapping[int, float],
) -> tuple[list[Fused[int]], dict[int, dict[str, float]]]:
    """All that was found, by all that is known of it; of equal ones the one that was better before.

    And what is known of each.
    """
    candidates = []
    for one in fused:
        passage, title, name, beginning = found[one.item]
        above = [title or first_line(beginning), *passage.headings, plain_name(name)]
        candidates.append(
            Candidate(
                passage.text,
                "\n".join(dict.fromkeys(above)),
                passage.document_id,
                terms=terms.get(one.item, 0.0),
                vectors=vectors.get(one.item),
            )
        )
    known = features(concepts, candidates)
    scored = [replace(one, score=score) for one, score in zip(fused, weigh(known), strict=True)]
    told = {
        one.item: {name: float(values[place]) for name, values in known.items()}
        for place, one in enumerate(fused)
    }
    return sorted(scored, key=lambda one: -one.score), told


async def _hits(
    session: AsyncSession,
    fused: Sequence[Fused[int]],
    found: Mapping[int, _Found],
    known: Mapping[int, Mapping[str, float]],
    limit: int,
    *,
    merge: bool,
) -> list[Hit]:
    hits: list[tuple[Hit, tuple[int, int]]] = []
    for one in fused[: 2 * limit if merge else limit]:
        passage, title, name, _ = found[one.item]
        hit = replace(_hit(passage, title, name, one), features=known.get(one.item, {}))
        hits.append((hit, (passage.number, passage.number)))
    if not merge:
        return [hit for hit, _ in hits]
    merged = []
    for hit in _merged(hits, limit):
        if hit.text:
            merged.append(hit)
        else:
            text = await load_text(session, hit.document_id)
            merged.append(replace(hit, text=text[hit.passage.start : hit.passage.end]))
    return merged


def _hit(passage: StoredPassage, title: str, name: str, fused: Fused[int]) -> Hit:
    return Hit(
        document_id=passage.document_id,
        collection_id=passage.collection_id,
        title=title or name,
        passage=Passage(passage.start, passage.end, tuple(passage.headings), passage.page, passage.place),
        text=passage.text,
        score=fused.score,
        ranks=fused.ranks,
        name=name,
    )


def _merged(hits: Sequence[tuple[Hit, tuple[int, int]]], limit: int) -> list[Hit]:
    """At most `limit` hits; one beside a better one of the same document joins it, and loses its text."""
    kept: list[tuple[Hit, tuple[int, int]]] = []
    for hit, (first, last) in hits:
        for place, (better, (a, b)) in enumerate(kept):
            if better.document_id != hit.document_id or not (last + 1 == a or b + 1 == first):
                continue
            start = min(better.passage.start, hit.passage.start)
            end = max(better.passage.end, hit.passage.end)
            if end - start <= _MOST_MERGED:
                outer = better.passage if better.passage.start == start else hit.passage
                ranks = {
                    name: min(side[name] for side in (better.ranks, hit.ranks) if name in side)
                    for name in {*better.ranks, *hit.ranks}
                }
                joined = replace(better, passage=replace(outer, start=start, end=end), text="", ranks=ranks)
                kept[place] = (joined, (min(a, first), max(b, last)))
                break
        else:
            if len(kept) < limit:
                kept.append((hit, (first, last)))
    return [hit for hit, _ in kept]
