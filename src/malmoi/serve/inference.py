"""The one way by which every API and every app runs a model.

It resolves the model, checks what it can do, reserves the caller's limits, waits for a slot, streams, and
settles the usage exactly once, whatever the end: finished, cancelled, disconnected or failed (what was
generated is billed).

Structured answers leave only when they fit their schema (`serve/answers.py`), and every answer passes the
guard (`serve/guards.py`), which may also answer in the model's place.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from malmoi.core.errors import EngineUnavailable, MalmoiError
from malmoi.core.types import FinishReason
from malmoi.engine.base import (
    Capability,
    Chunk,
    Completion,
    EngineInfo,
    Prompt,
    Sampling,
    Usage,
)
from malmoi.engine.collect import collect
from malmoi.serve.abilities import answer_room, check_can, require
from malmoi.serve.answers import build_check
from malmoi.serve.guarded import count_candidates, guarded_answer, nth_choice
from malmoi.serve.running import (
    InferenceRequest,
    Running,
    Source,
    count_tokens,
    estimate_tokens,
    whole_usage,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from malmoi.assist.guard import Checked, Guard
    from malmoi.serve.admission import Admission
    from malmoi.serve.engines import EnginePool, ModelState
    from malmoi.serve.guards import Guards
    from malmoi.serve.identity import Principal
    from malmoi.serve.metering import Metering, Reservation
    from malmoi.serve.metrics import Metrics
    from malmoi.serve.structured import AnswerCheck


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors of texts, one a text, and what they cost."""

    model: str
    vectors: NDArray[np.float32]  # (N, D), unit length
    prompt_tokens: int


@dataclass(eq=False, slots=True)
class _Held:
    """A request that holds a reservation: where it stands, and what it will be settled with."""

    model: str
    account_id: str
    request: InferenceRequest
    reservation: Reservation
    opened: float
    run: Running | None = None
    reason: str = "abort"


