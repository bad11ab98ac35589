"""The vectors of collections in memory, and exact search among them.

A collection's vectors are one float32 matrix, read from the passages' rows at its first search and brought up
to date when the collection's revision has changed: what is new is read, what is gone is dropped. Matrices
that were not used for longest make room for others; one that is larger than all the room is searched in
pieces, straight from the rows.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import func, select

from malmoi.serve.documents.packing import unpack_vectors
from malmoi.serve.documents.tables import StoredPassage

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sqlalchemy.ext.asyncio import AsyncSession

_READ = 2000  # rows that are read at a time


@dataclass(frozen=True, slots=True)
class _Rows:
    """Passages and their vectors: R vectors of P passages, the vectors of a passage behind one another.

    Attributes:
        ids: (P,) of the passages, in order.
        documents: (P,) of what document each is.
        firsts: (P,) where the vectors of each begin.
        matrix: (R, D).
    """

    ids: NDArray[np.int64]
    documents: NDArray[np.object_]
    firsts: NDArray[np.int64]
    matrix: NDArray[np.float32]


@dataclass(slots=True)
class _Held:
    revision: int = -1
    rows: _Rows | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def size(self) -> int:
        return 0 if self.rows is None else self.rows.matrix.nbytes


class Matrices:
    """Searches the vectors of collections.

    Args:
        most_bytes: of all matrices together.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._held: OrderedDict[tuple[str, str], _Held] = OrderedDict()

    @property
    def bytes_held(self) -> int:
        """Of the matrices in memory."""
        return sum(held.size for held in self._held.values())

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
        found: list[tuple[int, float]] = []
        for collection_id, revision in collections:
            async for rows in self._rows(session, collection_id, revision, embedder):
                found += await asyncio.to_thread(_nearest, rows, query, limit, documents)
        return sorted(found, key=lambda one: (-one[1], one[0]))[:limit]

    def drop(self, collection_ids: Sequence[str] | None = None) -> None:
        """Let go of the matrices of collections; None: of all."""
        for key in list(self._held):
            if collection_ids is None or key[0] in collection_ids:
                del self._held[key]

    def keep_only(self, collection_ids: frozenset[str]) -> None:
        """Let go of the matrices of all other collections: they are deleted."""
        self.drop([key[0] for key in self._held if key[0] not in collection_ids])

    async def _rows(
        self, session: AsyncSession, collection_id: str, revision: int, embedder: str
    ) -> AsyncIterator[_Rows]:
        """The vectors of a collection, whole or in pieces."""
        key = (collection_id, embedder)
        held = self._held.setdefault(key, _Held())
        self._held.move_to_end(key)
        if held.revision < revision:
            async with held.lock:
                if held.revision < revision:
                    size = await _size(session, collection_id, embedder)
                    if size > self._most_bytes:
                        self._held.pop(key, None)
                        async for piece in _pieces(session, collection_id, embedder):
                            yield piece
                        return
                    held.rows = await _updated(session, collection_id, embedder, held.rows)
                    held.revision = revision
            self._make_room(key)
        if held.rows is not None and len(held.rows.ids):
            yield held.rows

    def _make_room(self, kept: tuple[str, str]) -> None:
        while self.bytes_held > self._most_bytes and len(self._held) > 1:
            oldest = next(key for key in self._held if key != kept)
            del self._held[oldest]


async def _size(session: AsyncSession, collection_id: str, embedder: str) -> int:
    """Bytes of a collection's matrix: float32 takes twice what is stored."""
    stored = await session.scalar(
        select(func.sum(func.length(StoredPassage.vectors))).where(
            StoredPassage.collection_id == collection_id, StoredPassage.embedder == embedder
        )
    )
    return 2 * int(stored or 0)


