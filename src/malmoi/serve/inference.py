"""The one way by which every API and every app runs a model.

It resolves the model, checks what it can do, reserves the caller's limits, waits for a slot, streams, and
settles the usage exactly once, whatever the end: finished, cancelled, disconnected or failed (what was
generated is billed).

Structured answers (a JSON schema, a tool call) leave here only when they fit; one that does not is mended
once by asking the model again with what is wrong, else the request ends in `StructuredOutputInvalid`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from malmoi.core.errors import EngineUnavailable, MalmoiError, StructuredOutputInvalid, Unsupported
from malmoi.core.types import Chat, ToolChoice
from malmoi.engine.base import (
    Capability,
    Chunk,
    Completion,
    Engine,
    EngineInfo,
    Prompt,
    Sampling,
    ToolCallDelta,
    Usage,
)
from malmoi.engine.collect import collect, merge_tool_calls
from malmoi.serve.structured import (
    AnswerCheck,
    allowed_tools,
    ask_again,
    call_schema,
    forced_call,
    instruct,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from malmoi.serve.admission import Admission
    from malmoi.serve.engines import EnginePool, ModelState
    from malmoi.serve.identity import Principal
    from malmoi.serve.limits import LimitStatus
    from malmoi.serve.metering import Metering, Reservation
    from malmoi.serve.metrics import Metrics

Source: TypeAlias = Literal["openai", "studio", "chat"]

_BYTES_PER_TOKEN = 3  # for the estimate that is reserved before the engine has counted
_TOKENS_PER_MESSAGE = 8  # what a template adds to a turn
_RESERVED_ANSWER = 1024  # tokens reserved for an answer without `max_tokens`
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
    """

    model: str
    prompt: Prompt
    sampling: Sampling
    source: Source
    request_id: str
    on_queue: Callable[[int], None] | None = None
    on_limits: Callable[[LimitStatus], None] | None = None


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors of texts, one a text, and what they cost."""

    model: str
    vectors: NDArray[np.float32]  # (N, D), unit length
    prompt_tokens: int


@dataclass(eq=False, slots=True)
class _Stream:
    """A generation that has not reported its usage yet."""

    prompt: Prompt
    is_billed: bool  # whether its prompt is billed: of several choices only the first one's is
    tokens: int = 0


@dataclass(slots=True)
class _Run:
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
            self.usage = _add(self.usage, counted)


class Inference:
    """Runs models for callers. See the module."""

    def __init__(
        self, engines: EnginePool, admission: Admission, metering: Metering, metrics: Metrics
    ) -> None:
        self._engines = engines
        self._admission = admission
        self._metering = metering
        self._metrics = metrics
        self._settling: set[asyncio.Task[None]] = set()
        self._tasks: set[asyncio.Task[object]] = set()
        self._aborting = asyncio.Event()

    def models(self) -> list[ModelState]:
        """Every model that is known here, the default first."""
        return self._engines.states()

    async def stream(self, principal: Principal, request: InferenceRequest) -> AsyncGenerator[Chunk, None]:
        """Generate, piece by piece; closing or cancelling it stops the engine and frees the slot.

        Text and reasoning come as they are generated. Tool calls come whole and checked. With a JSON schema
        or a forced tool call everything comes at the end, checked.

        Raises:
            UnknownName, NotFound: there is no such model here.
            Unsupported: it cannot do what is asked.
            ContextOverflow: the prompt does not fit.
            RateLimited, Overloaded: the caller's limits, the server's queue.
            EngineUnavailable, EngineError: the engine is gone, or failed.
            StructuredOutputInvalid: the answer does not fit its schema, after one repair.
        """
        check = await _answer_check(request)
        async with (
            self._admitted(principal, request) as (run, _),
            aclosing(_answer(run, request, check)) as chunks,
        ):
            async for chunk in chunks:
                yield chunk

    async def choices(
        self, principal: Principal, request: InferenceRequest, count: int
    ) -> AsyncGenerator[tuple[int, Chunk], None]:
        """Several answers to one prompt, as `(choice, chunk)`; their usages add up to the request's.

        They run side by side as far as slots are free now, and otherwise one after another. Raises what
        `stream` raises; the first failure ends all.
        """
        check = await _answer_check(request)
        queue: asyncio.Queue[tuple[int, Chunk] | BaseException | None] = asyncio.Queue(maxsize=2 * count)

        async def work(run: _Run, numbers: Iterator[int]) -> None:
            try:
                for number in numbers:
                    async with aclosing(_answer(run, _nth(request, number), check, number)) as chunks:
                        async for chunk in chunks:
                            await queue.put((number, chunk))
                await queue.put(None)
            except Exception as error:  # handed over to the reader, who raises it
                await queue.put(error)

        async with self._admitted(principal, request, count) as (run, width):
            numbers = iter(range(count))
            workers = [asyncio.create_task(work(run, numbers)) for _ in range(width)]
            try:
                left = width
                while left:
                    item = await queue.get()
                    if isinstance(item, BaseException):
                        raise item
                    if item is None:
                        left -= 1
                    else:
                        yield item
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)

    async def generate(self, principal: Principal, request: InferenceRequest) -> Completion:
        """A whole answer, checked against its schemas. Raises what `stream` raises."""
        return await collect(self.stream(principal, request))

    async def embed(
        self, principal: Principal, model: str, texts: Sequence[str], *, source: Source, request_id: str
    ) -> Embeddings:
        """One unit-length vector a text. Raises what `stream` raises."""
        request = InferenceRequest(model, "\n".join(texts), Sampling(max_tokens=0), source, request_id)
        async with self._admitted(principal, request, capability="embed") as (run, _):
            vectors = await run.engine.embed(texts)
            counts = [await _count(run.engine, text) for text in texts]
            run.usage, run.finish_reason = Usage(prompt_tokens=sum(counts)), "stop"
            return Embeddings(self._engines.resolve(model), vectors, sum(counts))

    async def tokenize(self, principal: Principal, model: str, prompt: Prompt) -> tuple[int, ...]:
        """The token ids that a prompt becomes; costs no tokens and takes no slot."""
        del principal  # whoever may run models may count their tokens
        async with self._engines.lease(self._engines.resolve(model)) as engine:
            _require(engine.info, "tokenize")
            return await engine.tokenize(prompt)

    async def info(self, model: str) -> EngineInfo:
        """What a model is and can do; it is opened if need be."""
        async with self._engines.lease(self._engines.resolve(model)) as engine:
            return engine.info

    def abort_all(self) -> None:
        """End every request under way, and every new one, with `EngineUnavailable`: the server stops."""
        self._aborting.set()
        for task in self._tasks:
            task.cancel("the server shuts down")

    async def close(self) -> None:
        """Wait until the usage of all requests is written."""
        while self._settling:
            await asyncio.gather(*self._settling, return_exceptions=True)

    @asynccontextmanager
    async def _admitted(
        self,
        principal: Principal,
        request: InferenceRequest,
        count: int = 1,
        capability: Capability = "generate",
    ) -> AsyncIterator[tuple[_Run, int]]:
        """A reservation, a slot and an engine for one request, and how many choices may run at a time.

        The usage is settled at the end, whatever the end is.
        """
        if self._aborting.is_set():
            raise _stopping()
        name = self._engines.resolve(request.model)
        info = self._engines.info(name)
        if info is not None:
            _check_can(info, request, capability)
        lane = self._admission.lane(name)
        account = principal.account_id
        try:
            lane.check(account)
            reservation = await self._metering.open(
                principal,
                request_id=request.request_id,
                model=name,
                source=request.source,
                prompt_tokens=estimate_tokens(request.prompt),
                max_tokens=_answer_room(request, info) * count,
            )
        except MalmoiError as error:
            self._metrics.failed(name, error.code)
            raise
        if request.on_limits is not None:
            request.on_limits(reservation.limits)
        opened = time.perf_counter()
        run: _Run | None = None
        reason = "abort"
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await lane.acquire(account, request.on_queue)
            width = 1
            admitted = time.perf_counter()
            self._metrics.queued(name, admitted - opened)
            try:
                async with self._engines.lease(name) as engine:
                    lane.slots = engine.info.num_slots
                    _check_can(engine.info, request, capability)
                    while width < count and lane.try_acquire(account):
                        width += 1
                    run = _Run(engine, admitted)
                    yield run, width
                    reason = run.finish_reason
            finally:
                seconds = time.perf_counter() - admitted
                for _ in range(width):
                    lane.release(account, seconds)
        except MalmoiError as error:
            reason = "error"
            self._metrics.failed(name, error.code)
            raise
        except asyncio.CancelledError:
            if not self._aborting.is_set():
                raise
            # The server ended the request, not the caller: the caller gets an answer.
            task.uncancel()
            raise _stopping() from None
        finally:
            self._tasks.discard(task)
            # In a task of its own: a caller that is cancelled a second time must not leave usage unwritten.
            settling = asyncio.create_task(
                self._settle(name, reservation, run, reason, opened), name="settle"
            )
            self._settling.add(settling)
            settling.add_done_callback(self._settling.discard)
            await asyncio.shield(settling)

    async def _settle(
        self, name: str, reservation: Reservation, run: _Run | None, reason: str, opened: float
    ) -> None:
        usage = Usage() if run is None else await _whole_usage(run)
        seconds = time.perf_counter() - opened
        self._metrics.ended(
            name, usage, reason, first_token=run.first_token if run is not None else None, seconds=seconds
        )
        await self._metering.settle(reservation, usage, finish_reason=reason, seconds=seconds)


async def _answer(
    run: _Run, request: InferenceRequest, check: AnswerCheck | None, number: int = 0
) -> AsyncGenerator[Chunk, None]:
    """The chunks of one choice, as they may be sent."""
    billed = number == 0
    if check is None:
        async with aclosing(run.stream(request.prompt, request.sampling, is_billed=billed)) as chunks:
            async for chunk in chunks:
                yield chunk
    elif _is_held_back(request):
        yield from_completion(await _checked(run, request, check, billed))
    else:
        async with aclosing(_with_checked_calls(run, request, check, billed)) as chunks:
            async for chunk in chunks:
                yield chunk


async def _checked(run: _Run, request: InferenceRequest, check: AnswerCheck, billed: bool) -> Completion:
    """An answer that fits, from the first or the second try."""
    prompt, sampling = _prepared(request, run.engine.info)
    first = forced_call(await collect(run.stream(prompt, sampling, is_billed=billed)), request.prompt)
    complaint = await _complaint(check, first)
    if complaint is None:
        return first
    second = forced_call(await _mend(run, prompt, sampling, first, complaint), request.prompt)
    complaint = await _complaint(check, second)
    if complaint is not None:
        raise _invalid(second, complaint)
    return replace(second, usage=_add(first.usage, second.usage))


async def _mend(
    run: _Run, prompt: Prompt, sampling: Sampling, wrong: Completion, complaint: str
) -> Completion:
    if wrong.finish_reason == "length":
        raise _invalid(wrong, complaint)  # a second try would be cut off at the same place
    again = ask_again(prompt, wrong, complaint) if isinstance(prompt, Chat) else prompt
    seed = None if sampling.seed is None else sampling.seed + 1
    return await collect(run.stream(again, replace(sampling, seed=seed)))


async def _with_checked_calls(
    run: _Run, request: InferenceRequest, check: AnswerCheck, billed: bool
) -> AsyncGenerator[Chunk, None]:
    """Text as it comes; tool calls at the end, when they are whole and fit their tools."""
    deltas: list[ToolCallDelta] = []
    async with aclosing(run.stream(request.prompt, request.sampling, is_billed=billed)) as chunks:
        async for chunk in chunks:
            deltas += chunk.tool_calls
            if chunk.finish_reason is None:
                if chunk.text or chunk.reasoning or chunk.logprobs:
                    yield replace(chunk, tool_calls=())
                continue
            last = chunk
    answer = Completion("", last.finish_reason or "stop", tool_calls=merge_tool_calls(deltas))
    usage = last.usage or Usage()
    complaint = await _complaint(check, answer)
    if complaint is not None:
        answer = await _mend(run, request.prompt, request.sampling, answer, complaint)
        usage = _add(usage, answer.usage)
        complaint = await _complaint(check, answer)
        if complaint is not None or not answer.tool_calls:
            raise _invalid(answer, complaint or "the model took its call back.")
    calls = from_completion(answer).tool_calls
    yield replace(last, tool_calls=calls, finish_reason=answer.finish_reason, usage=usage)


def from_completion(answer: Completion) -> Chunk:
    """A whole answer as the one chunk of a stream."""
    return Chunk(
        text=answer.text,
        reasoning=answer.reasoning,
        tool_calls=tuple(
            ToolCallDelta(index, call.id, call.name, call.arguments)
            for index, call in enumerate(answer.tool_calls)
        ),
        token_ids=answer.token_ids,
        logprobs=answer.logprobs,
        finish_reason=answer.finish_reason,
        usage=answer.usage,
    )


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


async def _answer_check(request: InferenceRequest) -> AnswerCheck | None:
    tools = request.prompt.tools if isinstance(request.prompt, Chat) else ()
    schema = request.sampling.json_schema
    if not tools and schema is None:
        return None
    # In a thread, as a large schema takes up to a second and other requests must go on.
    return await asyncio.to_thread(AnswerCheck, tools, schema, forced=_is_forced(request.prompt))


async def _complaint(check: AnswerCheck, answer: Completion) -> str | None:
    return await asyncio.to_thread(check.complaint, answer)


def _is_forced(prompt: Prompt) -> bool:
    return (
        isinstance(prompt, Chat)
        and bool(prompt.tools)
        and prompt.tool_choice.mode in ("required", "function")
    )


def _is_held_back(request: InferenceRequest) -> bool:
    """Whether nothing may be sent before the whole answer is checked."""
    return request.sampling.json_schema is not None or _is_forced(request.prompt)


def _prepared(request: InferenceRequest, info: EngineInfo) -> tuple[Prompt, Sampling]:
    """The prompt and sampling that make a fitting answer as likely as this engine can."""
    prompt, sampling = request.prompt, request.sampling
    schema = sampling.json_schema
    has_grammar = "grammar" in info.capabilities and sampling.grammar is None
    if isinstance(prompt, Chat) and _is_forced(prompt):
        if info.kind == "http" or not has_grammar:
            # A remote server forces calls by itself; else the template begins the model's turn with a call.
            return prompt, replace(sampling, json_schema=None)
        tools = allowed_tools(prompt)
        schema = call_schema(tools)
        # The grammar forces the call, in a form of its own, so the template must not begin another one.
        prompt = instruct(replace(prompt, tools=tools, tool_choice=ToolChoice()), "json_call.txt", schema)
    elif schema is not None and isinstance(prompt, Chat):
        prompt = instruct(prompt, "json_schema.txt", schema)
    return prompt, replace(sampling, json_schema=schema if has_grammar else None)


def _check_can(info: EngineInfo, request: InferenceRequest, capability: Capability) -> None:
    _require(info, capability)
    if capability == "embed":
        return
    if isinstance(request.prompt, Chat):
        _require(info, "chat")
        if request.prompt.tools:
            _require(info, "tools")
    if request.sampling.top_logprobs is not None:
        _require(info, "logprobs")
    if request.sampling.grammar is not None:
        _require(info, "grammar")


_DEEDS: Mapping[Capability, str] = {
    "generate": "generate text",
    "chat": "chat: it only continues text; use /v1/completions",
    "tools": "call tools",
    "logprobs": "tell log-probabilities",
    "grammar": "be held to a grammar",
    "embed": "make embeddings",
    "tokenize": "count tokens",
}


def _require(info: EngineInfo, capability: Capability) -> None:
    if capability not in info.capabilities:
        raise Unsupported(f"the model {info.name!r} cannot {_DEEDS.get(capability, capability)}.")


def _answer_room(request: InferenceRequest, info: EngineInfo | None) -> int:
    if request.sampling.max_tokens is not None:
        return min(request.sampling.max_tokens, info.context_length if info is not None else 1 << 20)
    return _RESERVED_ANSWER


async def _whole_usage(run: _Run) -> Usage:
    """What was used, also by generations that were cut short before they could report it."""
    usage = run.usage
    for stream in run.unsettled:
        prompt_tokens = await _count(run.engine, stream.prompt) if stream.is_billed else 0
        usage = _add(usage, Usage(prompt_tokens=prompt_tokens, completion_tokens=stream.tokens))
    return usage


async def _count(engine: Engine, prompt: Prompt) -> int:
    """Tokens of a prompt: exact where the engine can tell in time, else the estimate."""
    if "tokenize" in engine.info.capabilities:
        try:
            async with asyncio.timeout(_COUNT_SECONDS):
                return len(await engine.tokenize(prompt))
        except (MalmoiError, TimeoutError):
            pass  # the engine is gone; what it was asked must be billed all the same
    return estimate_tokens(prompt)


def _nth(request: InferenceRequest, number: int) -> InferenceRequest:
    """The request of one of several choices: with a seed, each choice has one of its own."""
    seed = request.sampling.seed
    if number == 0 or seed is None:
        return request
    return replace(request, sampling=replace(request.sampling, seed=seed + number))


def _add(a: Usage, b: Usage) -> Usage:
    return Usage(
        prompt_tokens=a.prompt_tokens + b.prompt_tokens,
        completion_tokens=a.completion_tokens + b.completion_tokens,
        cached_tokens=a.cached_tokens + b.cached_tokens,
        reasoning_tokens=a.reasoning_tokens + b.reasoning_tokens,
        prompt_seconds=a.prompt_seconds + b.prompt_seconds,
        completion_seconds=a.completion_seconds + b.completion_seconds,
    )


def _stopping() -> EngineUnavailable:
    return EngineUnavailable("the server is shutting down; the answer was cut off.")


def _invalid(answer: Completion, complaint: str) -> StructuredOutputInvalid:
    if answer.finish_reason == "length":
        return StructuredOutputInvalid(
            "the answer was cut off before its JSON was complete.", fix="Raise max_tokens."
        )
    return StructuredOutputInvalid(
        f"the model's answer does not fit, also after one repair: {complaint}",
        fix="Try again, simplify the schema, or use a larger model.",
    )
