"""Answers from documents, measured: which questions are refused, and what their citations hold.

What a model wrote to some questions was read by a person, sentence by sentence, with the words that it cited
(`answers.jsonl`). Such an answer is given again to the code that cites, over what a search finds today: each
citation that comes out was read before, or is new and counts as unread. So a change of search or of support
shows at once, without a model and without reading.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from malmoi.core.errors import InvalidInput
from malmoi.core.intervals import wilson
from malmoi.core.rows import read_rows
from malmoi.serve.documents.evaluation.judging import fold_text

if TYPE_CHECKING:
    from malmoi.assist.retrieval.answer import Grounding
    from malmoi.serve.documents.evaluation.questions import Question

Ground: TypeAlias = Callable[[str], Awaitable["Grounding"]]
"""A question -> what the documents say to it."""

JUDGED = "answers.jsonl"
"""The answers of the package that were read."""


class JudgedCitation(BaseModel):
    """A sentence of an answer with words that were cited for it, as a person judged them."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    sentence: str = Field(min_length=1)
    quote: str = Field(min_length=1)
    """The words, or the first of them."""
    supports: bool
    """Whether the words alone say all that the sentence says."""
    why: str = ""
    """What is missing, or wrong."""


class JudgedAnswer(BaseModel):
    """What a model wrote to a question, and how its citations were judged."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    id: str = Field(min_length=1)
    """Of the question, in one of the sets of the package."""
    question: str = Field(min_length=1)
    model: str = Field(min_length=1)
    text: str = Field(min_length=1)
    """With the marks of the model."""
    citations: list[JudgedCitation]


@dataclass(frozen=True, slots=True)
class Share:
    """How many of how many, with the 95 % interval of Wilson."""

    count: int
    of: int

    def __str__(self) -> str:
        if not self.of:
            return "none"
        low, high = wilson(self.count, self.of)
        return f"{self.count} of {self.of} = {self.count / self.of:.3f} [{low:.3f}, {high:.3f}]"


@dataclass(frozen=True, slots=True)
class Refusals:
    """What is decided before any model is asked.

    Attributes:
        refused: questions without an answer that no model is asked about.
        unsure: the same where sentences of the documents would be the answer.
        lost: questions with an answer that no model is asked about.
        lost_unsure: the same where sentences would be the answer.
    """

    refused: Share
    unsure: Share
    lost: Share
    lost_unsure: Share


@dataclass(frozen=True, slots=True)
class Citations:
    """How citations were judged.

    Attributes:
        good: of those that were read, how many hold what they stand for.
        unread: citations that were not read: other words, or another sentence.
        supported: sentences with a citation, of all that claim something.
    """

    good: Share
    unread: int
    supported: Share


def load_judged(path: Path | None = None) -> list[JudgedAnswer]:
    """The answers that were read: those of a file, or of the package.

    Raises:
        InvalidInput: a line is no such answer; the message names it.
    """
    if path is None:
        text = (files("malmoi.serve.documents.evaluation") / JUDGED).read_text(encoding="utf-8")
        return read_rows(text, JudgedAnswer, name=JUDGED)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.", field="answers") from error
    return read_rows(text, JudgedAnswer, name=str(path))


async def refusals(
    questions: Iterable[Question], ground: Ground, *, on_done: Callable[[], None] = lambda: None
) -> Refusals:
    """Which questions are refused before a model is asked.

    Args:
        questions: with and without answers.
        ground: finds what the documents say.
        on_done: called after each question.
    """
    told: dict[bool, list[tuple[bool, bool]]] = {True: [], False: []}
    for question in questions:
        grounding = await ground(question.question)
        told[question.is_answerable].append((grounding.is_answerable, grounding.is_certain))
        on_done()

    def without(rows: Sequence[tuple[bool, bool]], which: int) -> Share:
        return Share(sum(not row[which] for row in rows), len(rows))

    return Refusals(
        refused=without(told[False], 0),
        unsure=without(told[False], 1),
        lost=without(told[True], 0),
        lost_unsure=without(told[True], 1),
    )


async def citations(
    answers: Sequence[JudgedAnswer], ground: Ground, *, on_done: Callable[[], None] = lambda: None
) -> Citations:
    """Let the code cite again for answers that were read, and look up what was thought of its citations.

    Args:
        answers: that were read.
        ground: finds what the documents say.
        on_done: called after each answer.
    """
    good = read = unread = cited = claims = 0
    for answer in answers:
        grounding = await ground(answer.question)
        reply = grounding.reply()
        await reply.feed(answer.text)
        await reply.finish()
        for one in reply.citations:
            judged = find_judgement(
                answer.citations, reply.text[one.answer_start : one.answer_end], one.quote
            )
            if judged is None:
                unread += 1
            else:
                read += 1
                good += judged.supports
        cited += len(reply.citations)
        claims += len(reply.citations) + len(reply.unsupported)
        on_done()
    return Citations(Share(good, read), unread, Share(cited, claims))


def find_judgement(citations: Iterable[JudgedCitation], sentence: str, quote: str) -> JudgedCitation | None:
    """What was thought of this sentence with these words; None: nobody has read them.

    A quotation of the set may be the first words only of what was cited.
    """
    said, words = fold_text(sentence), fold_text(quote)
    for one in citations:
        if fold_text(one.sentence) == said and words.startswith(fold_text(one.quote)):
            return one
    return None
