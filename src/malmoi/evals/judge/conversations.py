"""Have a model answer questions turn by turn, and ask engines one request at a time, as many as they can."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeVar

from malmoi.core.errors import ContextOverflow
from malmoi.core.types import Chat, Message
from malmoi.engine.base import Completion, Engine, Prompt, Sampling
from malmoi.evals.judge.questions import Question

T = TypeVar("T")

TEMPERATURES: Mapping[str, float] = MappingProxyType(
    {
        "writing": 0.7,
        "roleplay": 0.7,
        "extraction": 0.0,
        "math": 0.0,
        "coding": 0.0,
        "reasoning": 0.0,
        "stem": 0.1,
        "humanities": 0.1,
    }
)
"""How MT-Bench samples answers, by category; others are answered greedily."""

_TOO_LONG = Completion("", "length")


@dataclass(frozen=True, slots=True)
class Conversation:
    """A question and a model's answers to its turns."""

    question: Question
    answers: tuple[Completion, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """The answers' visible texts."""
        return tuple(answer.text.strip() for answer in self.answers)


async def hold_conversations(
    questions: Sequence[Question],
    model: Engine,
    *,
    max_tokens: int = 1024,
    seed: int = 0,
    temperatures: Mapping[str, float] = TEMPERATURES,
    progress: Callable[[], None] | None = None,
) -> list[Conversation]:
    """A model's answers to every turn, each with the turns before it.

    A model without chat is given a plain transcript to go on with. A turn that does not fit into its context
    is an empty answer that was cut off.

    Args:
        questions: what is asked.
        model: who answers.
        max_tokens: of an answer.
        seed: of sampling; the same seed gives the same answers on the same engine.
        temperatures: by category; 0 where there is none.
        progress: called after each question.
    """

    async def hold(question: Question) -> Conversation:
        sampling = Sampling(
            max_tokens=max_tokens, temperature=temperatures.get(question.category, 0.0), seed=seed
        )
        answers: list[Completion] = []
        for turn in range(len(question.turns)):
            answers.append(await ask(model, _prompt(question, answers, turn, model), sampling))
        if progress is not None:
            progress()
        return Conversation(question, tuple(answers))

    return await each(questions, hold, at_once=model.info.num_slots)


async def ask(engine: Engine, prompt: Prompt, sampling: Sampling) -> Completion:
    """One answer; an empty one that was cut off where the prompt does not fit into the context."""
    if "chat" not in engine.info.capabilities and isinstance(prompt, str):
        sampling = replace(sampling, stop=(*sampling.stop, "\n### "))
    try:
        (answer,) = await engine.generate([prompt], sampling)
    except ContextOverflow:
        return _TOO_LONG
    return answer


async def each(
    items: Sequence[Question], work: Callable[[Question], Awaitable[T]], *, at_once: int
) -> list[T]:
    """Work on all items, so many at once; results in their order. The first failure ends the rest."""
    room = asyncio.Semaphore(max(1, at_once))

    async def one(item: Question) -> T:
        async with room:
            return await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(item)) for item in items]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]


def as_prompt(chat: Chat, engine: Engine) -> Prompt:
    """A chat, or for an engine without chat a plain transcript of it that ends where the answer begins."""
    if "chat" in engine.info.capabilities:
        return chat
    return (
        "".join(f"### {message.role}\n{message.content}\n\n" for message in chat.messages) + "### assistant\n"
    )


def _prompt(question: Question, answers: Sequence[Completion], turn: int, engine: Engine) -> Prompt:
    messages: list[Message] = []
    for asked, answer in zip(question.turns[:turn], answers, strict=True):
        messages += [Message("user", asked), Message("assistant", answer.text)]
    messages.append(Message("user", question.turns[turn]))
    return as_prompt(Chat(tuple(messages)), engine)