class Inference:
    """Runs models for callers. See the module."""

    def __init__(
        self,
        engines: EnginePool,
        admission: Admission,
        metering: Metering,
        metrics: Metrics,
        guards: Guards,
    ) -> None:
        self._engines = engines
        self._admission = admission
        self._metering = metering
        self._metrics = metrics
        self._guards = guards
        self._settling: set[asyncio.Task[None]] = set()
        self._tasks: set[asyncio.Task[object]] = set()
        self._aborting = asyncio.Event()

    def models(self) -> list[ModelState]:
        """Every model that is known here, the default first."""
        return self._engines.states()

    async def stream(self, principal: Principal, request: InferenceRequest) -> AsyncGenerator[Chunk, None]:
        """Generate, piece by piece; closing or cancelling it stops the engine and frees the slot.

        Text and reasoning come as they are generated, unless the guard must judge them first. Tool calls come
        whole and checked. With a JSON schema or a forced tool call everything comes at the end, checked.

        Raises:
            UnknownName, NotFound: there is no such model here.
            Unsupported: it cannot do what is asked.
            ContextOverflow: the prompt does not fit.
            RateLimited, Overloaded: the caller's limits, the server's queue.
            EngineUnavailable, EngineError: the engine is gone, or failed.
            StructuredOutputInvalid: the answer does not fit its schema, after one repair.
        """
        check = await build_check(request)
        guard = self._guards.of(self._engines.resolve(request.model), principal)
        async with self._reserved(
            principal, request, answers=count_candidates(guard, request, check)
        ) as held:
            checked = await guard.check(request.prompt)
            if checked.reply is not None:
                yield await _reply(held, guard, checked)
                return
            asked = replace(request, prompt=checked.prompt)
            async with (
                self._running(held, asked) as (run, _),
                aclosing(guarded_answer(run, asked, check, guard, checked)) as chunks,
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
        check = await build_check(request)
        guard = self._guards.of(self._engines.resolve(request.model), principal)
        async with self._reserved(principal, request, answers=count) as held:
            checked = await guard.check(request.prompt)
            if checked.reply is not None:
                reply = await _reply(held, guard, checked, count)
                for number in range(count):
                    yield number, reply
                return
            asked = replace(request, prompt=checked.prompt)
            async with aclosing(self._side_by_side(held, asked, check, guard, checked, count)) as answers:
                async for answer in answers:
                    yield answer

    async def _side_by_side(
        self,
        held: _Held,
        asked: InferenceRequest,
        check: AnswerCheck | None,
        guard: Guard,
        checked: Checked,
        count: int,
    ) -> AsyncGenerator[tuple[int, Chunk], None]:
        queue: asyncio.Queue[tuple[int, Chunk] | BaseException | None] = asyncio.Queue(maxsize=2 * count)

        async def work(run: Running, numbers: Iterator[int]) -> None:
            try:
                for number in numbers:
                    nth = nth_choice(asked, number)
                    source = guarded_answer(run, nth, check, guard, checked, number, is_several=True)
                    async with aclosing(source) as chunks:
                        async for chunk in chunks:
                            await queue.put((number, chunk))
                await queue.put(None)
            except Exception as error:  # handed over to the reader, who raises it
                await queue.put(error)

        async with self._running(held, asked, count) as (run, width):
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
        async with (
            self._reserved(principal, request, capability="embed") as held,
            self._running(held, request, capability="embed") as (run, _),
        ):
            vectors = await run.engine.embed(texts)
            counts = [await count_tokens(run.engine, text) for text in texts]
            run.usage, run.finish_reason = Usage(prompt_tokens=sum(counts)), "stop"
            return Embeddings(self._engines.resolve(model), vectors, sum(counts))

    async def tokenize(self, principal: Principal, model: str, prompt: Prompt) -> tuple[int, ...]:
        """The token ids that a prompt becomes; costs no tokens and takes no slot."""
        del principal  # whoever may run models may count their tokens
        async with self._engines.lease(self._engines.resolve(model)) as engine:
            require(engine.info, "tokenize")
            return await engine.tokenize(prompt)

    async def info(self, model: str) -> EngineInfo:
        """What a model is and can do; it is opened if need be."""
        async with self._engines.lease(self._engines.resolve(model)) as engine:
            return engine.info

    def guard(self, principal: Principal, model: str = "") -> Guard:
        """The guard that holds for a caller's requests to a model."""
        return self._guards.of(self._engines.resolve(model), principal)

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
    async def _reserved(
        self,
        principal: Principal,
        request: InferenceRequest,
        *,
        answers: int = 1,
        capability: Capability = "generate",
    ) -> AsyncIterator[_Held]:
        """A reservation for one request; its usage is settled at the end, whatever the end is.

        It comes before anything that costs time, the guard included: who is over a limit costs nothing.
        """
        if self._aborting.is_set():
            raise _stopping()
        name = self._engines.resolve(request.model)
        info = self._engines.info(name)
        if info is not None:
            check_can(info, request, capability)
        try:
            self._admission.lane(name).check(principal.account_id)
            reservation = await self._metering.open(
                principal,
                request_id=request.request_id,
                model=name,
                source=request.source,
                prompt_tokens=estimate_tokens(request.prompt),
                max_tokens=answer_room(request, info) * answers,
            )
        except MalmoiError as error:
            self._metrics.failed(name, error.code)
            raise
        if request.on_limits is not None:
            request.on_limits(reservation.limits)
        held = _Held(name, principal.account_id, request, reservation, time.perf_counter())
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            yield held
            held.reason = held.run.finish_reason if held.run is not None else held.reason
        except MalmoiError as error:
            held.reason = "error"
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
            settling = asyncio.create_task(self._settle(held), name="settle")
            self._settling.add(settling)
            settling.add_done_callback(self._settling.discard)
            await asyncio.shield(settling)

    @asynccontextmanager
    async def _running(
        self, held: _Held, request: InferenceRequest, count: int = 1, capability: Capability = "generate"
    ) -> AsyncIterator[tuple[Running, int]]:
        """A slot and an engine for a request that is reserved, and how many answers may run at a time."""
        lane = self._admission.lane(held.model)
        await lane.acquire(held.account_id, request.on_queue)
        width = 1
        admitted = time.perf_counter()
        self._metrics.queued(held.model, admitted - held.opened)
        try:
            async with self._engines.lease(held.model) as engine:
                lane.slots = engine.info.num_slots
                check_can(engine.info, request, capability)
                while width < count and lane.try_acquire(held.account_id):
                    width += 1
                held.run = Running(engine, admitted)
                yield held.run, width
        finally:
            seconds = time.perf_counter() - admitted
            for _ in range(width):
                lane.release(held.account_id, seconds)

    async def _settle(self, held: _Held) -> None:
        run = held.run
        usage = Usage() if run is None else await whole_usage(run)
        seconds = time.perf_counter() - held.opened
        first_token = run.first_token if run is not None else None
        self._metrics.ended(held.model, usage, held.reason, first_token=first_token, seconds=seconds)
        await self._metering.settle(held.reservation, usage, finish_reason=held.reason, seconds=seconds)


async def _reply(held: _Held, guard: Guard, checked: Checked, count: int = 1) -> Chunk:
    """The guard's own answer: it counts as a request, and costs no tokens."""
    answer = guard.answer(checked, wants_filter=held.request.wants_filter)
    await answer.close()
    reason: FinishReason = "content_filter" if answer.report.is_blocked else "stop"
    held.reason = reason
    if held.request.on_guard is not None:
        for number in range(count):
            held.request.on_guard(number, answer.report)
    return Chunk(text=checked.reply or "", finish_reason=reason, usage=Usage())


def _stopping() -> EngineUnavailable:
    return EngineUnavailable("the server is shutting down; the answer was cut off.")
