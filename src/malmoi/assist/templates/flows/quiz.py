"""Quiz: a question at a time out of a text or about a topic; answers are checked in code.

The model makes a question under a JSON schema; the code mixes the choices, keeps the key in the notes of the
message (they are never sent), compares, and counts at the end. The key leaves after the answer, not before.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from pydantic import BaseModel, ConfigDict, Field

from malmoi.assist.guard.sentences import language_of, sentences
from malmoi.assist.templates.flows.flow import Occasion, Piece, Turn, Writer, plain_opening, request
from malmoi.assist.templates.flows.marking import Asked, is_readable, is_right, shown_choices
from malmoi.assist.templates.flows.wording import cell, is_command, is_quoted, squeezed
from malmoi.assist.templates.form import Form, shown_value
from malmoi.assist.templates.template import Template
from malmoi.assist.templates.texts import Texts
from malmoi.core.errors import StructuredOutputInvalid
from malmoi.core.types import Message

_LONG = 200  # characters from which on a message is a text to ask about, not a topic
_PART = 700  # characters of a text that one question is made from
_TRIES = 3


class ChoiceDraft(BaseModel):
    """A question with choices, as the model makes it."""

    model_config = ConfigDict(extra="ignore")

    question: str = Field(min_length=5, max_length=300)
    correct: str = Field(min_length=1, max_length=120)
    wrong: list[str] = Field(min_length=3, max_length=3)
    explanation: str = Field(min_length=2, max_length=400)


class ShortDraft(BaseModel):
    """A question with a short answer, as the model makes it."""

    model_config = ConfigDict(extra="ignore")

    question: str = Field(min_length=5, max_length=300)
    answer: str = Field(min_length=1, max_length=60)
    explanation: str = Field(min_length=2, max_length=400)


@dataclass(frozen=True, slots=True)
class Given:
    """A question with what was answered; None: it is open."""

    asked: Asked
    answer: str | None

    @property
    def is_right(self) -> bool:
        """Whether the answer is right."""
        return self.answer is not None and is_right(self.asked, self.answer)


@dataclass(slots=True)
class Round:
    """The questions of a round, and the text or topic that they are about."""

    source: str
    given: list[Given] = field(default_factory=list)


class Quiz:
    """The flow. The template needs the fields `source`, `count` and `style` (choice, short, mixed)."""

    def check(self, template: Template) -> None:
        """The fields that are needed."""
        missing = {"source", "count", "style"} - {field.id for field in template.fields}
        if missing:
            raise ValueError(f"a quiz asks for the field {min(missing)!r}")

    def opening(self, template: Template, form: Form) -> str:
        """What it is about, and how to begin."""
        texts = Texts("quiz", form.language)
        source = form.values.get("source", "")
        if not source:
            return f"{plain_opening(template, form)}\n\n{texts('no_source')}"
        about = shown_value(template, form, "source") if len(source) < _LONG else texts("your_text")
        return f"{plain_opening(template, form)}\n\n{texts('ready', about=about, count=_count(form))}"

    async def answer(self, occasion: Occasion, writer: Writer) -> AsyncIterator[Piece]:
        """The mark of an answer with the next question, or the score."""
        texts = Texts("quiz", occasion.language)
        said = occasion.question
        now = read_round(occasion.branch, occasion.form)
        before = read_round(occasion.branch[:-1], occasion.form).given
        if not before or before[-1].answer is not None:  # no question is open
            async for piece in self._ask(occasion, writer, before, now.source, ""):
                yield piece
            return
        open_one = before[-1].asked
        if is_command(said, texts.words("words.stop")):
            yield Piece(_score(before[:-1], texts), notes=open_one.ended().to_notes())
            return
        if not is_readable(open_one, said):
            hint = texts("unreadable", most=len(open_one.choices))
            yield Piece(f"{hint}\n\n{_shown(open_one, texts)}", notes=open_one.to_notes())
            return
        marked = _marked(now.given[-1], texts)
        if len(now.given) >= open_one.count:
            yield Piece(f"{marked}\n\n{_score(now.given, texts)}", notes=open_one.ended().to_notes())
            return
        async for piece in self._ask(occasion, writer, now.given, now.source, marked):
            yield piece

    async def _ask(
        self, occasion: Occasion, writer: Writer, given: Sequence[Given], source: str, before: str
    ) -> AsyncIterator[Piece]:
        """The next question; what is said before it goes out at once."""
        texts = Texts("quiz", occasion.language)
        if not source:
            yield Piece(texts("no_source"))
            return
        if before:
            yield Piece(before + "\n\n")
        number = len(given) + 1
        asked = await _make(occasion, writer, [one.asked for one in given], source, number)
        if asked is None:
            yield Piece(texts("not_made"))
            return
        yield Piece(_shown(asked, texts), notes=asked.to_notes())


def read_round(branch: Sequence[Turn], form: Form) -> Round:
    """The questions since the last score with the answers that could be read, and what they are about."""
    texts = Texts("quiz", form.language)
    commands = (*texts.words("words.start"), *texts.words("words.stop"))
    written = form.values.get("source", "")
    now = Round(source=written)
    for turn in branch:
        given = now.given
        if turn.role == "assistant":
            asked = Asked.read(turn.notes)
            if asked is None:
                continue
            if asked.is_over:
                given.clear()
            elif not given or given[-1].asked.number != asked.number:
                given.append(Given(asked, None))
        elif given and given[-1].answer is None:
            if is_readable(given[-1].asked, turn.content):
                given[-1] = Given(given[-1].asked, turn.content)
        elif not given and not is_command(turn.content, commands):
            least = _LONG if written else 2  # a few words are no text in the place of the form's
            if len(squeezed(turn.content)) >= least:
                now.source = turn.content
    return now


async def _make(
    occasion: Occasion, writer: Writer, before: Sequence[Asked], source: str, number: int
) -> Asked | None:
    """A question that holds what it must; None: the model made none in a few tries."""
    form, texts = occasion.form, Texts("quiz", occasion.language)
    count = _count(form)
    style = form.values.get("style", "choice")
    is_choice = style == "choice" or (style == "mixed" and number % 2 == 1)
    parts = split_text(source, _PART) if len(source) >= _LONG else []
    for attempt in range(_TRIES):
        part = parts[((number - 1) * max(1, len(parts) // count) + attempt) % len(parts)] if parts else ""
        key = "prompt.from_text" if part else "prompt.from_topic"
        earlier = "\n".join(f"- {one.question}" for one in before)
        asked = texts(
            key,
            source=form.fenced(part or source),
            level=shown_value(occasion.template, form, "level"),
            kind=texts("prompt.choice" if is_choice else "prompt.short"),
            earlier=texts("prompt.earlier", questions=form.fenced(earlier)) if earlier else "",
        )
        prompt = request(f"{texts('prompt.system')}\n{form.instruction()}", Message("user", asked))
        try:
            if is_choice:
                made = _from_choices(
                    await writer.fill(prompt, ChoiceDraft, max_tokens=320), form, number, count
                )
            else:
                draft = await writer.fill(prompt, ShortDraft, max_tokens=240)
                made = _from_short(draft, part, number, count)
        except StructuredOutputInvalid:
            continue
        if made is not None and _is_new(made, before) and language_of(made.question) == form.language:
            return made
    return None


def _from_choices(draft: ChoiceDraft, form: Form, number: int, count: int) -> Asked | None:
    """Four different choices in an order that the model does not know."""
    correct = " ".join(draft.correct.split())
    choices = [correct, *(" ".join(choice.split()) for choice in draft.wrong)]
    if len({squeezed(choice) for choice in choices}) != 4 or not all(squeezed(choice) for choice in choices):
        return None

    def place(choice: str) -> bytes:
        return blake2b(f"{form.mark} {number} {choice}".encode(), digest_size=8).digest()

    mixed = sorted(choices, key=place)
    return Asked(
        number=number,
        count=count,
        question=" ".join(draft.question.split()),
        choices=tuple(mixed),
        key=str(mixed.index(correct) + 1),
        explanation=" ".join(draft.explanation.split()),
    )


def _from_short(draft: ShortDraft, part: str, number: int, count: int) -> Asked | None:
    """A short answer that stands in the text, and not in the question."""
    answer = " ".join(draft.answer.split())
    if not squeezed(answer) or squeezed(answer) in squeezed(draft.question):
        return None
    if part and not is_quoted(answer, part, least=1):
        return None
    return Asked(
        number=number,
        count=count,
        question=" ".join(draft.question.split()),
        key=answer,
        explanation=" ".join(draft.explanation.split()),
    )


def _is_new(asked: Asked, before: Sequence[Asked]) -> bool:
    return all(squeezed(asked.question) != squeezed(one.question) for one in before)


def split_text(text: str, size: int) -> list[str]:
    """A text in parts of whole sentences with about `size` characters."""
    parts: list[str] = []
    for start, end in sentences(text):
        sentence = text[start:end]
        if parts and len(parts[-1]) + len(sentence) <= size:
            parts[-1] += sentence
        else:
            parts.extend(sentence[at : at + size] for at in range(0, len(sentence), size))
    return [part.strip() for part in parts if part.strip()]


def _shown(asked: Asked, texts: Texts) -> str:
    head = texts("question", number=asked.number, count=asked.count, question=asked.question)
    hint = texts("answer_choice") if asked.choices else texts("answer_short")
    return "\n\n".join(part for part in (head, shown_choices(asked), hint) if part)


def _marked(given: Given, texts: Texts) -> str:
    asked = given.asked
    key = f"{asked.key}. {asked.choices[int(asked.key) - 1]}" if asked.choices else asked.key
    verdict = texts("right" if given.is_right else "wrong", key=key)
    note = "" if asked.choices or given.is_right else f" {texts('compare')}"
    return f"{verdict}{note}\n\n{texts('explanation', text=asked.explanation)}"


def _score(given: Sequence[Given], texts: Texts) -> str:
    if not given:
        return texts("score.none")
    right = sum(one.is_right for one in given)
    lines = [texts("score.heading"), "", texts("score.head"), "|---|---|---|---|---|"]
    for one in given:
        asked = one.asked
        key = asked.choices[int(asked.key) - 1] if asked.choices else asked.key
        mark = texts("score.right") if one.is_right else texts("score.wrong")
        cells = [str(asked.number), cell(asked.question), cell(one.answer or ""), cell(key), mark]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", texts("score.total", right=right, count=len(given), share=round(100 * right / len(given)))]
    missed = [f"- {one.asked.question} → {one.asked.explanation}" for one in given if not one.is_right]
    if missed:
        lines += ["", texts("score.review"), "", *missed]
    return "\n".join([*lines, "", texts("score.again")])


def _count(form: Form) -> int:
    return int(form.values.get("count", "3"))


quiz = Quiz()
