"""A question and its sources: whether they answer it, what a model is asked, and the answer without a model.

    grounding = await ground(question, sources, embed=embed)
    grounding.is_answerable                    # if not: grounding.refusal() says so and proposes queries
    grounding.extract()                        # the best sentences themselves, at once
    reply = grounding.reply()                  # reads what the model makes of grounding.chat()

A model on two cores reads some 25 tokens a second, so it is given the best sentences of the sources instead
of whole passages (`Limits`). What is the same in every request comes first, so that engines need not read
it again.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

from malmoi.assist.guard.fence import Fence, find_orders
from malmoi.assist.retrieval.citations import Citation, Source
from malmoi.assist.retrieval.matching import content_words, coverage, is_korean, names, terms_of
from malmoi.assist.retrieval.query import propose
from malmoi.assist.retrieval.relevance import Relevance, judge
from malmoi.assist.retrieval.reply import Reply
from malmoi.assist.retrieval.support import MOST_STATEMENTS, Evidence, Span, calibration, spans_of
from malmoi.core.hangul import fold
from malmoi.core.types import Chat, Message

if TYPE_CHECKING:
    from malmoi.assist.retrieval.segments import Embed

_EXTRACTED = 3  # sentences of an answer without a model
_NEAR_BEST = 0.9  # share of the best score that they must have
_WORTH_READING = 0.5  # share of the best score that a sentence must have to be given to a model
_WITH_NEXT = 3  # of the best sentences, as many are given with the one behind them
_GAP = " … "


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be given to a model.

    Attributes:
        source_tokens: tokens of all sources together, estimated.
        turns: earlier messages that are sent along.
        orders: from this score on a line of a source counts as an order to the model, and is cut out;
            None: none is.
    """

    source_tokens: int = 400
    turns: int = 4
    orders: float | None = 0.6


@dataclass(frozen=True, slots=True)
class Extract:
    """An answer made of sentences of the sources: a line each, each with its citation."""

    text: str
    citations: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class Grounding:
    """A question with the sources that may answer it.

    Attributes:
        question: as it was asked.
        sources: all of them.
        evidence: their statements, without those that give orders.
        relevance: what each statement has of the question, and how likely they answer it.
        suggestions: better queries; empty when the question is surely answered.
        limits: of what a model is given.
    """

    question: str
    sources: tuple[Source, ...]
    evidence: Evidence
    relevance: Relevance
    suggestions: tuple[str, ...]
    limits: Limits

    @property
    def language(self) -> Literal["ko", "en"]:
        """Of the question."""
        return "ko" if is_korean(self.question) else "en"

    @property
    def is_answerable(self) -> bool:
        """Whether it is worth asking a model, whose answer is checked afterwards."""
        return self.relevance.likelihood >= float(calibration()["ask"]["with_model"])

    @property
    def is_certain(self) -> bool:
        """Whether the sources answer so surely that their sentences may stand as the answer."""
        return self.relevance.likelihood >= float(calibration()["ask"]["without_model"])

    def chat(self, turns: Sequence[Message] = (), *, persona: str = "") -> Chat:
        """What a model is asked.

        Args:
            turns: earlier messages of the conversation, the oldest first; the last ones are sent along.
            persona: how the model is to be; the rules for answers come behind it.
        """
        fence = Fence()
        rules = read_prompt(f"answer.{self.language}.txt")
        system = f"{persona.strip()}\n\n{rules}" if persona.strip() else rules
        told = (
            read_prompt(f"sources.{self.language}.txt")
            .replace("{nonce}", fence.nonce)
            .replace("{sources}", fence.around(self._shown_sources()))
        )
        kept = list(turns)[-self.limits.turns :] if self.limits.turns else []
        while kept and kept[0].role != "user":
            kept = kept[1:]
        # The question stands alone: what a guard judges as the person's words must not hold the sources'.
        return Chat(
            (
                Message("system", system),
                *kept,
                Message("user", told),
                Message("assistant", read_prompt(f"read.{self.language}.txt")),
                Message("user", self.question),
            )
        )

    def chosen(self) -> list[Span]:
        """The sentences that a model is given, in the order of the sources.

        The best ones have the sentence behind them with them, which often says how; what stands in two
        sources is given once.
        """
        scores, spans = self.relevance.scores, self.evidence.spans
        best = max(scores, default=0.0)
        room = self.limits.source_tokens
        taken: set[int] = set()
        said: set[str] = set()
        ranked = sorted(range(len(scores)), key=lambda place: (-scores[place], place))
        for rank, place in enumerate(ranked):
            if scores[place] < _WORTH_READING * best:
                break
            following = [place + 1] if rank < _WITH_NEXT else []
            for one in (place, *following):
                if one >= len(spans) or one in taken or spans[one].source is not spans[place].source:
                    continue
                text = fold(" ".join(spans[one].text.split()))
                size = estimate_tokens(spans[one].text)
                if text in said or size > room:
                    continue
                taken.add(one)
                said.add(text)
                room -= size
        return [spans[place] for place in sorted(taken)]

    def extract(self) -> Extract:
        """The best sentences of the sources as the answer."""
        scores = self.relevance.scores
        places = sorted(range(len(scores)), key=lambda place: (-scores[place], place))
        text, citations, said = "", list[Citation](), set[str]()
        for place in places[: 2 * _EXTRACTED]:
            span = self.evidence.spans[place]
            sentence = " ".join(span.text.split())
            if scores[place] < _NEAR_BEST * scores[places[0]] or len(citations) == _EXTRACTED:
                break
            if sentence in said:
                continue
            said.add(sentence)
            start = len(text) + 1 if text else 0
            text = f"{text}\n{sentence}" if text else sentence
            citations.append(span.cited(start, len(text), 1.0))
        return Extract(text, tuple(citations))

    def refusal(self) -> str:
        """That the documents do not answer, with better queries."""
        return said_of("not_found", self.language, self.suggestions)

    def reply(self) -> Reply:
        """What reads a model's answer to `chat`."""
        return Reply(self.evidence, self.question)

    def notice(self, reply: Reply) -> str:
        """What must be said behind a finished answer; empty when its sources support it."""
        if reply.is_refusal and not reply.citations:
            return said_of("not_found", self.language, self.suggestions)
        return "" if reply.is_supported else said_of("unsupported", self.language, self.suggestions)

    def closing(self, reply: Reply) -> Extract:
        """What stands behind a finished answer: the notice, and what the documents say instead.

        Where nothing supports the answer though the documents surely have something to say, their best
        sentences come with it. The citations count from the beginning of the answer.
        """
        notice = self.notice(reply)
        if not notice:
            return Extract("", ())
        text = f"\n\n{notice}" if reply.text else notice
        if not self.is_certain:
            return Extract(text, ())
        nearest = self.extract()
        text += f"\n\n{said_of('nearest', self.language)}\n"
        start = len(reply.text) + len(text)
        moved = (
            replace(one, answer_start=one.answer_start + start, answer_end=one.answer_end + start)
            for one in nearest.citations
        )
        return Extract(text + nearest.text, tuple(moved))

    def _shown_sources(self) -> str:
        shown: dict[int, list[Span]] = {}
        for span in self.chosen():
            shown.setdefault(span.source.number, []).append(span)
        name = _messages()[self.language]["source"]
        return "\n".join(_shown(name, spans) for _, spans in sorted(shown.items()))


