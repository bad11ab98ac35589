"""The routes of the Studio API."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response

from malmoi.assist.guard import Report
from malmoi.engine.base import Chunk, Completion, Prompt
from malmoi.serve.db import new_id
from malmoi.serve.errors import api_of, envelope
from malmoi.serve.identity import Principal, require
from malmoi.serve.openai.requests import ignored_header
from malmoi.serve.running import InferenceRequest
from malmoi.serve.services import Services
from malmoi.serve.sse import EventStream, dumps, while_connected
from malmoi.serve.studio import render
from malmoi.serve.studio.convert import Wanted, read_v1, read_v3
from malmoi.serve.studio.requests import (
    ChatV1,
    ChatV3,
    Envelope,
    Sliding,
    TextIn,
    TokenizeV1,
    TokenizeV3,
)
from malmoi.serve.studio.retrieval import retrieval_router
from malmoi.serve.studio.routers import route_router
from malmoi.serve.studio.skillsets import skillset_router
from malmoi.serve.studio.tools import count_v1, count_v3, slide

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_may_infer = require("inference")
MayInfer = Annotated[Principal, Depends(_may_infer)]
Model = Annotated[str, Path(max_length=200)]
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "model": Envelope,
        "description": "The answer; with `Accept: text/event-stream` events token, result, error, signal.",
        "content": {"text/event-stream": {}},
    }
}


class _Answer(Protocol):
    """How one version of the API says an answer."""

    def whole(self, answer: Completion) -> dict[str, Any]: ...

    def events(self, chunk: Chunk) -> Iterator[bytes]: ...


def studio_router(services: Services) -> APIRouter:
    """All routes."""
    router = APIRouter(tags=["Studio API"])

    @router.post("/v3/chat-completions/{model}", response_model=Envelope, responses=_STREAM)
    async def chat_v3(principal: MayInfer, request: Request, model: Model, body: ChatV3) -> Response:
        """Answer a conversation, with tools, thinking or a response format."""
        wanted = read_v3(body)
        answer = render.AnswerV3(created=time.time_ns() // 1_000_000, seed=wanted.seed)
        return await _answer(
            services, principal, request, model, wanted, answer, ignored_header(body), body.includeAiFilters
        )

    @router.post("/v1/chat-completions/{model}", response_model=Envelope, responses=_STREAM)
    async def chat_v1(principal: MayInfer, request: Request, model: Model, body: ChatV1) -> Response:
        """Answer a conversation."""
        wanted = read_v1(body)
        answer = render.AnswerV1(wanted.seed, wanted.has_stops)
        return await _answer(
            services, principal, request, model, wanted, answer, ignored_header(body), body.includeAiFilters
        )

    @router.post("/v1/api-tools/chat-tokenize/{model}", response_model=Envelope)
    async def tokenize_v1(principal: MayInfer, model: Model, body: TokenizeV1) -> Response:
        """Count the tokens of each message."""
        return _json(await count_v1(body, _counter(services, principal, model)))

    @router.post("/v3/api-tools/chat-tokenize/{model}", response_model=Envelope)
    async def tokenize_v3(principal: MayInfer, model: Model, body: TokenizeV3) -> Response:
        """Count the tokens of each part of each message, of the tools and of the response format."""
        return _json(await count_v3(body, _counter(services, principal, model)))

    @router.post("/v1/api-tools/sliding/chat-messages/{model}", response_model=Envelope)
    async def sliding(principal: MayInfer, model: Model, body: Sliding) -> Response:
        """Drop the oldest turns until the rest and the answer fit the model's context."""
        info = await services.inference.info(model)
        return _json(await slide(body, _counter(services, principal, model), info.context_length))

    @router.post("/v1/api-tools/embedding/v2", response_model=Envelope)
    async def embedding(principal: MayInfer, request: Request, body: TextIn) -> Response:
        """The vector of one text."""
        model = services.engines.default_embedder
        work = services.inference.embed(
            principal, model, [body.text], source="studio", request_id=new_id("embd")
        )
        made = await while_connected(request.receive, work)
        if made is None:
            return Response(status_code=499)  # nobody reads it
        return _json({"embedding": made.vectors[0].tolist(), "inputTokens": made.prompt_tokens})

    @router.post("/v1/api-tools/embedding/v2/tokenize", response_model=Envelope)
    async def embedding_tokenize(principal: MayInfer, body: TextIn) -> Response:
        """Count the tokens of a text to embed."""
        count = _counter(services, principal, services.engines.default_embedder)
        return _json({"numTokens": await count(body.text)})

    router.include_router(retrieval_router(services))
    router.include_router(skillset_router(services))
    router.include_router(route_router(services))
    return router


