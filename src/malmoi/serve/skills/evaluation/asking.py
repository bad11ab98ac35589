"""An engine as skills see it, without a server around it."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from malmoi.core.types import Chat, Message

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from malmoi.engine.base import Chunk, Completion, Engine, Sampling


class EngineModel:
    """One engine, asked without admission, limits or a guard.

    Args:
        engine: that answers.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def check(self) -> None:
        """Whether it can answer chats: a plan without answers would look like one that is always asked for.

        Raises:
            Unsupported: it only continues text.
        """
        await self._engine.tokenize(Chat((Message("user", "?"),)))

    async def stream(self, chat: Chat, sampling: Sampling) -> AsyncGenerator[Chunk, None]:
        """Answer, piece by piece."""
        async with aclosing(self._engine.stream(chat, sampling)) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                yield chunk

    async def generate(self, chat: Chat, sampling: Sampling) -> Completion:
        """A whole answer; with a schema it fits the schema where the engine can hold to one."""
        return (await self._engine.generate([chat], sampling))[0]
