"""Texts that carry more than lm-eval hands on: it treats them as the text that they are."""

from dataclasses import dataclass
from typing import Any

from malmoi.core.types import Chat, FinishReason


@dataclass(frozen=True, slots=True)
class AnswerNotes:
    """How a generated answer came about; `cut`: its prompt lost its beginning, for it did not fit."""

    finish_reason: FinishReason = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cut: bool = False


class Answer(str):
    """A generated answer with how it came about."""

    notes: AnswerNotes

    def __new__(cls, text: str, notes: AnswerNotes) -> "Answer":
        """The text, with notes."""
        made = super().__new__(cls, text)
        made.notes = notes
        return made

    def __deepcopy__(self, _: dict[int, Any]) -> "Answer":
        return self


class ChatText(str):
    """A prompt that is a conversation: the engine renders it with its model's own template."""

    chat: Chat

    def __new__(cls, text: str, chat: Chat) -> "ChatText":
        """What stands for it in logs, and the conversation."""
        made = super().__new__(cls, text)
        made.chat = chat
        return made

    def __deepcopy__(self, _: dict[int, Any]) -> "ChatText":
        return self


class Likelihood(tuple[float, bool]):
    """A log-probability and whether it is greedy, as lm-eval wants them, with the tokens it took."""

    prompt_tokens: int
    completion_tokens: int
    cut: bool

    def __new__(
        cls,
        logprob: float,
        greedy: bool,
        *,
        prompt_tokens: int = 0,
        completion_tokens: int = 0,
        cut: bool = False,
    ) -> "Likelihood":
        """The pair, with counts."""
        made = super().__new__(cls, (logprob, greedy))
        made.prompt_tokens = prompt_tokens
        made.completion_tokens = completion_tokens
        made.cut = cut
        return made

    def __deepcopy__(self, _: dict[int, Any]) -> "Likelihood":
        return self
