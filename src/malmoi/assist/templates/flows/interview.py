"""Mock interview: asks from a bank of questions, follows up, scores each answer by a rubric, and reports.

Where it stands is read from the branch: a question of the bank that the assistant has said opens an exchange,
what it said after the answer is a follow-up, and a report ends the round.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from malmoi.assist.guard.sentences import language_of
from malmoi.assist.templates.flows.banks import Bank, Question, known_banks, load_bank
from malmoi.assist.templates.flows.flow import Occasion, Piece, Turn, Writer, plain_opening, recent, request
from malmoi.assist.templates.flows.report import Answered, write_report
from malmoi.assist.templates.flows.wording import is_command, one_question
from malmoi.assist.templates.form import Form, shown_value
from malmoi.assist.templates.template import Template
from malmoi.assist.templates.texts import Texts
from malmoi.core.errors import MalmoiError
from malmoi.core.types import Message
from malmoi.engine.base import Sampling

_ENOUGH = {"ko": 160, "en": 320}  # characters of an answer that needs no follow-up, if it has figures as well
_CONTEXT = 3000  # characters of the talk after a report


@dataclass(slots=True)
class Exchange:
    """A question, its answer, and perhaps a follow-up with its answer."""

    question: Question
    answers: list[str] = field(default_factory=list)
    follow_ups: int = 0
    is_skipped: bool = False


@dataclass(slots=True)
class Round:
    """The exchanges since the last report, and whether there was one after them."""

    exchanges: list[Exchange] = field(default_factory=list)
    is_reported: bool = False
    asked_before: int = 0


class Interview:
    """The flow. The template needs the fields `area` (a bank's name), `count` and `follow_ups` (yes, no)."""

    def check(self, template: Template) -> None:
        """The areas of the form must be banks of questions."""
        fields = {one.id: one for one in template.fields}
        for name in ("area", "count", "follow_ups"):
            if name not in fields:
                raise ValueError(f"an interview asks for the field {name!r}")
        unknown = {choice.value for choice in fields["area"].choices} - set(known_banks())
        if unknown:
            raise ValueError(f"there is no bank of questions {min(unknown)!r}; there are {known_banks()}")

    def opening(self, template: Template, form: Form) -> str:
        """A greeting, and the first question."""
        first = _ordered(form)[0]
        return f"{plain_opening(template, form)}\n\n{_asked(form, first, 1)}"

    async def answer(self, occasion: Occasion, writer: Writer) -> AsyncIterator[Piece]:
        """The next question, a follow-up, or the report."""
        form, texts = occasion.form, Texts("interview", occasion.language)
        now = read_round(occasion.branch, form)
        said = occasion.question
        if now.is_reported:
            if is_command(said, texts.words("words.again")):
                ordered = _ordered(form)
                yield Piece(_asked(form, ordered[now.asked_before % len(ordered)], 1))
                return
            prompt = request(
                texts("prompt.after", system=occasion.system), *recent(occasion.branch, characters=_CONTEXT)
            )
            async for text in writer.write(prompt, occasion.sampling):
                yield Piece(text)
            return
        if not now.exchanges:
            yield Piece(_asked(form, _ordered(form)[now.asked_before % len(_ordered(form))], 1))
            return
        answered = [one for one in now.exchanges if one.answers]
        if is_command(said, texts.words("words.stop")):
            if not answered:
                yield Piece(texts("nothing"))
                return
        else:
            current = now.exchanges[-1]
            if is_command(said, texts.words("words.ready")) and not current.answers:
                yield Piece(_asked(form, current.question, len(now.exchanges)))
                return
            if _wants_more(current, form):
                yield Piece(await _follow_up(current, occasion, writer))
                return
            number = len(now.exchanges)
            if number < _count(form):
                ordered = _ordered(form)
                following = ordered[(now.asked_before + number) % len(ordered)]
                thanks = texts("skipped") if current.is_skipped else texts("heard")
                yield Piece(f"{thanks}\n\n{_asked(form, following, number + 1)}")
                return
        title = shown_value(occasion.template, form, "area")
        rows = [Answered(one.question, "\n".join(one.answers)) for one in now.exchanges]
        async for text in write_report(rows, title, form, writer):
            yield Piece(text)


def read_round(branch: Sequence[Turn], form: Form) -> Round:
    """Where the interview stands."""
    texts = Texts("interview", form.language)
    questions = _ordered(form)
    now = Round()
    for turn in branch:
        if turn.role == "assistant":
            # Another language than now: the conversation came from elsewhere.
            question = next((q for q in questions if q.ko in turn.content or q.en in turn.content), None)
            if turn.content.startswith(texts("report.heading")):
                now.is_reported = True
            elif question is not None and now.exchanges and now.exchanges[-1].question == question:
                continue  # asked again, as it was
            elif question is not None:
                if now.is_reported:
                    now = Round(asked_before=now.asked_before)
                now.exchanges.append(Exchange(question))
                now.asked_before += 1
            elif now.exchanges and now.exchanges[-1].answers:
                now.exchanges[-1].follow_ups += 1
        elif now.exchanges and not now.is_reported:
            _take(now.exchanges[-1], turn.content, texts)
    now.asked_before -= 0 if now.is_reported else len(now.exchanges)
    return now


def _take(exchange: Exchange, said: str, texts: Texts) -> None:
    if is_command(said, texts.words("words.skip")):
        exchange.is_skipped = True
    elif not is_command(said, (*texts.words("words.stop"), *texts.words("words.ready"))):
        exchange.answers.append(said)


def _wants_more(exchange: Exchange, form: Form) -> bool:
    """One follow-up, where an answer is short or has nothing that can be counted."""
    if form.values.get("follow_ups") == "no" or exchange.follow_ups or exchange.is_skipped:
        return False
    text = " ".join(exchange.answers)
    return len(text) < _ENOUGH[form.language] or not any(char.isdigit() for char in text)


async def _follow_up(exchange: Exchange, occasion: Occasion, writer: Writer) -> str:
    """The model's words where they are one question in the right language, else those of the bank."""
    form, texts = occasion.form, Texts("interview", occasion.language)
    usual = exchange.question.follow(form.language)
    asked = Message(
        "user",
        texts(
            "prompt.follow_up",
            question=exchange.question.text(form.language),
            hint=usual,
            answer=form.fenced("\n".join(exchange.answers)),
        ),
    )
    try:
        parts = [
            text
            async for text in writer.write(
                request(form.instruction(), asked), Sampling(temperature=0.4, max_tokens=70)
            )
        ]
    except MalmoiError:
        return usual  # the interview goes on without the model
    question = one_question("".join(parts), most=160 if form.language == "ko" else 240)
    fits = question is not None and language_of(question) == form.language
    return question if fits and question is not None and form.mark not in question else usual


def _asked(form: Form, question: Question, number: int) -> str:
    texts = Texts("interview", form.language)
    return texts("question", number=number, count=_count(form), question=question.text(form.language))


def _count(form: Form) -> int:
    return int(form.values.get("count", "3"))


def _ordered(form: Form) -> list[Question]:
    """The questions of the bank, in an order of this conversation's own."""
    bank: Bank = load_bank(form.values.get("area", known_banks()[0]))

    def place(question: Question) -> bytes:
        return blake2b(f"{form.mark} {question.id}".encode(), digest_size=8).digest()

    return sorted(bank.questions, key=place)


interview = Interview()
