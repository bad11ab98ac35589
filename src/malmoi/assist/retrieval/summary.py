"""Summaries of long texts with small models: segments by topic, their central sentences, then the words.

A model that reads 25 tokens a second cannot read a long text. So each segment is first cut down to the
sentences that are most like all others of it (LexRank: Erkan & Radev 2004, JAIR 22; the eigenvector of the
graph of similar sentences), and the model reads those: segment by segment, then its own notes once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from malmoi.assist.guard.fence import Fence, find_orders
from malmoi.assist.retrieval.answer import estimate_tokens, read_prompt
from malmoi.assist.retrieval.matching import is_korean, terms_of
from malmoi.assist.retrieval.rerank import Write
from malmoi.assist.retrieval.segments import segment
from malmoi.assist.retrieval.statements import statements
from malmoi.core.types import Chat, Message

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from malmoi.assist.retrieval.segments import Embed

_READ = 700  # tokens that the model reads at a time
_MOST_READ = 4 * _READ  # tokens that it reads in all, before it reads its own notes
_DAMPING = 0.85
_STEPS = 60
_ORDER = 0.6  # score from which on a line gives the model orders
_EXTRACTED = 8  # sentences of a summary without a model


async def summarize(
    texts: Sequence[str],
    *,
    embed: Embed | None,
    write: Write | None,
    split_sentences: bool = True,
    count: int = -1,
    most: int = 1000,
    least: int = 300,
) -> str:
    """A summary, a line a fact.

    Args:
        texts: parts of one text, in order.
        embed: texts to vectors; None: every text is a segment, and words tell which sentences are alike.
        write: a model; None: the central sentences themselves are the summary.
        split_sentences: whether sentences are found in the texts; else each text is one.
        count: of segments; -1: as the topics change.
        most: characters of a segment.
        least: characters of a segment.

    Raises:
        MalmoiError: what the embedder and the model raise; `InvalidInput` for sizes that cannot be.
    """
    parts = await _segments(texts, embed, split_sentences, count, most, least)
    if not parts:
        return ""
    whole = sum(estimate_tokens(sentence) for part in parts for sentence in part)
    if write is None:
        share = max(1, _EXTRACTED // len(parts))
        lines = [line for part in parts[:_EXTRACTED] for line in await central(part, embed, sentences=share)]
        return "\n".join(f"- {' '.join(line.split())}" for line in lines)
    keep = min(1.0, _MOST_READ / whole)
    cut = [
        await central(part, embed, tokens=int(keep * sum(map(estimate_tokens, part))) + 1) for part in parts
    ]
    language: Literal["ko", "en"] = "ko" if is_korean(" ".join(cut[0])[:2000]) else "en"
    notes = [(await write(_chat(group, language))).strip() for group in _groups(cut)]
    if len(notes) == 1:
        return notes[0]
    return (await write(_chat("\n".join(notes), language))).strip()


async def central(
    sentences_of: Sequence[str],
    embed: Embed | None,
    *,
    tokens: int | None = None,
    sentences: int | None = None,
) -> list[str]:
    """The sentences that are most like all others, in their order.

    Args:
        sentences_of: the sentences of one segment.
        embed: texts to vectors; None: words tell how alike they are.
        tokens: how many there may be, estimated; at least one sentence is kept.
        sentences: how many sentences there may be.
    """
    most = len(sentences_of) if sentences is None else sentences
    sizes = [estimate_tokens(sentence) for sentence in sentences_of]
    room = sum(sizes) if tokens is None else tokens
    if len(sentences_of) <= most and sum(sizes) <= room:
        return list(sentences_of)
    ranks = rank(await _likeness(sentences_of, embed))
    kept: list[int] = []
    for place in sorted(range(len(ranks)), key=lambda place: (-ranks[place], place)):
        if len(kept) < most and (sizes[place] <= room or not kept):
            kept.append(place)
            room -= sizes[place]
    return [sentences_of[place] for place in sorted(kept)]


def rank(likeness: NDArray[np.float64]) -> list[float]:
    """How central each sentence is: (N, N) likenesses of at least 0 to N shares of 1."""
    import numpy as np

    size = len(likeness)
    links = likeness.copy()
    np.fill_diagonal(links, 0.0)
    totals = links.sum(axis=1, keepdims=True)
    steps = np.where(totals > 0, links / np.maximum(totals, 1e-12), 1.0 / size)
    ranks = np.full(size, 1.0 / size)
    for _ in range(_STEPS):
        ranks = (1 - _DAMPING) / size + _DAMPING * (ranks @ steps)
    return [float(share) for share in ranks]


async def _likeness(texts: Sequence[str], embed: Embed | None) -> NDArray[np.float64]:
    import numpy as np

    if embed is not None:
        vectors = np.asarray(await embed([text[:400] for text in texts]), dtype=np.float64)
        cosines: NDArray[np.float64] = np.clip(vectors @ vectors.T, 0.0, 1.0)
        return cosines
    terms = [terms_of(text) for text in texts]
    return np.array([[len(a & b) / max(1.0, (len(a) * len(b)) ** 0.5) for b in terms] for a in terms])


async def _segments(
    texts: Sequence[str], embed: Embed | None, split_sentences: bool, count: int, most: int, least: int
) -> list[list[str]]:
    """The sentences of each segment, without those that give the model orders."""
    if not split_sentences:
        return [[text.strip()] for text in texts if text.strip() and not find_orders(text, _ORDER)]
    whole = "\n\n".join(texts)
    if embed is None:
        topics = [statements(whole)]
    else:
        found = await segment(whole, embed, count=count, post_process=True, most=most, least=least)
        topics = [[found.sentences[number] for number in topic] for topic in found.topics]
    orders = find_orders(whole, _ORDER)
    parts = [
        [whole[a:b] for a, b in topic if not any(one.start < b and a < one.end for one in orders)]
        for topic in topics
    ]
    return [part for part in parts if part]


def _groups(parts: Sequence[Sequence[str]]) -> list[str]:
    """Segments put together, as many as the model reads at a time."""
    groups: list[str] = []
    size = _READ + 1
    for part in parts:
        text = " ".join(part)
        more = estimate_tokens(text)
        if size + more > _READ:
            groups.append(text)
            size = more
        else:
            groups[-1] += f"\n{text}"
            size += more
    return groups


def _chat(text: str, language: Literal["ko", "en"]) -> Chat:
    fence = Fence()
    told = read_prompt(f"fenced.{language}.txt").replace("{nonce}", fence.nonce)
    return Chat(
        (
            Message("system", read_prompt(f"summary.{language}.txt")),
            Message("user", f"{told}\n{fence.around(text)}"),
        )
    )
