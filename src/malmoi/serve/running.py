"""A request that holds a slot: what was asked, the engine that answers, and what it has used so far."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from malmoi.core.errors import MalmoiError
from malmoi.engine.base import Chunk, Engine, Prompt, Sampling, Usage

if TYPE_CHECKING:
    from malmoi.assist.guard import Report
    from malmoi.serve.limits import LimitStatus

Source: TypeAlias = Literal["openai", "studio", "chat", "redteam", "skills"]

_BYTES_PER_TOKEN = 3  # for the estimate that is reserved before the engine has counted
_TOKENS_PER_MESSAGE = 8  # what a template adds to a turn
_COUNT_SECONDS = 2.0  # how long to wait for an exact count of the prompt of a request that was cut short


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """One request for text.

    Attributes:
        model: a model's name; empty: the server's default model.
        prompt: text, token ids or a chat.
        sampling: how to choose tokens; with `json_schema` the answer is validated.
        source: which API or app asks; it is written to the usage row.
        request_id: unique; the usage row has it as its key.
        on_queue: told the place in the queue (1 = next) whenever it changes, and 0 when the request starts
            to run.
        on_limits: told what is left of the caller's limits, when the request is admitted.
        on_guard: told what the guard did with an answer, by the answer's number, before its last chunk.
        wants_filter: the guard's report must tell the risk of the answer by group.
    """

    model: str
    prompt: Prompt
    sampling: Sampling
    source: Source
    request_id: str
    on_queue: Callable[[int], None] | None = None
    on_limits: Callable[[LimitStatus], None] | None = None
    on_guard: Callable[[int, Report], None] | None = None
    wants_filter: bool = False


@dataclass(eq=False, slots=True)
class _Stream:
    """A generation that has not reported its usage yet."""

    prompt: Prompt
    is_billed: bool  # whether its prompt is billed: of several choices only the first one's is
    tokens: int = 0


@dataclass(slots=True)
class Running:
    """A request that holds a slot: its engine, and what it has used so far."""

    engine: Engine
    started: float
    usage: Usage = field(default_factory=Usage)
    first_token: float | None = None
    finish_reason: str = "abort"
    unsettled: list[_Stream] = field(default_factory=list)

    async def stream(
        self, prompt: Prompt, sampling: Sampling, *, is_billed: bool = True
    ) -> AsyncGenerator[Chunk, None]:
        """The engine's chunks, counted."""
        open_stream = _Stream(prompt, is_billed)
        self.unsettled.append(open_stream)
        async with aclosing(as_generator(self.engine.stream(prompt, sampling))) as chunks:
            async for chunk in chunks:
                if chunk.finish_reason is None:
                    open_stream.tokens += len(chunk.token_ids) or 1
                    if self.first_token is None:
                        self.first_token = time.perf_counter() - self.started
                else:
                    self._finish(open_stream, chunk)
                yield chunk

    def _finish(self, stream: _Stream, chunk: Chunk) -> None:
        self.finish_reason = chunk.finish_reason or "stop"
        if chunk.usage is not None:
            self.unsettled.remove(stream)
            counted = (
                chunk.usage if stream.is_billed else replace(chunk.usage, prompt_tokens=0, cached_tokens=0)
            )
            self.usage = add_usage(self.usage, counted)


async def whole_usage(run: Running) -> Usage:
    """What was used, also by generations that were cut short before they could report it."""
    usage = run.usage
    for stream in run.unsettled:
        prompt_tokens = await count_tokens(run.engine, stream.prompt) if stream.is_billed else 0
        usage = add_usage(usage, Usage(prompt_tokens=prompt_tokens, completion_tokens=stream.tokens))
    return usage


async def count_tokens(engine: Engine, prompt: Prompt) -> int:
    """Tokens of a prompt: exact where the engine can tell in time, else the estimate."""
    if "tokenize" in engine.info.capabilities:
        try:
            async with asyncio.timeout(_COUNT_SECONDS):
                return len(await engine.tokenize(prompt))
        except (MalmoiError, TimeoutError):
            pass  # the engine is gone; what it was asked must be billed all the same
    return estimate_tokens(prompt)


def estimate_tokens(prompt: Prompt) -> int:
    """About how many tokens a prompt has: what is reserved until the engine has counted them."""
    if isinstance(prompt, tuple):
        return len(prompt)
    if isinstance(prompt, str):
        return len(prompt.encode("utf-8", "replace")) // _BYTES_PER_TOKEN + 1
    texts = [message.content for message in prompt.messages]
    texts += [f"{tool.name}{tool.description}{tool.parameters}" for tool in prompt.tools]
    return sum(estimate_tokens(text) + _TOKENS_PER_MESSAGE for text in texts)


def as_generator(stream: AsyncIterator[Chunk]) -> AsyncGenerator[Chunk, None]:
    """The same stream with `aclose`: engines written as async generators have it already."""
    if isinstance(stream, AsyncGenerator):
        return stream

    async def closing() -> AsyncGenerator[Chunk, None]:
        async for chunk in stream:
            yield chunk

    return closing()


def add_usage(a: Usage, b: Usage) -> Usage:
    """Both together."""
    return Usage(
        prompt_tokens=a.prompt_tokens + b.prompt_tokens,
        completion_tokens=a.completion_tokens + b.completion_tokens,
        cached_tokens=a.cached_tokens + b.cached_tokens,
        reasoning_tokens=a.reasoning_tokens + b.reasoning_tokens,
        prompt_seconds=a.prompt_seconds + b.prompt_seconds,
        completion_seconds=a.completion_seconds + b.completion_seconds,
    )
