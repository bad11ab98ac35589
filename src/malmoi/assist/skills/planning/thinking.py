"""The model as skills see it: it answers chats, and it can be held to a schema. What it costs is counted."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol

from malmoi.core.errors import InvalidInput
from malmoi.core.types import Chat
from malmoi.engine.base import Chunk, Completion, Sampling, Usage


class SkillModel(Protocol):
    """A language model for one caller; admission, limits, metering and the guard are behind it."""

    def stream(self, chat: Chat, sampling: Sampling) -> AsyncIterator[Chunk]:
        """Answer, piece by piece. Closing it stops the model."""
        ...

    async def generate(self, chat: Chat, sampling: Sampling) -> Completion:
        """A whole answer; with `json_schema` it fits the schema.

        Raises:
            StructuredOutputInvalid: it does not, after one repair.
        """
        ...


class TokensSpent(InvalidInput):
    """A run has used up its tokens."""

    code = "run_tokens_spent"


@dataclass(slots=True)
class Spent:
    """What one run may use of the model, and has used.

    Attributes:
        most: tokens of prompts and answers together.
        usage: so far.
    """

    most: int
    usage: Usage = field(default_factory=Usage)

    def add(self, usage: Usage) -> None:
        """Count one answer."""
        self.usage = Usage(
            prompt_tokens=self.usage.prompt_tokens + usage.prompt_tokens,
            completion_tokens=self.usage.completion_tokens + usage.completion_tokens,
            cached_tokens=self.usage.cached_tokens + usage.cached_tokens,
            reasoning_tokens=self.usage.reasoning_tokens + usage.reasoning_tokens,
            prompt_seconds=self.usage.prompt_seconds + usage.prompt_seconds,
            completion_seconds=self.usage.completion_seconds + usage.completion_seconds,
        )

    def check(self) -> None:
        """Whether there is anything left.

        Raises:
            TokensSpent: there is not.
        """
        if self.usage.total_tokens >= self.most:
            raise TokensSpent(f"this run has used its {self.most} tokens.", fix="Ask for less at a time.")


async def think(model: SkillModel, chat: Chat, sampling: Sampling, spent: Spent) -> Completion:
    """One whole answer, counted.

    Raises:
        TokensSpent: the run has none left.
    """
    spent.check()
    completion = await model.generate(chat, sampling)
    spent.add(completion.usage)
    return completion
