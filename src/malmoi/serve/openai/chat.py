"""`/chat/completions`: one request to one response, whole or as a stream."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from malmoi.assist.guard import Report
from malmoi.engine.base import Chunk, Completion, Usage
from malmoi.engine.collect import collect
from malmoi.serve.errors import api_of, envelope
from malmoi.serve.identity import Principal
from malmoi.serve.openai import render
from malmoi.serve.openai.convert import Wanted, read_chat
from malmoi.serve.openai.requests import ChatRequest, ignored_header
from malmoi.serve.running import InferenceRequest, Source
from malmoi.serve.services import Services
from malmoi.serve.sse import EventStream, dumps, event, while_connected

DONE = b"data: [DONE]\n\n"


@dataclass(slots=True)
class _Call:
    """One call of the API: who asks, for what, and under which id."""

    services: Services
    principal: Principal
    request: InferenceRequest
    wanted: Wanted
    model: str
    created: int
    refusals: dict[int, str] = field(default_factory=dict)
    """What the guard said of answers that it blocked, by their numbers."""


async def answer_chat(
    services: Services,
    principal: Principal,
    request: Request,
    body: ChatRequest,
    *,
    source: Source,
    request_id: str,
) -> Response:
    """Answer a chat completion."""
    wanted = read_chat(body, max_choices=services.settings.admission.max_choices)
    headers = {"x-request-id": request_id, **ignored_header(body)}
    refusals: dict[int, str] = {}

    def on_guard(number: int, report: Report) -> None:
        if report.is_blocked:
            refusals[number] = report.message

    asked = InferenceRequest(
        model=body.model,
        prompt=wanted.prompts[0],
        sampling=wanted.sampling,
        source=source,
        request_id=request_id,
        on_limits=lambda status: headers.update(status.headers()),
        on_guard=on_guard,
    )
    model = services.engines.resolve(body.model)
    call = _Call(services, principal, asked, wanted, model, int(time.time()), refusals)
    keep = 1 if body.parallel_tool_calls is False else None
    if not wanted.stream:
        answers = await while_connected(request.receive, _answers(call, keep))
        if answers is None:
            return Response(status_code=499)  # nobody reads it
        whole = render.chat_completion(request_id, call.created, model, answers, refusals)
        return Response(dumps(whole), headers=headers, media_type="application/json")
    api = api_of(request.scope["path"])
    return EventStream(
        _events(call, keep),
        on_error=lambda error: event(envelope(error, api)),
        send_timeout=services.settings.http.send_timeout,
        headers=headers,
    )


async def _answers(call: _Call, keep_calls: int | None) -> list[Completion]:
    inference = call.services.inference
    if call.wanted.choices == 1:
        answers = [await inference.generate(call.principal, call.request)]
    else:
        answers = await gather_choices(call)
    return [replace(answer, tool_calls=answer.tool_calls[:keep_calls]) for answer in answers]


async def gather_choices(call: _Call) -> list[Completion]:
    """Whole answers of a request for several."""
    chunks: list[list[Chunk]] = [[] for _ in range(call.wanted.choices)]
    stream = call.services.inference.choices(call.principal, call.request, call.wanted.choices)
    async with aclosing(stream) as pairs:
        async for index, chunk in pairs:
            chunks[index].append(chunk)
    return [await collect(_replay(each)) for each in chunks]


async def _replay(chunks: Sequence[Chunk]) -> AsyncGenerator[Chunk, None]:
    for chunk in chunks:
        yield chunk


async def choice_chunks(
    services: Services, principal: Principal, request: InferenceRequest, count: int
) -> AsyncGenerator[tuple[int, Chunk], None]:
    """`(choice, chunk)` of one answer or of several."""
    if count > 1:
        async with aclosing(services.inference.choices(principal, request, count)) as pairs:
            async for pair in pairs:
                yield pair
        return
    async with aclosing(services.inference.stream(principal, request)) as chunks:
        async for chunk in chunks:
            yield 0, chunk


async def _events(call: _Call, keep_calls: int | None) -> AsyncGenerator[bytes, None]:
    shared = render.chat_chunk(call.request.request_id, call.created, call.model)
    wanted = call.wanted
    # With include_usage every chunk has the field, null until the last, as in OpenAI's API.
    tail: dict[str, Any] = {"usage": None} if wanted.include_usage else {}
    begun: set[int] = set()
    usages: list[Usage] = []
    stream = choice_chunks(call.services, call.principal, call.request, wanted.choices)
    async with aclosing(stream) as pairs:
        async for index, chunk in pairs:
            if index not in begun:
                begun.add(index)
                first = render.chat_delta(index, {"role": "assistant", "content": ""})
                yield event({**shared, "choices": [first], **tail})
            delta = _delta(chunk, keep_calls)
            if delta or chunk.logprobs:
                choice = render.chat_delta(index, delta, logprobs=chunk.logprobs)
                yield event({**shared, "choices": [choice], **tail})
            if chunk.finish_reason is not None:
                if index in call.refusals:
                    refused = render.chat_delta(index, {"refusal": call.refusals[index]})
                    yield event({**shared, "choices": [refused], **tail})
                last = render.chat_delta(index, {}, finish_reason=chunk.finish_reason)
                yield event({**shared, "choices": [last], **tail})
                usages.append(chunk.usage or Usage())
    if wanted.include_usage and usages:
        total = render.total_usage([Completion("", "stop", usage=usage) for usage in usages])
        yield event({**shared, "choices": [], "usage": render.usage_json(total)})
    yield DONE


def _delta(chunk: Chunk, keep_calls: int | None) -> dict[str, Any]:
    delta: dict[str, Any] = {}
    if chunk.text:
        delta["content"] = chunk.text
    if chunk.reasoning:
        delta["reasoning_content"] = chunk.reasoning
    calls = [call for call in chunk.tool_calls if keep_calls is None or call.index < keep_calls]
    if calls:
        delta["tool_calls"] = render.call_deltas(calls)
    return delta
