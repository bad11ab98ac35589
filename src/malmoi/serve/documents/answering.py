"""A question about documents, with what they say to it: search, then the evidence for an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from malmoi.assist.retrieval.answer import Grounding, Limits, ground
from malmoi.assist.retrieval.hits import sources_of_hits
from malmoi.assist.retrieval.query import standalone
from malmoi.serve.documents.embedding import NoEmbedder

if TYPE_CHECKING:
    from malmoi.serve.documents.service import Documents
    from malmoi.serve.identity import Principal


async def ground_question(
    documents: Documents,
    principal: Principal,
    question: str,
    *,
    earlier: Sequence[str] = (),
    collections: Sequence[str] = (),
    chosen: Sequence[str] = (),
    limit: int = 8,
    limits: Limits | None = None,
) -> Grounding:
    """Search for a question, and find what of the hits answers it.

    Args:
        documents: the documents of the server.
        principal: who asks; nothing that it may not read is found.
        question: as it was asked.
        earlier: the questions before it, the oldest first; a follow-up takes words of them.
        collections: only in these; empty: in all that the principal may read.
        chosen: only in these documents.
        limit: most passages.
        limits: of what a model is given; None: the usual ones.

    Raises:
        NotFound: a collection or document that is not there, or not for this principal.
    """
    query = standalone(question, earlier)
    hits = await documents.search(principal, query, collections=collections, documents=chosen, limit=limit)
    sources = sources_of_hits(hits)
    try:
        return await ground(question, sources, embed=documents.embed, query=query, limits=limits or Limits())
    except NoEmbedder:
        return await ground(question, sources, query=query, limits=limits or Limits())
