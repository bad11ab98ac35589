"""An evaluation: ask every question in every way, judge what was found, and tell how sure the figures are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from malmoi.core.errors import InvalidInput
from malmoi.core.intervals import bootstrap, mean_of, percentiles
from malmoi.serve.documents.evaluation.judging import (
    BEST,
    NDCG_AT,
    Graded,
    Span,
    answers,
    find_answer,
    fold_text,
    grade,
    ndcg,
    recall,
)

if TYPE_CHECKING:
    from malmoi.serve.documents.evaluation.questions import Question
    from malmoi.serve.documents.types import Hit

Search: TypeAlias = Callable[[str, int], Awaitable[Sequence["Hit"]]]
"""A question and how many hits are wanted -> the hits, best first."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way of searching.

    Attributes:
        name: what it is called in tables.
        search: finds passages; the `name` of a hit is the document's.
        passages: all spans that it can find, of every document.
    """

    name: str
    search: Search
    passages: Mapping[str, Sequence[tuple[int, int]]]


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over questions with its 95 % interval (bootstrap)."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, slots=True)
class Row:
    """How good a way is on some questions.

    Attributes:
        way: its name.
        language: of the questions; "all": both.
        questions: how many.
        recall: share of questions of which one of the first five hits answers.
        ndcg: of the first ten hits.
        pages: share of questions of which one of the first five hits is of the right document.
        judged_recall: as `recall`, but passages that were judged to answer count as well; None: none were.
        judged_ndcg: as `ndcg`, with the grades as gains.
        missed: ids of the questions that none of the first five hits answers.
    """

    way: str
    language: str
    questions: int
    recall: Figure
    ndcg: Figure
    pages: Figure
    judged_recall: Figure | None = None
    judged_ndcg: Figure | None = None
    missed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Judged:
    question: Question
    recall: float
    ndcg: float
    page: float
    judged_recall: float
    judged_ndcg: float


def locate(questions: Sequence[Question], texts: Mapping[str, str]) -> dict[str, list[Span]]:
    """Where each answerable question is answered.

    Raises:
        InvalidInput: the words of an answer are not in its document; the message names the questions.
    """
    found: dict[str, list[Span]] = {}
    lost = []
    folded = {name: fold_text(text) for name, text in texts.items()}
    for question in questions:
        if question.answer is None or question.document is None:
            continue
        spans = find_answer(texts, folded, question.answer)
        if not any(span.document == question.document for span in spans):
            lost.append(question.id)
        found[question.id] = spans
    if lost:
        raise InvalidInput(
            f"the answers of {', '.join(lost[:10])} ({len(lost)} in all) are not in their documents.",
            field="questions",
            fix="Evaluate on the documents that the questions were written for.",
        )
    return found


async def evaluate(
    ways: Sequence[Way],
    questions: Sequence[Question],
    spans: Mapping[str, Sequence[Span]],
    graded: Mapping[str, Sequence[Graded]] | None = None,
    *,
    on_done: Callable[[], None] = lambda: None,
) -> list[Row]:
    """Rows of figures: every way on all questions, and on those of each language.

    Args:
        ways: what is compared.
        questions: those without an answer are left out.
        spans: where each question is answered, by its id.
        graded: what else was judged for questions, by their ids; None: nothing was.
        on_done: called after each question of each way.
    """
    asked = [question for question in questions if question.is_answerable]
    rows = []
    for way in ways:
        judged = []
        for question in asked:
            hits = await way.search(question.question, NDCG_AT)
            own, more = spans[question.id], (graded or {}).get(question.id, ())
            documents = {span.document for span in own}
            found = [Span(hit.name, hit.passage.start, hit.passage.end) for hit in hits]
            there = [
                Span(document, start, end)
                for document in sorted(documents | {one.span.document for one in more})
                for start, end in way.passages.get(document, ())
            ]
            good = [answers(span, own) for span in found]
            grades = [grade(span, own, more) for span in found]
            judged.append(
                _Judged(
                    question,
                    recall(good),
                    ndcg(good, [answers(span, own) for span in there]),
                    recall([span.document in documents for span in found]),
                    recall([one == BEST for one in grades]),
                    ndcg(grades, [grade(span, own, more) for span in there]),
                )
            )
            on_done()
        rows.append(_row(way.name, "all", judged, graded is not None))
        for language in ("ko", "en"):
            some = [one for one in judged if one.question.language == language]
            if some:
                rows.append(_row(way.name, language, some, graded is not None))
    return rows


async def known_of(
    search: Search, questions: Sequence[Question], spans: Mapping[str, Sequence[Span]], most: int
) -> list[dict[str, Any]]:
    """What the order of found passages is made of, a row a question, and which of them answer it.

    Args:
        search: puts what it finds into order.
        questions: those without an answer are left out.
        spans: where each question is answered, by its id.
        most: hits of a question.
    """
    rows: list[dict[str, Any]] = []
    for question in questions:
        if not question.is_answerable:
            continue
        hits = [hit for hit in await search(question.question, most) if hit.features]
        names = hits[0].features if hits else {}
        rows.append(
            {
                "id": question.id,
                "document": question.document,
                "features": {name: [round(hit.features[name], 5) for hit in hits] for name in names},
                "answers": [
                    answers(Span(hit.name, hit.passage.start, hit.passage.end), spans[question.id])
                    for hit in hits
                ],
            }
        )
    return rows


def _row(way: str, language: str, judged: Sequence[_Judged], is_graded: bool) -> Row:
    return Row(
        way=way,
        language=language,
        questions=len(judged),
        recall=_figure(np.array([one.recall for one in judged])),
        ndcg=_figure(np.array([one.ndcg for one in judged])),
        pages=_figure(np.array([one.page for one in judged])),
        judged_recall=_figure(np.array([one.judged_recall for one in judged])) if is_graded else None,
        judged_ndcg=_figure(np.array([one.judged_ndcg for one in judged])) if is_graded else None,
        missed=tuple(one.question.id for one in judged if not one.recall),
    )


def _figure(values: np.ndarray) -> Figure:
    mean = float(values.mean()) if len(values) else float("nan")
    spread = percentiles(bootstrap([mean_of(values)], len(values))[0]) if len(values) else None
    low, high = spread if spread is not None else (mean, mean)
    return Figure(mean, low, high)
