"""From streams to whole answers: what every engine's `generate` is made of."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import cast

from malmoi.core.errors import EngineError
from malmoi.core.types import FinishReason, ToolCall
from malmoi.engine.base import Chunk, Completion, Prompt, Sampling, TokenLogprob, ToolCallDelta, Usage


async def collect(stream: AsyncIterator[Chunk]) -> Completion:
    """Read a stream to its end and put its pieces together; the stream is closed whatever happens.

    Raises:
        EngineError: the stream ended without a last chunk (one with `finish_reason`).
    """
    text: list[str] = []
    reasoning: list[str] = []
    deltas: list[ToolCallDelta] = []
    token_ids: list[int] = []
    logprobs: list[TokenLogprob] = []
    finish_reason: FinishReason | None = None
    usage = Usage()
    # Closing the stream is what frees the engine's slot, also when this task is cancelled.
    async with aclosing(_closable(stream)) as chunks:
        async for chunk in chunks:
            text.append(chunk.text)
            reasoning.append(chunk.reasoning)
            deltas.extend(chunk.tool_calls)
            token_ids.extend(chunk.token_ids)
            logprobs.extend(chunk.logprobs)
            finish_reason = chunk.finish_reason or finish_reason
            usage = chunk.usage or usage
    if finish_reason is None:
        raise EngineError("the engine's answer ended without a finish reason.", fix="Try again.")
    return Completion(
        text="".join(text),
        finish_reason=finish_reason,
        reasoning="".join(reasoning),
        tool_calls=merge_tool_calls(deltas),
        token_ids=tuple(token_ids),
        sampled=(True,) * len(token_ids),
        logprobs=tuple(logprobs),
        usage=usage,
    )


def merge_tool_calls(deltas: Sequence[ToolCallDelta]) -> tuple[ToolCall, ...]:
    """Whole calls from their pieces, by index; a call without an id gets `call_<index>`."""
    calls: dict[int, ToolCall] = {}
    for delta in deltas:
        known = calls.get(delta.index, ToolCall(id="", name="", arguments=""))
        calls[delta.index] = ToolCall(
            id=known.id or delta.id or "",
            name=known.name or delta.name or "",
            arguments=known.arguments + delta.arguments,
        )
    return tuple(
        call if call.id else ToolCall(id=f"call_{index}", name=call.name, arguments=call.arguments)
        for index, call in sorted(calls.items())
    )


async def generate_all(
    stream: Callable[[Prompt, Sampling], AsyncIterator[Chunk]],
    prompts: Sequence[Prompt],
    sampling: Sampling,
    *,
    concurrency: int,
) -> list[Completion]:
    """Answer many prompts, at most `concurrency` at a time, in their order.

    The first error ends the others and is raised as it is (not in an exception group).
    """
    slots = asyncio.Semaphore(concurrency)

    async def one(prompt: Prompt) -> Completion:
        async with slots:
            return await collect(stream(prompt, sampling))

    tasks = [asyncio.ensure_future(one(prompt)) for prompt in prompts]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        # Wait until every stream is closed, so that no slot is held after this returns.
        await asyncio.gather(*tasks, return_exceptions=True)


class _Closable:
    """An async iterator with `aclose`, whether or not the one it wraps has it."""

    def __init__(self, stream: AsyncIterator[Chunk]) -> None:
        self._stream = stream

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self._stream

    async def aclose(self) -> None:
        close = getattr(self._stream, "aclose", None)
        if close is not None:
            await close()


def _closable(stream: AsyncIterator[Chunk]) -> _Closable:
    return cast("_Closable", stream) if hasattr(stream, "aclose") else _Closable(stream)
