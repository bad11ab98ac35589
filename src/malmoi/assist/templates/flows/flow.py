"""What a flow is: it reads a branch and writes the next answer, with or without a model."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel

from malmoi.assist.templates.form import Form, system_prompt
from malmoi.assist.templates.template import Language, Template
from malmoi.core.types import Chat, Message
from malmoi.engine.base import Sampling

FormT = TypeVar("FormT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Turn:
    """A message of the branch; `notes` are what a flow left with a message of its own."""

    role: Literal["user", "assistant"]
    content: str
    notes: Mapping[str, Any] | None = None


class Reads(Protocol):
    """The skills that a template names, as a flow reads them: nothing is changed by it."""

    async def parameters(self, skill: str, operation: str) -> Mapping[str, Any]:
        """The JSON schema of a read's arguments.

        Raises:
            MalmoiError: there is no such skill or read, or the person may not use it.
        """
        ...

    async def read(self, skill: str, operation: str, arguments: Mapping[str, Any], *, about: str = "") -> Any:
        """Plain values.

        Raises:
            MalmoiError: it does not answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class Occasion:
    """What is to be answered.

    Attributes:
        template: of the conversation.
        form: what was filled in.
        branch: from the first message to the one that is to be answered.
        sampling: for what the model writes for people to read.
        reads: the skills that the template names; None: there are none, or the person may not use them.
    """

    template: Template
    form: Form
    branch: tuple[Turn, ...]
    sampling: Sampling = field(default_factory=Sampling)
    reads: Reads | None = None

    @property
    def language(self) -> Language:
        """Of the conversation."""
        return self.form.language

    @property
    def question(self) -> str:
        """What the person said last."""
        return next((turn.content for turn in reversed(self.branch) if turn.role == "user"), "")

    @property
    def system(self) -> str:
        """The template's system prompt with the values of the form."""
        return system_prompt(self.template, self.form)

    def said(self, role: Literal["user", "assistant"]) -> list[str]:
        """All texts of one side."""
        return [turn.content for turn in self.branch if turn.role == role]


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of an answer; `notes` belong to the whole answer, the last ones count."""

    text: str = ""
    notes: Mapping[str, Any] | None = None


class Writer(Protocol):
    """A model, as a flow sees it. Closing or cancelling a call stops the model."""

    def write(self, prompt: Chat, sampling: Sampling) -> AsyncIterator[str]:
        """Free text, piece by piece.

        Raises:
            MalmoiError: the model fails, or may not be used.
        """
        ...

    async def fill(self, prompt: Chat, form: type[FormT], *, max_tokens: int) -> FormT:
        """An answer that fits `form`; the model is held to its JSON schema, and the answer is checked.

        Raises:
            StructuredOutputInvalid: the model's answer does not fit.
            MalmoiError: the model fails, or may not be used.
        """
        ...


@runtime_checkable
class Flow(Protocol):
    """A driver of conversations. It keeps nothing between calls."""

    def check(self, template: Template) -> None:
        """Look at the template's options.

        Raises:
            ValueError: one is wrong.
        """
        ...

    def opening(self, template: Template, form: Form) -> str:
        """What the assistant says first; no model is asked."""
        ...

    def answer(self, occasion: Occasion, writer: Writer) -> AsyncIterator[Piece]:
        """The next answer.

        Raises:
            MalmoiError: the model fails where its words cannot be done without.
        """
        ...


def recent(branch: Sequence[Turn], *, characters: int) -> tuple[Message, ...]:
    """The newest turns that fit, the last one always; user and assistant in turn, a user first."""
    kept: list[Message] = []
    for turn in reversed(branch):
        characters -= len(turn.content)
        if kept and characters < 0:
            break
        if not turn.content:
            continue
        if kept and kept[-1].role == turn.role:
            kept[-1] = Message(turn.role, f"{turn.content}\n\n{kept[-1].content}")
        else:
            kept.append(Message(turn.role, turn.content))
    kept.reverse()
    return tuple(kept[1:] if kept and kept[0].role == "assistant" else kept)


def request(system: str, *messages: Message) -> Chat:
    """A prompt without thinking: flows ask for short answers."""
    first = (Message("system", system),) if system else ()
    return Chat((*first, *messages), thinking=False)


def plain_opening(template: Template, form: Form) -> str:
    """The template's own opening."""
    return template.opening.of(form.language).strip() if template.opening is not None else ""
