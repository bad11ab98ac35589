"""The report of an interview: scores by rubric, proven by quotes, with what to train.

The model is asked about one answer at a time and held to a JSON schema; the code does the rest: an answer
that says next to nothing cannot score well, a quote that the person never said is not shown, and what could
not be scored is said to be so.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from statistics import mean

from pydantic import BaseModel, ConfigDict, Field

from malmoi.assist.guard.sentences import language_of
from malmoi.assist.templates.flows.banks import Question
from malmoi.assist.templates.flows.flow import Writer, request
from malmoi.assist.templates.flows.wording import cell, cover_figures, figures, is_quoted
from malmoi.assist.templates.form import Form
from malmoi.assist.templates.texts import Texts
from malmoi.core.errors import MalmoiError
from malmoi.core.types import Message
from malmoi.engine.base import Sampling

DIMENSIONS = ("structure", "relevance", "concreteness", "clarity")
_THIN = {"ko": 40, "en": 80}  # an answer with fewer characters scores 2 at the most
_READ = 1500  # characters of an answer that the model reads
_REWRITTEN = 2


class Scores(BaseModel):
    """What the model says about one answer."""

    model_config = ConfigDict(extra="ignore")

    structure: int = Field(ge=1, le=5)
    relevance: int = Field(ge=1, le=5)
    concreteness: int = Field(ge=1, le=5)
    clarity: int = Field(ge=1, le=5)
    quote: str = Field(max_length=120)

    def of(self, dimension: str) -> int:
        """One of the scores."""
        return int(getattr(self, dimension))


@dataclass(frozen=True, slots=True)
class Answered:
    """A question, and all that was said to it; empty: nothing was."""

    question: Question
    answer: str


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer with its scores; None: it could not be scored.

    Attributes:
        is_capped: the answer is so short that the model's scores were cut down.
        is_proven: the model's quote stands in the answer.
    """

    answered: Answered
    scores: Scores | None
    is_capped: bool = False
    is_proven: bool = False

    @property
    def mean(self) -> float:
        """Of the four scores."""
        assert self.scores is not None
        return mean(self.scores.of(name) for name in DIMENSIONS)


async def write_report(
    rows: Sequence[Answered], title: str, form: Form, writer: Writer
) -> AsyncIterator[str]:
    """The report as Markdown, a row as soon as it is known."""
    texts = Texts("interview", form.language)
    names = [texts(f"rubric.{name}") for name in DIMENSIONS]
    yield f"{texts('report.heading')}: {title}\n\n"
    yield f"| # | {texts('report.question')} | {' | '.join(names)} | {texts('report.mean')} |\n"
    yield "|---|---|" + "---|" * (len(names) + 1) + "\n"
    judged: list[Judged] = []
    for number, row in enumerate(rows, 1):
        one = await judge(row, form, writer)
        judged.append(one)
        yield _row(number, one, form)
    scored = [one for one in judged if one.scores is not None]
    if not scored:
        yield f"\n{texts('report.none')}\n"
        return
    yield f"\n{_notes(judged, texts)}"
    yield f"\n{texts('report.total', mean=f'{mean(one.mean for one in scored):.1f}', count=len(scored))}\n"
    yield _strengths(scored, texts)
    async for text in _rewritten(scored, form, writer):
        yield text
    yield _training(scored, form)


async def judge(row: Answered, form: Form, writer: Writer) -> Judged:
    """Score one answer. A model that fails leaves it without scores."""
    if not row.answer.strip():
        return Judged(row, None)
    texts = Texts("interview", form.language)
    asked = texts(
        "prompt.score",
        question=row.question.text(form.language),
        good=row.question.good(form.language),
        answer=form.fenced(row.answer[:_READ]),
    )
    prompt = request(f"{texts('prompt.rubric')}\n{form.instruction()}", Message("user", asked))
    try:
        scores = await writer.fill(prompt, Scores, max_tokens=160)
    except MalmoiError:
        return Judged(row, None)
    is_capped = False
    if len(row.answer.strip()) < _THIN[form.language]:
        cut = {name: min(2, scores.of(name)) for name in DIMENSIONS}
        is_capped = any(cut[name] != scores.of(name) for name in DIMENSIONS)
        scores = scores.model_copy(update=cut)
    return Judged(row, scores, is_capped, is_quoted(scores.quote, row.answer))


