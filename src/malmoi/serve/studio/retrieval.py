"""The routes of the Studio API for retrieval: segmentation, summaries, reranking, RAG reasoning.

What a model writes runs through `Inference` with its limits, usage rows and guard. Vectors are metered by the
first call of a request, which holds its texts; what is compared after that is the server's own work.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import ValidationError

from malmoi.assist.guard import Report
from malmoi.assist.retrieval.answer import ground
from malmoi.assist.retrieval.query import standalone
from malmoi.assist.retrieval.rerank import (
    Item,
    Reranked,
    answered,
    rerank,
    sources_of,
    tag_of,
    tagged,
)
from malmoi.assist.retrieval.segments import segment
from malmoi.assist.retrieval.summary import summarize
from malmoi.core.errors import InvalidInput, MissingExtra, NotFound, UnknownName, Unsupported
from malmoi.core.types import Chat
from malmoi.engine.base import Completion, Sampling, Usage
from malmoi.serve.db import new_id
from malmoi.serve.identity import Principal, require
from malmoi.serve.openai.requests import ignored_header
from malmoi.serve.running import InferenceRequest, add_usage, estimate_tokens
from malmoi.serve.sse import dumps, while_connected
from malmoi.serve.studio import render
from malmoi.serve.studio.convert import part_texts, read_messages, read_v3
from malmoi.serve.studio.requests import Body, ChatV3, Envelope
from malmoi.serve.studio.retrieval_requests import (
    RagReasoning,
    Rerank,
    SearchResult,
    Segmentation,
    Summarization,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from malmoi.assist.retrieval.rerank import Write
    from malmoi.assist.retrieval.segments import Embed
    from malmoi.serve.services import Services

_MISSING = (MissingExtra, NotFound, UnknownName, Unsupported)
_SUMMARY_TOKENS = 400
_TEMPERATURE = 0.2  # for what must keep to its sources
MayInfer = Annotated[Principal, Depends(require("inference"))]


def retrieval_router(services: Services) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/v1/api-tools", tags=["Studio API"])

    @router.post("/segmentation", response_model=Envelope)
    async def segmentation(principal: MayInfer, request: Request, body: Segmentation) -> Response:
        """Cut a text into segments where its topic changes."""
        work = _Work(services, principal)

        async def run() -> dict[str, Any]:
            found = await segment(
                body.text,
                work.embed,
                alpha=body.alpha,
                count=body.segCnt,
                post_process=body.postProcess,
                most=body.postProcessMaxSize,
                least=body.postProcessMinSize,
            )
            sentences = [body.text[start:end] for start, end in found.sentences]
            return {
                "topicSeg": [[sentences[number] for number in topic] for topic in found.topics],
                "span": [list(topic) for topic in found.topics],
                "inputTokens": work.embedded_tokens,
            }

        return await work.answer(request, body, run(), renamed=_SEGMENT_FIELDS)

    @router.post("/summarization/v2", response_model=Envelope)
    async def summarization(principal: MayInfer, request: Request, body: Summarization) -> Response:
        """Summarize texts, segment by segment."""
        work = _Work(services, principal, wants_filter=body.includeAiFilters)

        async def run() -> dict[str, Any]:
            text = await summarize(
                body.texts,
                embed=await work.embedder(),
                write=await work.writer(Sampling(max_tokens=_SUMMARY_TOKENS, temperature=_TEMPERATURE)),
                split_sentences=body.autoSentenceSplitter,
                count=body.segCount,
                most=body.segMaxSize,
                least=body.segMinSize,
            )
            return {"text": work.said or text, "inputTokens": await work.count("\n".join(body.texts))}

        return await work.answer(request, body, run(), renamed=_SUMMARY_FIELDS)

    @router.post("/reranker", response_model=Envelope)
    async def reranker(principal: MayInfer, request: Request, body: Rerank) -> Response:
        """Answer a query from documents, with tags around what each of them supports."""
        work = _Work(services, principal)

        async def run() -> dict[str, Any]:
            found = await rerank(
                body.query,
                [Item(document.id, document.doc) for document in body.documents],
                embed=await work.embedder(),
                write=await work.writer(Sampling(max_tokens=body.maxTokens, temperature=_TEMPERATURE)),
            )
            if work.said:
                found = Reranked(work.said, (), ())
            return {
                "result": found.result,
                "citedDocuments": [{"id": item.id, "doc": item.doc} for item in found.cited],
                "suggestedQueries": list(found.suggested),
                "usage": work.usage_json(),
            }

        return await work.answer(request, body, run())

    @router.post("/rag-reasoning", response_model=Envelope)
    async def rag_reasoning(principal: MayInfer, request: Request, body: RagReasoning) -> Response:
        """Call a search, or answer from what it has found with tags around what each document supports."""
        work = _Work(services, principal, wants_filter=body.includeAiFilters)
        found = read_results(body)
        run = _call_search(work, body) if found is None else _answer_from(work, body, found)
        return await work.answer(request, body, run)

    return router


_SEGMENT_FIELDS = {"count": "segCnt", "least": "postProcessMinSize"}
_SUMMARY_FIELDS = {"count": "segCount", "least": "segMinSize"}


def read_results(body: RagReasoning) -> list[Item] | None:
    """The documents that were found for the last question; None: nothing was searched for yet.

    Raises:
        InvalidInput: a tool's content is not what it must be.
    """
    start = max((place for place, one in enumerate(body.messages) if one.role == "user"), default=-1)
    tools = [(place, one) for place, one in enumerate(body.messages) if one.role == "tool" and place > start]
    if not tools:
        return None
    found: dict[str, Item] = {}
    for place, message in tools:
        where = f"messages.{place}.content"
        try:
            result = SearchResult.model_validate_json("".join(part_texts(message.content, where)))
        except ValidationError as error:
            raise InvalidInput(
                f"{where}: a tool's content must be JSON with search_result, a list of id and doc"
                f" ({error.errors()[0]['msg']}).",
                field=where,
            ) from error
        for document in result.search_result:
            found.setdefault(document.id, Item(document.id, document.doc))
    return list(found.values())


async def _call_search(work: _Work, body: RagReasoning) -> dict[str, Any]:
    """The model's own turn: it calls a search, or says something."""
    whole = await work.generate(*_wanted(body))
    return _message(work.said or whole.text, whole, work)


