"""Documents for a query as one text: what of them answers it, each part between tags of its document.

    ... <doc1>대통령의 임기는 5년이다.</doc1> ...

The text is a model's answer from the best sentences of the documents; where there is no model, it is those
sentences. Tags are set by our own matching, never by the model.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from malmoi.assist.retrieval.answer import Grounding, ground
from malmoi.assist.retrieval.citations import Citation, Source

if TYPE_CHECKING:
    from malmoi.assist.retrieval.segments import Embed
    from malmoi.core.types import Chat

Write: TypeAlias = Callable[["Chat"], Awaitable[str]]
"""A model's answer to a chat."""

_TAG = re.compile(r"</?\s*doc[^<>]{0,80}>", re.IGNORECASE)
_SAFE_ID = re.compile(r"[\w.:@/-]{1,200}")


@dataclass(frozen=True, slots=True)
class Item:
    """A document as a search has found it: its id, and its text."""

    id: str
    doc: str


@dataclass(frozen=True, slots=True)
class Reranked:
    """What documents say to a query.

    Attributes:
        result: the answer, with tags; or that the documents do not answer.
        cited: the documents that it cites, the one cited first first.
        suggested: better queries; empty when the documents answer.
    """

    result: str
    cited: tuple[Item, ...]
    suggested: tuple[str, ...]


async def rerank(
    query: str,
    documents: Sequence[Item],
    *,
    embed: Embed | None,
    write: Write | None,
) -> Reranked:
    """Answer a query from documents, and tell which were needed.

    Args:
        query: the question.
        documents: as a search has found them, the best first.
        embed: texts to vectors; None: words alone decide.
        write: a model; None: sentences of the documents are the answer.

    Raises:
        MalmoiError: what the embedder and the model raise.
    """
    grounding = await ground(query, sources_of(documents), embed=embed)
    text, citations = await answered(grounding, write)
    tags = {number: f"doc{number}" for number in range(1, len(documents) + 1)}
    cited = dict.fromkeys(citation.number for citation in citations)
    return Reranked(
        tagged(text, citations, tags),
        tuple(documents[number - 1] for number in cited),
        () if citations else grounding.suggestions,
    )


async def answered(grounding: Grounding, write: Write | None) -> tuple[str, tuple[Citation, ...]]:
    """The answer of a grounding, and its citations; without any, it says that the sources do not answer."""
    if write is None:
        extract = grounding.extract()
        return (extract.text, extract.citations) if grounding.is_certain else (grounding.refusal(), ())
    if not grounding.is_answerable:
        return grounding.refusal(), ()
    reply = grounding.reply()
    await reply.feed(without_tags(await write(grounding.chat())))
    await reply.finish()
    return (reply.text, tuple(reply.citations)) if reply.is_supported else (grounding.refusal(), ())


def sources_of(documents: Sequence[Item]) -> list[Source]:
    """Documents as sources, numbered in their order."""
    return [Source(number, item.id, "", "", item.doc) for number, item in enumerate(documents, start=1)]


def tag_of(item_id: str, number: int) -> str:
    """The tag of a document with an id of its client's choice; an id that is no plain word gives way."""
    return f"doc-{item_id if _SAFE_ID.fullmatch(item_id) else number}"


def without_tags(text: str) -> str:
    """A model's text without tags of its own, which would pass for ours."""
    return _TAG.sub("", text)


def tagged(text: str, citations: Sequence[Citation], tags: Mapping[int, str]) -> str:
    """The text with each cited sentence between the tags of its source.

    Args:
        text: the answer.
        citations: by their place in the text; they do not overlap.
        tags: by the numbers of the sources.
    """
    parts: list[str] = []
    last = 0
    for citation in sorted(citations, key=lambda citation: citation.answer_start):
        start, end = citation.answer_start, citation.answer_end
        tag = tags[citation.number]
        parts += [text[last:start], f"<{tag}>", text[start:end], f"</{tag}>"]
        last = end
    return "".join([*parts, text[last:]])
