"""The routes of OpenAI's API, at `/v1` and, as the Studio API has them, at `/v1/openai`."""

from __future__ import annotations

import base64
import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response

from malmoi.core.errors import Unsupported
from malmoi.serve.db import new_id
from malmoi.serve.identity import Principal, require
from malmoi.serve.openai import render
from malmoi.serve.openai.chat import answer_chat
from malmoi.serve.openai.completions import answer_completion
from malmoi.serve.openai.convert import read_texts
from malmoi.serve.openai.requests import ChatRequest, CompletionRequest, EmbeddingRequest, ignored_header
from malmoi.serve.openai.responses import (
    ChatCompletion,
    EmbeddingList,
    ModelList,
    ModelObject,
    TextCompletion,
    or_stream,
)
from malmoi.serve.running import Source
from malmoi.serve.services import Services
from malmoi.serve.sse import dumps, while_connected

# Clients of the Studio API send this always: it is the only value that the platform takes.
_STUDIO_DIMENSIONS = 1024
_may_infer = require("inference")
MayInfer = Annotated[Principal, Depends(_may_infer)]
ModelId = Annotated[str, Path(max_length=200)]


def openai_router(services: Services, *, prefix: str = "/v1", source: Source = "openai") -> APIRouter:
    """All routes under `prefix`; `source` is what usage rows say."""
    router = APIRouter(prefix=prefix, tags=[f"OpenAI API at {prefix}"])
    created = int(time.time())

    @router.get("/models", response_model=ModelList)
    async def list_models(principal: MayInfer) -> Response:
        """The models that can be used here now."""
        usable = [state for state in services.inference.models() if state.is_usable]
        return _json({"object": "list", "data": [render.model_json(state, created) for state in usable]})

    @router.get("/models/{model:path}", response_model=ModelObject)
    async def get_model(principal: MayInfer, model: ModelId) -> Response:
        """One model."""
        name = services.engines.resolve(model)
        return _json(render.model_json(services.engines.state(name), created))

    @router.post("/chat/completions", response_model=ChatCompletion, responses=or_stream(ChatCompletion))
    async def chat_completions(principal: MayInfer, request: Request, body: ChatRequest) -> Response:
        """Answer a conversation; with `stream`, as server-sent events."""
        return await answer_chat(
            services, principal, request, body, source=source, request_id=new_id("chatcmpl")
        )

    @router.post("/embeddings", response_model=EmbeddingList)
    async def embeddings(principal: MayInfer, request: Request, body: EmbeddingRequest) -> Response:
        """One vector a text."""
        texts = read_texts(body)
        request_id = new_id("embd")
        model = body.model or services.engines.default_embedder
        made = await while_connected(
            request.receive,
            services.inference.embed(principal, model, texts, source=source, request_id=request_id),
        )
        if made is None:
            return Response(status_code=499)  # nobody reads it
        size = made.vectors.shape[1]
        headers = {"x-request-id": request_id, **ignored_header(body)}
        if body.dimensions is not None and body.dimensions != size:
            if source != "studio" or body.dimensions != _STUDIO_DIMENSIONS:
                raise Unsupported(f"the model {made.model!r} makes vectors of {size} numbers only.")
            headers["x-malmoi-ignored"] = "dimensions"
        as_base64 = body.encoding_format == "base64"
        vectors: list[Any] = [
            base64.b64encode(row.astype("<f4").tobytes()).decode() if as_base64 else row.tolist()
            for row in made.vectors
        ]
        rows = [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(vectors)]
        usage = {"prompt_tokens": made.prompt_tokens, "total_tokens": made.prompt_tokens}
        answer = {"object": "list", "data": rows, "model": made.model, "usage": usage}
        return _json(answer, headers)

    if source == "openai":

        @router.post("/completions", response_model=TextCompletion, responses=or_stream(TextCompletion))
        async def completions(principal: MayInfer, request: Request, body: CompletionRequest) -> Response:
            """Continue a text; with `stream`, as server-sent events."""
            return await answer_completion(
                services, principal, request, body, source=source, request_id=new_id("cmpl")
            )

    return router


def _json(body: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Response(dumps(body), headers=headers, media_type="application/json")
