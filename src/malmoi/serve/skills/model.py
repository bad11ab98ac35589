"""The caller's model as skills see it: every answer goes through `Inference`, its limits and its guard."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from malmoi.engine.base import Chunk
from malmoi.serve.db import new_id
from malmoi.serve.running import InferenceRequest

if TYPE_CHECKING:
    from malmoi.assist.guard import Report
    from malmoi.core.types import Chat
    from malmoi.engine.base import Completion, Sampling
    from malmoi.serve.identity import Principal
    from malmoi.serve.inference import Inference


class CallerModel:
    """One model, for one caller.

    Args:
        inference: runs it.
        principal: who pays.
        model: its name; empty: the server's default.
    """

    def __init__(self, inference: Inference, principal: Principal, model: str) -> None:
        self._inference = inference
        self._principal = principal
        self._model = model

    async def stream(self, chat: Chat, sampling: Sampling) -> AsyncGenerator[Chunk, None]:
        """Answer, piece by piece; what the guard says of an answer that it blocks is the answer's end."""
        refusals: list[str] = []

        def guarded(_: int, report: Report) -> None:
            if report.is_blocked:
                refusals.append(report.message)

        request = replace(self._request(chat, sampling), on_guard=guarded)
        async with aclosing(self._inference.stream(self._principal, request)) as chunks:
            async for chunk in chunks:
                yield chunk
        if refusals:
            yield Chunk(text=refusals[-1])

    async def generate(self, chat: Chat, sampling: Sampling) -> Completion:
        """A whole answer; with a schema it fits the schema."""
        return await self._inference.generate(self._principal, self._request(chat, sampling))

    def _request(self, chat: Chat, sampling: Sampling) -> InferenceRequest:
        return InferenceRequest(
            model=self._model,
            prompt=chat,
            sampling=sampling,
            source="skills",
            request_id=new_id("skill"),
        )
