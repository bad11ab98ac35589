"""Reads a model's answer while it streams: text without marks, and what supports each sentence of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from malmoi.assist.retrieval.citations import Citation, MarkCutter
from malmoi.assist.retrieval.matching import content_words, read_words
from malmoi.assist.retrieval.statements import statements
from malmoi.assist.retrieval.support import Evidence

_NAMED = re.compile(
    r"자료\s*\d{1,2}(?:\s*(?:,|와|과|및)\s*\d{1,2})*(?:에 따르면|에서는|에서|에는|에|은|는)?,?\s*"
)
_ENDS = re.compile(r"[.!。다요음함임됨][\s\"'”’*_)]*\Z")  # how a sentence ends, and a name does not
_LEAD = re.compile(r"[:：?？]\s*[*_]*\Z")  # what only leads to something, or asks


@dataclass(frozen=True, slots=True)
class Text:
    """More of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Cited:
    """A sentence of the answer was found in a source."""

    citation: Citation


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A sentence of the answer stands in no source: from `start` to `end` of the answer."""

    start: int
    end: int


Event = Text | Cited | Unsupported


class Reply:
    """The answer of a model, as it comes.

    Attributes:
        citations: what supports its sentences, in order.
        unsupported: its sentences that nothing supports.
        is_refusal: whether it says that the sources do not answer.

    Args:
        evidence: the sources.
        question: a sentence that only repeats it claims nothing.
    """

    def __init__(self, evidence: Evidence, question: str = "") -> None:
        self.citations: list[Citation] = []
        self.unsupported: list[Unsupported] = []
        self.is_refusal = False
        self._evidence = evidence
        self._question = question.strip()
        self._cutter = MarkCutter()
        self._judged = 0  # characters of the answer whose sentences are judged

    @property
    def text(self) -> str:
        """The answer so far, without marks."""
        return self._cutter.text

    @property
    def is_supported(self) -> bool:
        """Whether the sources support at least half of what the answer claims, and something at all."""
        return bool(self.citations) and len(self.citations) >= len(self.unsupported)

    async def feed(self, piece: str) -> list[Event]:
        """Take a piece of the model's text.

        Raises:
            MalmoiError: what the embedder raises.
        """
        text = self._cutter.feed(piece)
        events: list[Event] = [Text(text)] if text else []
        return events + await self._judge(is_end=False)

    async def finish(self) -> list[Event]:
        """The text is complete. Raises what `feed` raises."""
        text = self._cutter.finish()
        events: list[Event] = [Text(text)] if text else []
        return events + await self._judge(is_end=True)

    async def _judge(self, *, is_end: bool) -> list[Event]:
        """Look at the sentences that are complete: those with another one behind them."""
        whole = self.text
        waiting = whole[self._judged :]
        if not is_end and not re.search(r"[.!?。\n]\s*\S", waiting):
            return []
        spans = [(self._judged + start, self._judged + end) for start, end in statements(waiting)]
        if not is_end:
            following = spans[-1][0] if spans else self._judged
            spans = spans[:-1]
        else:
            following = len(whole)
        claims: list[tuple[int, int, tuple[int, ...]]] = []
        for at, (start, end) in enumerate(spans):
            stop = spans[at + 1][0] if at + 1 < len(spans) else following
            if re.search(_refusals(), whole[start:end], re.IGNORECASE):
                self.is_refusal = True
            elif self._claims(whole[start:end]):
                # A mark behind the sentence, or between it and the next one, is a hint for it.
                hints = tuple(
                    mark.number for mark in self._cutter.marks if start < mark.at <= max(end, stop - 1)
                )
                claims.append((start, end, hints))
        self._judged = following
        # "자료 2에 따르면" tells where something stands, and is no part of what stands there.
        found = await self._evidence.supports(
            [(_NAMED.sub("", whole[start:end]) or whole[start:end], hints) for start, end, hints in claims]
        )
        events: list[Event] = []
        for (start, end, _), support in zip(claims, found, strict=True):
            if support is not None and support.is_enough:
                self.citations.append(support.span.cited(start, end, support.score))
                events.append(Cited(self.citations[-1]))
            else:
                self.unsupported.append(Unsupported(start, end))
                events.append(self.unsupported[-1])
        return events

    def _claims(self, sentence: str) -> bool:
        """Whether a sentence says something that can be true or not; a name alone, or a title, does not."""
        if _LEAD.search(sentence) or sentence.strip(" *#-") == self._question:
            return False
        said = len(content_words(sentence))
        return said > 2 or (said == 2 and _ENDS.search(sentence) is not None)


@lru_cache
def _refusals() -> str:
    import tomllib

    return str(tomllib.loads(read_words("refusals.toml"))["pattern"])