async def _updated(
    session: AsyncSession, collection_id: str, embedder: str, old: _Rows | None
) -> _Rows | None:
    """The vectors of now, of which those that were there before are not read again."""
    if old is None or not len(old.ids):
        pieces = [piece async for piece in _pieces(session, collection_id, embedder)]
        return await asyncio.to_thread(_joined, pieces)
    present = np.fromiter(
        await session.scalars(
            select(StoredPassage.id).where(
                StoredPassage.collection_id == collection_id, StoredPassage.embedder == embedder
            )
        ),
        dtype=np.int64,
    )
    left = await asyncio.to_thread(_without, old, present)
    missing = np.setdiff1d(present, old.ids)
    pieces = [left]
    for start in range(0, len(missing), _READ):
        pieces.append(await _read(session, missing[start : start + _READ].tolist()))
    return await asyncio.to_thread(_joined, pieces)


async def _pieces(session: AsyncSession, collection_id: str, embedder: str) -> AsyncIterator[_Rows]:
    last = -1
    while True:
        ids = list(
            await session.scalars(
                select(StoredPassage.id)
                .where(
                    StoredPassage.collection_id == collection_id,
                    StoredPassage.embedder == embedder,
                    StoredPassage.id > last,
                )
                .order_by(StoredPassage.id)
                .limit(_READ)
            )
        )
        if not ids:
            return
        last = ids[-1]
        yield await _read(session, ids)


async def _read(session: AsyncSession, ids: Sequence[int]) -> _Rows:
    wanted = select(
        StoredPassage.id, StoredPassage.document_id, StoredPassage.vector_count, StoredPassage.vectors
    )
    found = (
        await session.execute(
            wanted.where(StoredPassage.id.in_(ids), StoredPassage.vector_count > 0).order_by(StoredPassage.id)
        )
    ).all()
    vectors = [(row[0], row[1], row[2], row[3] or b"") for row in found]
    return await asyncio.to_thread(_decoded, vectors)


def _decoded(found: Sequence[tuple[int, str, int, bytes]]) -> _Rows:
    if not found:
        none = np.zeros(0, dtype=np.int64)
        return _Rows(none, np.zeros(0, dtype=object), none, np.zeros((0, 0), dtype=np.float32))
    counts = np.array([count for _, _, count, _ in found], dtype=np.int64)
    matrix = unpack_vectors(b"".join(vectors for _, _, _, vectors in found), int(counts.sum()))
    return _Rows(
        np.array([one for one, _, _, _ in found], dtype=np.int64),
        np.array([document for _, document, _, _ in found], dtype=object),
        np.cumsum(counts) - counts,
        matrix,
    )


def _joined(pieces: Sequence[_Rows]) -> _Rows | None:
    pieces = [piece for piece in pieces if len(piece.ids)]
    if not pieces:
        return None
    shifts = np.cumsum([0, *(len(piece.matrix) for piece in pieces[:-1])])
    return _Rows(
        np.concatenate([piece.ids for piece in pieces]),
        np.concatenate([piece.documents for piece in pieces]),
        np.concatenate([piece.firsts + shift for piece, shift in zip(pieces, shifts, strict=True)]),
        np.concatenate([piece.matrix for piece in pieces]),
    )


def _without(rows: _Rows, present: NDArray[np.int64]) -> _Rows:
    """Only the passages that are still there."""
    kept = np.isin(rows.ids, present)
    if kept.all():
        return rows
    counts = np.diff(np.append(rows.firsts, len(rows.matrix)))
    matrix = rows.matrix[np.repeat(kept, counts)]
    left = counts[kept]
    return _Rows(rows.ids[kept], rows.documents[kept], np.cumsum(left) - left, matrix)


def _nearest(
    rows: _Rows, query: NDArray[np.float32], limit: int, documents: frozenset[str]
) -> list[tuple[int, float]]:
    scores = np.maximum.reduceat(rows.matrix @ query, rows.firsts)
    if documents:
        scores = np.where(np.isin(rows.documents, list(documents)), scores, -np.inf)
    limit = min(limit, len(scores))
    best = np.argpartition(-scores, limit - 1)[:limit]
    best = best[np.lexsort((rows.ids[best], -scores[best]))]
    return [(int(rows.ids[place]), float(scores[place])) for place in best if np.isfinite(scores[place])]
