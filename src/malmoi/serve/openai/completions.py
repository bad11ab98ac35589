"""`/completions`: prompts that are continued as they are, without a chat template."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from malmoi.engine.base import Chunk, Usage
from malmoi.engine.collect import collect
from malmoi.serve.errors import api_of, envelope
from malmoi.serve.identity import Principal
from malmoi.serve.openai import render
from malmoi.serve.openai.chat import DONE, choice_chunks
from malmoi.serve.openai.convert import Wanted, read_completion
from malmoi.serve.openai.requests import CompletionRequest, ignored_header
from malmoi.serve.running import InferenceRequest, Source
from malmoi.serve.services import Services
from malmoi.serve.sse import EventStream, dumps, event, while_connected

_SIDE_BY_SIDE = 4  # prompts of one request that are in the queue at the same time


@dataclass(slots=True)
class _Call:
    """One call of the API: a request a prompt."""

    services: Services
    principal: Principal
    requests: list[InferenceRequest]
    wanted: Wanted
    request_id: str
    model: str
    created: int

    def echo(self, prompt: int) -> str:
        text = self.wanted.prompts[prompt]
        return text if self.wanted.echo and isinstance(text, str) else ""


async def answer_completion(
    services: Services,
    principal: Principal,
    request: Request,
    body: CompletionRequest,
    *,
    source: Source,
    request_id: str,
) -> Response:
    """Answer a completion."""
    wanted = read_completion(body, max_choices=services.settings.admission.max_choices)
    headers = {"x-request-id": request_id, **ignored_header(body)}
    model = services.engines.resolve(body.model)
    requests = [
        InferenceRequest(
            model=body.model,
            prompt=prompt,
            sampling=wanted.sampling,
            source=source,
            request_id=request_id if index == 0 else f"{request_id}-{index}",
            on_limits=lambda status: headers.update(status.headers()),
        )
        for index, prompt in enumerate(wanted.prompts)
    ]
    call = _Call(services, principal, requests, wanted, request_id, model, int(time.time()))
    if not wanted.stream:
        whole = await while_connected(request.receive, _whole(call))
        if whole is None:
            return Response(status_code=499)  # nobody reads it
        return Response(dumps(whole), headers=headers, media_type="application/json")
    api = api_of(request.scope["path"])
    return EventStream(
        _events(call),
        on_error=lambda error: event(envelope(error, api)),
        send_timeout=services.settings.http.send_timeout,
        headers=headers,
    )


async def _whole(call: _Call) -> dict[str, Any]:
    places = asyncio.Semaphore(_SIDE_BY_SIDE)

    async def one(prompt: int) -> list[list[Chunk]]:
        chunks: list[list[Chunk]] = [[] for _ in range(call.wanted.choices)]
        async with places, aclosing(_pairs(call, prompt)) as pairs:
            async for index, chunk in pairs:
                chunks[index].append(chunk)
        return chunks

    tasks = [asyncio.create_task(one(prompt)) for prompt in range(len(call.requests))]
    try:
        every = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    choices: list[dict[str, Any]] = []
    usage = Usage()
    for prompt, of_prompt in enumerate(every):
        answers = [await collect(_replay(chunks)) for chunks in of_prompt]
        for answer in answers:
            text = call.echo(prompt) + answer.text
            choices.append(render.text_choice(len(choices), text, answer.logprobs, answer.finish_reason))
        usage = _plus(usage, render.total_usage(answers))
    return render.text_completion(call.request_id, call.created, call.model, choices, usage)


async def _events(call: _Call) -> AsyncGenerator[bytes, None]:
    usage = Usage()
    for prompt in range(len(call.requests)):
        offsets = [0] * call.wanted.choices
        usages: list[Usage] = []
        async with aclosing(_pairs(call, prompt)) as pairs:
            async for index, chunk in pairs:
                text = chunk.text
                if offsets[index] == 0:
                    text = call.echo(prompt) + text
                if not text and chunk.finish_reason is None and not chunk.logprobs:
                    continue
                place = prompt * call.wanted.choices + index
                choice = render.text_choice(
                    place, text, chunk.logprobs, chunk.finish_reason, offset=offsets[index]
                )
                offsets[index] += len(text)
                yield event(_chunk(call, [choice], None))
                if chunk.finish_reason is not None:
                    usages.append(chunk.usage or Usage())
        completed = sum(each.completion_tokens for each in usages)
        first = usages[0] if usages else Usage()
        usage = _plus(usage, replace(first, completion_tokens=completed))
    if call.wanted.include_usage:
        yield event(_chunk(call, [], usage))
    yield DONE


def _chunk(call: _Call, choices: list[dict[str, Any]], usage: Usage | None) -> dict[str, Any]:
    chunk = render.text_completion(call.request_id, call.created, call.model, choices, usage)
    return {**chunk, "usage": None} if call.wanted.include_usage and usage is None else chunk


def _pairs(call: _Call, prompt: int) -> AsyncGenerator[tuple[int, Chunk], None]:
    return choice_chunks(call.services, call.principal, call.requests[prompt], call.wanted.choices)


async def _replay(chunks: list[Chunk]) -> AsyncGenerator[Chunk, None]:
    for chunk in chunks:
        yield chunk


def _plus(a: Usage, b: Usage) -> Usage:
    return Usage(
        prompt_tokens=a.prompt_tokens + b.prompt_tokens,
        completion_tokens=a.completion_tokens + b.completion_tokens,
        cached_tokens=a.cached_tokens + b.cached_tokens,
        reasoning_tokens=a.reasoning_tokens + b.reasoning_tokens,
    )