async def _answer_from(work: _Work, body: RagReasoning, found: Sequence[Item]) -> dict[str, Any]:
    """The answer from what was found."""
    messages = read_messages(body.messages)
    questions = [message.content for message in messages if message.role == "user"]
    if not questions:
        raise InvalidInput("there is no user message.", field="messages")
    _, sampling = _wanted(body)
    grounding = await ground(
        questions[-1],
        sources_of(found),
        embed=await work.embedder(),
        query=standalone(questions[-1], questions[:-1]),
    )
    text, citations = await answered(grounding, await work.writer(sampling))
    tags = {number: tag_of(item.id, number) for number, item in enumerate(found, start=1)}
    return _message(work.said or tagged(text, citations, tags), work.last, work)


def _wanted(body: RagReasoning) -> tuple[Chat, Sampling]:
    fields = body.model_dump(include=set(ChatV3.model_fields), exclude={"messages", "tools", "toolChoice"})
    wanted = read_v3(ChatV3(messages=body.messages, tools=body.tools, toolChoice=body.toolChoice, **fields))
    return wanted.chat, wanted.sampling


def _message(text: str, whole: Completion | None, work: _Work) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": text, "thinkingContent": ""}
    if whole is not None:
        message["thinkingContent"] = whole.reasoning
        if whole.tool_calls:
            message["toolCalls"] = render.calls_json(whole.tool_calls)
    return {"message": message, "usage": work.usage_json()}


@dataclass
class _Work:
    """What one request runs, and what that has cost.

    Attributes:
        usage: of all that models wrote for it.
        embedded_tokens: of the texts that were embedded and metered.
        last: what a model wrote last.
        said: what the guard said in the place of an answer, or behind what was let through of it.
    """

    services: Services
    principal: Principal
    wants_filter: bool = False
    usage: Usage = field(default_factory=Usage)
    embedded_tokens: int = 0
    last: Completion | None = None
    said: str = ""
    reports: list[Report] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    _embedded: bool = False

    async def answer(
        self,
        request: Request,
        body: Body,
        run: Coroutine[Any, Any, dict[str, Any]],
        *,
        renamed: dict[str, str] | None = None,
    ) -> Response:
        """The response, unless the client leaves before; `renamed` are fields as the client knows them."""
        try:
            result = await while_connected(request.receive, run)
        except InvalidInput as error:
            if renamed and error.field in renamed:
                raise InvalidInput(error.message, field=renamed[error.field], fix=error.fix) from error
            raise
        if result is None:
            return Response(status_code=499)  # nobody reads it
        if self.wants_filter and self.reports:
            result["aiFilter"] = render.filter_json(self.reports[-1])
        headers = {**ignored_header(body), **self.headers}
        return Response(dumps(render.envelope_of(result)), headers=headers, media_type="application/json")

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of texts; the first call is metered."""
        model = self.services.engines.default_embedder
        if not self._embedded:
            self._embedded = True
            made = await self.services.inference.embed(
                self.principal, model, texts, source="studio", request_id=new_id("embd")
            )
            self.embedded_tokens += made.prompt_tokens
            return made.vectors
        async with self.services.engines.lease(self.services.engines.resolve(model)) as engine:
            return await engine.embed(texts)

    async def embedder(self) -> Embed | None:
        """`embed`, if there is an engine for it."""
        model = self.services.engines.default_embedder
        try:
            async with self.services.engines.lease(self.services.engines.resolve(model)) as engine:
                if "embed" not in engine.info.capabilities:
                    return None
                await engine.embed(["."])  # its weights may be missing, which shows only now
        except _MISSING:
            return None
        return self.embed

    async def writer(self, sampling: Sampling) -> Write | None:
        """What writes with the default model, if that can chat."""
        try:
            if "chat" not in (await self.services.inference.info("")).capabilities:
                return None
        except _MISSING:
            return None

        async def write(chat: Chat) -> str:
            return (await self.generate(chat, sampling)).text

        return write

    async def generate(self, chat: Chat, sampling: Sampling) -> Completion:
        """A whole answer of the default model."""
        asked = InferenceRequest(
            model="",
            prompt=chat,
            sampling=sampling,
            source="studio",
            request_id=new_id("studio"),
            on_limits=lambda status: self.headers.update(status.headers()),
            on_guard=lambda _, report: self.reports.append(report),
            wants_filter=self.wants_filter,
        )
        self.last = await self.services.inference.generate(self.principal, asked)
        self.usage = add_usage(self.usage, self.last.usage)
        if self.reports and self.reports[-1].action in ("replace", "block"):
            message = self.reports[-1].message
            said = self.last.text.strip()
            self.said = said if message in said else f"{said}\n\n{message}".strip()
        return self.last

    async def count(self, text: str) -> int:
        """The tokens of a text, exact where the default model can tell."""
        try:
            return len(await self.services.inference.tokenize(self.principal, "", text))
        except _MISSING:
            return estimate_tokens(text)

    def usage_json(self) -> dict[str, Any]:
        """The usage so far."""
        return render.usage_json(self.usage)
