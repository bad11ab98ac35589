"""From what a search has found to the sources of an answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from malmoi.assist.retrieval.citations import Source
from malmoi.assist.retrieval.document import Passage


class Found(Protocol):
    """A passage as a search has found it."""

    @property
    def document_id(self) -> str:
        """Its document."""
        ...

    @property
    def title(self) -> str:
        """Of the document."""
        ...

    @property
    def passage(self) -> Passage:
        """Its span of the document's text."""
        ...

    @property
    def text(self) -> str:
        """The words of the span."""
        ...

    @property
    def score(self) -> float:
        """How good it is; it compares with the scores of the same search alone."""
        ...


def sources_of_hits(hits: Iterable[Found]) -> list[Source]:
    """The hits as sources, numbered in their order."""
    hits = list(hits)
    best = max((hit.score for hit in hits), default=0.0)
    return [
        Source(
            number=number,
            document_id=hit.document_id,
            title=hit.title,
            place=hit.passage.place,
            text=hit.text,
            start=hit.passage.start,
            headings=hit.passage.headings,
            standing=max(hit.score, 0.0) / best if best > 0 else 0.0,
        )
        for number, hit in enumerate(hits, start=1)
    ]
