"""A small OpenAI-compatible server on loopback that answers by a scripted engine and fails on demand.

    async with FakeUpstream(ScriptedEngine([Rule(reply="hi")])) as upstream:
        upstream.fail(Fault("status", status=503))
        engine = await open_http(upstream.url, upstream.model)

It speaks HTTP/1.1 by hand: a web framework would hide the very faults that it is for. One request a
connection.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self, cast

from malmoi.core.errors import ContextOverflow, MalmoiError
from malmoi.core.types import Chat
from malmoi.engine.base import Chunk
from malmoi.engine.scripted import ScriptedEngine
from malmoi.engine.scripted.tokens import decode
from malmoi.testing.faults import Fault
from malmoi.testing.wire import (
    chunk_body,
    completion_body,
    parse_chat,
    parse_prompt,
    parse_sampling,
    usage_body,
)

_LAST_CHUNK = b"0\r\n\r\n"
_GENERATION = ("/v1/chat/completions", "/v1/completions")


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """A request that the server received. Names of headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]


class FakeUpstream:
    """The server; an asynchronous context manager.

    Args:
        engine: what answers; its capabilities are the server's.
        model: the name it serves.
        flavour: which server it looks like (`owned_by`, `/tokenize`, `/props`, `echo`).
        api_key: the key it wants; none: any.

    Attributes:
        requests: every request, in order of arrival.
        disconnected: set when a client left before its answer was finished.
    """

    def __init__(
        self,
        engine: ScriptedEngine | None = None,
        *,
        model: str = "fake",
        flavour: Literal["openai", "vllm", "llama-server"] = "vllm",
        api_key: str | None = None,
    ) -> None:
        self.engine = engine or ScriptedEngine()
        self.model = model
        self.requests: list[UpstreamRequest] = []
        self.disconnected = asyncio.Event()
        self._flavour = flavour
        self._api_key = api_key
        self._faults: deque[Fault] = deque()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The API's URL, to give to `open_http`."""
        assert self._server is not None, "the server is not started"
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    @property
    def generations(self) -> list[UpstreamRequest]:
        """The requests for text, in order."""
        return [request for request in self.requests if request.path in _GENERATION]

    def fail(self, *faults: Fault) -> None:
        """Let the next requests fail, one fault each, in this order."""
        self._faults.extend(faults)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Break every connection and listen no more."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._tasks.add(task)
        try:
            request = await _read_request(reader)
            self.requests.append(request)
            # Whoever sends one more byte or leaves ends the answer.
            answer = asyncio.ensure_future(self._answer(request, writer))
            left = asyncio.ensure_future(reader.read(1))
            try:
                await asyncio.wait({answer, left}, return_when=asyncio.FIRST_COMPLETED)
                if not answer.done():
                    self.disconnected.set()
            finally:
                for part in (answer, left):
                    part.cancel()
                await asyncio.gather(answer, left, return_exceptions=True)
            if not answer.cancelled():
                answer.result()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client left, or the server stops: nobody is there to be told
        finally:
            self._tasks.discard(task)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, request: UpstreamRequest, writer: asyncio.StreamWriter) -> None:
        fault = self._take_fault(request.path)
        if fault is not None and fault.kind == "drop":
            return
        if fault is not None and fault.kind == "hang":
            await asyncio.Event().wait()
        if fault is not None and fault.kind == "status":
            headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
            await _send_json(writer, fault.status, {"error": {"message": fault.message}}, headers)
            return
        if fault is not None and fault.kind == "html":
            await _send(writer, 200, b"<html>Sign in</html>", {"Content-Type": "text/html"})
            return
        if self._api_key is not None and request.headers.get("authorization") != f"Bearer {self._api_key}":
            # Some servers repeat the key that they refuse.
            said = f"Incorrect API key provided: {request.headers.get('authorization', '')}"
            await _send_json(writer, 401, {"error": {"message": said}})
            return
        try:
            await self._route(request, writer, fault)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            await _send_json(writer, 400, {"error": {"message": f"malformed request: {error!r}"}})
        except ContextOverflow as error:
            said = (
                f"This model's maximum context length is {error.context_length} tokens. However, "
                f"you requested {error.prompt_tokens} tokens ({error.prompt_tokens} in the messages)."
            )
            await _send_json(writer, 400, {"error": {"message": said}})
        except MalmoiError as error:
            status = 400 if error.code in ("unsupported", "invalid_input") else 500
            await _send_json(writer, status, {"error": {"message": str(error)}})

    def _take_fault(self, path: str) -> Fault | None:
        if self._faults:
            wanted = self._faults[0].path
            if path == wanted if wanted is not None else path in _GENERATION:
                return self._faults.popleft()
        return None

    async def _route(
        self, request: UpstreamRequest, writer: asyncio.StreamWriter, fault: Fault | None
    ) -> None:
        path, body = request.path, request.body
        if path == "/v1/models":
            await _send_json(writer, 200, {"data": [self._model_entry()]})
        elif path in _GENERATION:
            await self._generate(path, body, writer, fault)
        elif path == "/v1/embeddings":
            rows = await self.engine.embed(body["input"])
            # Twice the length and in reverse order: clients must look at the index and norm them.
            data = [{"index": n, "embedding": (row * 2).tolist()} for n, row in enumerate(rows)]
            await _send_json(writer, 200, {"data": data[::-1]})
        elif path == "/tokenize" and self._flavour != "openai":
            await self._tokenize(body, writer)
        elif path == "/apply-template" and self._flavour == "llama-server":
            await _send_json(writer, 200, {"prompt": "".join(m.content for m in parse_chat(body).messages)})
        elif path == "/props" and self._flavour == "llama-server":
            settings = {"n_ctx": self.engine.info.context_length}
            await _send_json(writer, 200, {"default_generation_settings": settings})
        else:
            await _send_json(writer, 404, {"error": {"message": "no such route"}})

    def _model_entry(self) -> dict[str, Any]:
        owner = "llamacpp" if self._flavour == "llama-server" else self._flavour
        entry: dict[str, Any] = {"id": self.model, "object": "model", "owned_by": owner}
        if self._flavour == "vllm":
            entry["max_model_len"] = self.engine.info.context_length
        return entry

    async def _tokenize(self, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        if self._flavour == "vllm":
            tokens = await self.engine.tokenize(parse_prompt(body))
        else:
            tokens = await self.engine.tokenize(body.get("content", ""))
        await _send_json(writer, 200, {"tokens": list(tokens)})

    async def _generate(
        self, path: str, body: dict[str, Any], writer: asyncio.StreamWriter, fault: Fault | None
    ) -> None:
        prompt, sampling, chat = parse_prompt(body), parse_sampling(body), path.endswith("/chat/completions")
        if body.get("echo") and self._flavour == "vllm":
            await _send_json(writer, 200, await self._echo(str(prompt)))
            return
        if not body.get("stream"):
            (done,) = await self.engine.generate([prompt], sampling)
            await _send_json(writer, 200, completion_body(done, model=self.model, chat=chat))
            return
        with_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        if fault is not None and fault.kind == "no_usage":
            with_usage = False
        chunks = self.engine.stream(prompt, sampling)
        async with aclosing(
            _events(chunks, self.model, chat=isinstance(prompt, Chat), usage=with_usage)
        ) as events:
            sent = 0
            async for event in events:
                if sent == 0:
                    await _send_head(writer, 200, {"Content-Type": "text/event-stream"})
                if fault is not None and sent == fault.after and await _play_fault(fault, writer):
                    return
                await _send_chunk(writer, f"data: {event}\n\n".encode())
                sent += 1
            writer.write(_LAST_CHUNK)
            await writer.drain()

    async def _echo(self, prompt: str) -> dict[str, Any]:
        """What vLLM answers to `echo`: a score of every token of the prompt, and one generated token."""
        (score,) = await self.engine.score([("", prompt)])
        ids = await self.engine.tokenize(prompt)
        texts = [decode((token,)) for token in ids]
        starts = [sum(map(len, texts[:n])) for n in range(len(texts))]
        # The first token has no probability; the generated one comes after the prompt.
        values = [None, *score.token_logprobs[1:], -0.5]
        tops = [
            None,
            *({text: value} for text, value in zip(texts[1:], values[1:], strict=False)),
            {"!": -0.5},
        ]
        logprobs = {
            "tokens": [*texts, "!"],
            "token_logprobs": values,
            "top_logprobs": tops,
            "text_offset": [*starts, len(prompt)],
        }
        return {
            "choices": [{"index": 0, "text": f"{prompt}!", "finish_reason": "length", "logprobs": logprobs}]
        }


async def _events(
    chunks: AsyncGenerator[Chunk, None], model: str, *, chat: bool, usage: bool
) -> AsyncGenerator[str, None]:
    """The data of a stream's events, `[DONE]` last."""
    async with aclosing(chunks):
        async for chunk in chunks:
            yield json.dumps(chunk_body(chunk, model=model, chat=chat), ensure_ascii=False)
            if chunk.usage is not None and usage:
                yield json.dumps({"choices": [], "usage": usage_body(chunk.usage)})
    yield "[DONE]"


async def _play_fault(fault: Fault, writer: asyncio.StreamWriter) -> bool:
    """Break the stream; whether it ends here."""
    if fault.kind == "hang_after":
        await asyncio.Event().wait()
    elif fault.kind == "error_event":
        error = {"error": {"message": fault.message, "code": 500}}
        await _send_chunk(writer, f"data: {json.dumps(error)}\n\n".encode())
        writer.write(_LAST_CHUNK)
        return True
    elif fault.kind == "garbage":
        await _send_chunk(writer, b"data: {not json\n\n")
        writer.write(_LAST_CHUNK)
        return True
    return fault.kind == "cut"


async def _read_request(reader: asyncio.StreamReader) -> UpstreamRequest:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    fields = (line.split(":", 1) for line in head[1:] if ":" in line)
    headers = {name.strip().lower(): value.strip() for name, value in fields}
    raw = await reader.readexactly(int(headers.get("content-length", "0")))
    return UpstreamRequest(method, target, headers, json.loads(raw) if raw else {})


async def _send_json(
    writer: asyncio.StreamWriter,
    status: int,
    body: dict[str, Any],
    headers: Mapping[str, str] | None = None,
) -> None:
    raw = json.dumps(body, ensure_ascii=False).encode()
    await _send(writer, status, raw, {"Content-Type": "application/json", **(headers or {})})


async def _send(writer: asyncio.StreamWriter, status: int, body: bytes, headers: Mapping[str, str]) -> None:
    await _send_head(writer, status, {**headers, "Content-Length": str(len(body))})
    writer.write(body)
    await writer.drain()


async def _send_head(writer: asyncio.StreamWriter, status: int, headers: Mapping[str, str]) -> None:
    fields = {"Connection": "close", **headers}
    if "Content-Length" not in fields:
        fields["Transfer-Encoding"] = "chunked"
    lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in fields.items())]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    await writer.drain()


async def _send_chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
    await writer.drain()