class OlderPrefixes:
    """A layer for the older addresses of the Studio API: `/testapp/v1/...` and `/serviceapp/v1/...`.

    Only addresses of the Studio API are changed, so nothing else gets a second address.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["path"].startswith(("/testapp/", "/serviceapp/")):
            path = scope["path"][scope["path"].index("/", 1) :]
            if api_of(path).startswith("studio"):
                scope = {**scope, "path": path, "raw_path": path.encode()}
        await self._app(scope, receive, send)


async def _answer(
    services: Services,
    principal: Principal,
    request: Request,
    model: str,
    wanted: Wanted,
    answer: _Answer,
    headers: dict[str, str],
    has_filter: bool,
) -> Response:
    request_id = new_id("studio")
    reports: list[Report] = []
    headers["x-request-id"] = request_id
    asked = InferenceRequest(
        model=model,
        prompt=wanted.chat,
        sampling=wanted.sampling,
        source="studio",
        request_id=request_id,
        on_limits=lambda status: headers.update(status.headers()),
        on_guard=lambda _, report: reports.append(report),
        wants_filter=has_filter,
    )

    def result(whole: Completion) -> dict[str, Any]:
        filtered = {"aiFilter": render.filter_json(reports[-1])} if has_filter and reports else {}
        return {**answer.whole(whole), **filtered}

    if not _wants_stream(request):
        work = services.inference.generate(principal, asked)
        whole = await while_connected(request.receive, work)
        if whole is None:
            return Response(status_code=499)  # nobody reads it
        said = _refusal(reports, whole.text)
        return _json(result(replace(whole, text=whole.text + said)), headers)

    async def events() -> AsyncGenerator[bytes, None]:
        collector = render.Collector()
        async with aclosing(services.inference.stream(principal, asked)) as chunks:
            async for chunk in chunks:
                for encoded in answer.events(chunk):
                    yield encoded
                whole = collector.add(chunk)
                if whole is not None:
                    said = _refusal(reports, whole.text)
                    for encoded in answer.events(Chunk(text=said)):
                        yield encoded
                    yield render.result_event(result(replace(whole, text=whole.text + said)))
        yield render.done_event()

    return EventStream(
        events(),
        on_error=lambda error: render.error_event(envelope(error, "studio")),
        send_timeout=services.settings.http.send_timeout,
        headers=headers,
    )


def _refusal(reports: list[Report], sent: str) -> str:
    """What the guard says of an answer that it blocked, behind what was sent of it."""
    if not reports or not reports[-1].is_blocked:
        return ""
    return ("\n\n" if sent else "") + reports[-1].message


def _wants_stream(request: Request) -> bool:
    kinds = [kind.split(";")[0].strip().lower() for kind in request.headers.get("accept", "").split(",")]
    return "text/event-stream" in kinds


def _counter(services: Services, principal: Principal, model: str) -> Any:
    async def count(prompt: Prompt) -> int:
        return len(await services.inference.tokenize(principal, model, prompt))

    return count


def _json(result: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Response(dumps(render.envelope_of(result)), headers=headers, media_type="application/json")