def _row(number: int, one: Judged, form: Form) -> str:
    question = cell(one.answered.question.text(form.language))
    if one.scores is None:
        return f"| {number} | {question} | {'– | ' * len(DIMENSIONS)}– |\n"
    marks = ("" if one.is_proven else "*") + ("†" if one.is_capped else "")
    cells = " | ".join(str(one.scores.of(name)) for name in DIMENSIONS)
    return f"| {number} | {question} | {cells} | {one.mean:.1f}{marks} |\n"


def _notes(judged: Sequence[Judged], texts: Texts) -> str:
    """What the marks in the table mean, and what could not be scored."""
    lines = [texts("report.scale")]
    if any(one.scores is not None and not one.is_proven for one in judged):
        lines.append(texts("report.unproven"))
    if any(one.is_capped for one in judged):
        lines.append(texts("report.capped"))
    for number, one in enumerate(judged, 1):
        if one.scores is None:
            key = "report.failed" if one.answered.answer.strip() else "report.unanswered"
            lines.append(texts(key, number=number))
    return "\n".join(f"- {line}" for line in lines) + "\n"


def _strengths(scored: Sequence[Judged], texts: Texts) -> str:
    averages = {
        name: mean(one.scores.of(name) for one in scored if one.scores is not None) for name in DIMENSIONS
    }
    best = max(DIMENSIONS, key=lambda name: averages[name])
    lines = [f"\n### {texts('report.strengths')}\n"]
    if averages[best] >= 3:
        lines.append(f"- {texts('report.best', name=texts(f'rubric.{best}'), mean=f'{averages[best]:.1f}')}")
    lines += [
        f"- “{' '.join(one.scores.quote.split())}”"
        for one in sorted(scored, key=lambda one: -one.mean)
        if one.is_proven and one.scores is not None and one.mean >= 3
    ]
    if len(lines) == 1:
        lines.append(f"- {texts('report.no_strength')}")
    return "\n".join(lines[:5]) + "\n"


async def _rewritten(scored: Sequence[Judged], form: Form, writer: Writer) -> AsyncIterator[str]:
    """The weakest answers in better words; figures that the person never said are not taken over."""
    texts = Texts("interview", form.language)
    yield f"\n### {texts('report.rewritten')}\n"
    for one in sorted(scored, key=lambda one: one.mean)[:_REWRITTEN]:
        question = one.answered.question
        asked = texts(
            "prompt.rewrite",
            question=question.text(form.language),
            good=question.good(form.language),
            answer=form.fenced(one.answered.answer[:_READ]),
        )
        yield f"\n**{question.text(form.language)}**\n\n"
        try:
            prompt = request(form.instruction(), Message("user", asked))
            parts = [part async for part in writer.write(prompt, Sampling(temperature=0.3, max_tokens=220))]
        except MalmoiError:
            parts = []
        text = " ".join("".join(parts).split())
        if len(text) < 20 or language_of(text) != form.language or form.mark in text:
            yield f"{texts('report.not_rewritten', good=question.good(form.language))}\n"
            continue
        text = cover_figures(text, figures(one.answered.answer), texts("report.figure"))
        yield f"> {text}\n"


def _training(scored: Sequence[Judged], form: Form) -> str:
    texts = Texts("interview", form.language)
    weakest = sorted(
        DIMENSIONS, key=lambda name: mean(one.scores.of(name) for one in scored if one.scores is not None)
    )[:2]
    lines = [f"\n### {texts('report.training')}\n"]
    lines += [f"- **{texts(f'rubric.{name}')}**: {texts(f'advice.{name}')}" for name in weakest]
    lowest = min(scored, key=lambda one: one.mean).answered.question
    lines.append(
        f"- {texts('report.again', question=lowest.text(form.language), good=lowest.good(form.language))}"
    )
    return "\n".join([*lines, "", texts("report.next")]) + "\n"