async def ground(
    question: str,
    sources: Sequence[Source],
    *,
    embed: Embed | None = None,
    query: str | None = None,
    limits: Limits = Limits(),
) -> Grounding:
    """Find what the sources have to say to a question.

    Args:
        question: as it was asked.
        sources: what a search has found, with different numbers, the best first.
        embed: texts to vectors; None: words alone decide.
        query: the question as it was searched for (`query.standalone`); None: as it was asked.
        limits: of what a model is given.

    Raises:
        MalmoiError: what the embedder raises.
    """
    spans = [span for source in sources for span in _without_orders(source, limits.orders)]
    spans = _most_promising(query or question, spans)
    evidence = await Evidence.of(sources, embed, spans=spans)
    evidence.asked = names(question)
    relevance = await judge(query or question, evidence)
    sure = relevance.likelihood >= calibration()["ask"]["surely"]
    suggestions = () if sure else tuple(await propose(query or question, evidence, relevance))
    return Grounding(question, tuple(sources), evidence, relevance, suggestions, limits)


def _most_promising(question: str, spans: Sequence[Span]) -> list[Span]:
    """As many statements as can be compared, in their order: those with words of the question first.

    Without such words (the question is in another language) every source keeps its beginning.
    """
    if len(spans) <= MOST_STATEMENTS:
        return list(spans)
    asked = content_words(question)
    ranked: list[tuple[float, int, int]] = []
    before: dict[int, int] = {}
    for place, span in enumerate(spans):
        nth = before[span.source.number] = before.get(span.source.number, 0) + 1
        ranked.append((-coverage(asked, terms_of(span.text)), nth, place))
    return [spans[place] for place in sorted(place for _, _, place in sorted(ranked)[:MOST_STATEMENTS])]


def estimate_tokens(text: str) -> int:
    """About how many tokens a model makes of a text: more of Korean than of English."""
    korean = sum("가" <= char <= "힣" for char in text)
    return round(korean * 1.25 + (len(text) - korean) * 0.3) + 1


def read_prompt(name: str) -> str:
    """A file of `prompts/`."""
    return files("malmoi.assist.retrieval").joinpath("prompts", name).read_text(encoding="utf-8").strip()


def said_of(message: str, language: Literal["ko", "en"], suggestions: Sequence[str] = ()) -> str:
    """A message, with better queries behind it."""
    texts = _messages()[language]
    if not suggestions:
        return texts[message]
    listed = "\n".join(f"- {query}" for query in suggestions)
    return f"{texts[message]}\n\n{texts['try_these']}\n{listed}"


def _without_orders(source: Source, threshold: float | None) -> list[Span]:
    """The statements of a source that give the model no orders."""
    spans = spans_of([source])
    orders = find_orders(source.text, threshold) if threshold is not None else []
    return [
        span for span in spans if not any(one.start < span.end and span.start < one.end for one in orders)
    ]


def _shown(name: str, spans: Sequence[Span]) -> str:
    """A source as a model reads it: its number and title, then its chosen sentences, in one line."""
    source = spans[0].source
    above = " › ".join(" ".join(part.split()) for part in (source.title, *source.headings[-1:]) if part)
    text = ""
    for before, span in zip((None, *spans), spans, strict=False):
        if before is not None:
            between = source.text[before.end : span.start]
            text += (" " if not between.strip() else _GAP) + " ".join(span.text.split())
        else:
            text = " ".join(span.text.split())
    return f"{name} {source.number}{f' ({above})' if above else ''}: {text}"


@lru_cache
def _messages() -> dict[str, dict[str, str]]:
    return tomllib.loads(read_prompt("messages.toml"))
