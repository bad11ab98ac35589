"""Any OpenAI-compatible server as an engine: vLLM, SGLang, llama-server, OpenAI, another gateway of ours."""

import asyncio
import time
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from pydantic import SecretStr

from malmoi.core.errors import ConfigError, EngineError, InvalidInput, UnknownName, Unsupported
from malmoi.core.types import Chat
from malmoi.engine.base import Capability, Chunk, Completion, EngineInfo, Prompt, Role, Sampling, Score
from malmoi.engine.collect import generate_all
from malmoi.engine.http.connection import Connection, Patience, is_local
from malmoi.engine.http.probe import Found, find_model, probe
from malmoi.engine.http.replies import StreamReader
from malmoi.engine.http.requests import chat_body, completion_body, messages_body, tools_body
from malmoi.engine.http.scoring import score_pair
from malmoi.engine.http.upstreams import Upstreams

_EMBED_BATCH = 64
_DEFAULT_CONTEXT = 8192  # of a server that does not tell
_BYTES_PER_TOKEN = 3  # a rough count for prompts that nobody counted


class HttpEngine:
    """A model on a server. Made by `open_http`."""

    def __init__(
        self,
        connection: Connection,
        found: Found,
        *,
        name: str,
        num_slots: int,
        extra: Mapping[str, Any],
        newer_limit: bool = False,
    ) -> None:
        self._connection = connection
        self._found = found
        self._extra = dict(extra)
        self._newer_limit = newer_limit
        self._info = EngineInfo(
            name=name,
            kind="http",
            capabilities=found.capabilities,
            context_length=found.context_length or _DEFAULT_CONTEXT,
            num_slots=num_slots,
            embedding_size=found.embedding_size,
            adapters=found.adapters,
            description=f"{found.model} on an upstream server ({found.flavour}).",
        )

    @property
    def info(self) -> EngineInfo:
        """Name, capabilities and limits, as they were found when the engine was opened."""
        return self._info

    async def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncGenerator[Chunk, None]:
        """Generate, see `Engine.stream`. Closing it closes the connection, which stops the upstream."""
        path, body = self._request(prompt, sampling)
        reader = StreamReader(secret=self._connection.secret)
        started = time.perf_counter()
        first: float | None = None
        async with aclosing(self._connection.stream(path, body)) as events:
            async for data in events:
                chunk = reader.read(data)
                if chunk is not None:
                    first = first or time.perf_counter()
                    yield chunk
        ended = time.perf_counter()
        first = first or ended
        counted = 0 if reader.has_usage else await self._count(prompt)
        yield reader.finish(
            prompt_tokens=counted, prompt_seconds=first - started, completion_seconds=ended - first
        )

    async def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Completion]:
        """Generate for many prompts, see `Engine.generate`."""
        return await generate_all(self.stream, prompts, sampling, concurrency=self._info.num_slots)

    async def score(self, pairs: Sequence[tuple[str, str]]) -> list[Score]:
        """Log-probabilities by the upstream's `echo`, see `Engine.score`."""
        self._require("score")
        slots = asyncio.Semaphore(self._info.num_slots)

        async def one(context: str, continuation: str) -> Score:
            async with slots:
                return await score_pair(self._connection, self._found.model, context, continuation)

        return list(await asyncio.gather(*(one(*pair) for pair in pairs)))

    async def embed(self, texts: Sequence[str], *, role: Role = "query") -> NDArray[np.float32]:
        """Unit vectors: (N, D), see `Engine.embed`."""
        self._require("embed")
        rows = [
            await self._embed(texts[start : start + _EMBED_BATCH])
            for start in range(0, len(texts), _EMBED_BATCH)
        ]
        return (
            np.concatenate(rows) if rows else np.zeros((0, self._info.embedding_size or 0), dtype=np.float32)
        )

    async def tokenize(self, prompt: Prompt) -> tuple[int, ...]:
        """Token ids by the upstream's `/tokenize`, see `Engine.tokenize`."""
        if isinstance(prompt, tuple):
            return prompt
        self._require("tokenize")
        if self._found.tokenize_style == "prompt":
            body: dict[str, Any] = {"model": self._found.model}
            if isinstance(prompt, Chat):
                body["messages"] = messages_body(prompt)
                if prompt.tools:
                    body["tools"] = tools_body(prompt)
            else:
                body["prompt"] = prompt
        else:
            if isinstance(prompt, Chat):
                rendered = {"messages": messages_body(prompt), "tools": tools_body(prompt)}
                prompt = str(
                    (await self._connection.post_json("/apply-template", rendered, root=True)).get(
                        "prompt", ""
                    )
                )
            body = {"content": prompt, "add_special": True, "parse_special": True}
        tokens = (await self._connection.post_json("/tokenize", body, root=True)).get("tokens")
        if not isinstance(tokens, list) or not all(type(token) is int for token in tokens):
            raise EngineError("the upstream's /tokenize did not answer with token ids.")
        return tuple(tokens)

    async def close(self) -> None:
        """Close the connections; streams under way end with `EngineUnavailable`."""
        await self._connection.close()

    def _require(self, capability: Capability) -> None:
        if capability not in self._info.capabilities:
            raise Unsupported(f"the upstream of {self._info.name!r} has not the capability {capability!r}.")

    def _request(self, prompt: Prompt, sampling: Sampling) -> tuple[str, dict[str, Any]]:
        """The route and body for a prompt."""
        self._require("generate")
        if sampling.grammar is not None and sampling.json_schema is not None:
            raise InvalidInput("give a grammar or a JSON schema, not both.", field="grammar")
        if sampling.json_schema is not None:
            self._require("grammar")
        model, flavour = self._model(sampling), self._found.flavour
        if isinstance(prompt, Chat):
            self._require("chat")
            if prompt.tools:
                self._require("tools")
            if sampling.top_logprobs is not None:
                self._require("logprobs")
            path, body = "/chat/completions", chat_body(prompt, sampling, model=model, flavour=flavour)
            if self._newer_limit and "max_tokens" in body:
                body["max_completion_tokens"] = body.pop("max_tokens")
        else:
            if not self._found.completes:
                raise Unsupported(
                    f"the upstream of {self._info.name!r} has no /completions.",
                    fix="Send a conversation instead.",
                )
            path, body = "/completions", completion_body(prompt, sampling, model=model, flavour=flavour)
        return path, {**body, **self._extra}

    def _model(self, sampling: Sampling) -> str:
        """The model's name upstream; vLLM serves an adapter as a model of its own."""
        wanted = [(name, scale) for name, scale in sampling.adapters.items() if scale]
        if not wanted:
            return self._found.model
        for name, _ in wanted:
            if name not in self._found.adapters:
                raise UnknownName("adapter", name, self._found.adapters)
        if len(wanted) > 1 or wanted[0][1] != 1.0:
            raise Unsupported("an upstream server applies one adapter at a time, with the scale 1.")
        return wanted[0][0]

    async def _embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        body = {"model": self._found.model, "input": list(texts), "encoding_format": "float"}
        data = (await self._connection.post_json("/embeddings", body)).get("data")
        try:
            ordered = sorted(data, key=lambda entry: int(entry["index"]))  # type: ignore[arg-type]
            vectors = np.array([entry["embedding"] for entry in ordered], dtype=np.float32)
        except (TypeError, ValueError, KeyError) as error:
            raise EngineError("the upstream's embeddings are malformed.") from error
        lengths = np.linalg.norm(vectors, axis=-1, keepdims=True) if vectors.ndim == 2 else np.zeros(0)
        if (
            len(vectors) != len(texts)
            or not lengths.size
            or not np.isfinite(lengths).all()
            or (lengths == 0).any()
        ):
            raise EngineError("the upstream's embeddings are malformed.")
        unit: NDArray[np.float32] = (vectors / lengths).astype(np.float32)
        return unit

    async def _count(self, prompt: Prompt) -> int:
        """The prompt's tokens where the upstream sent no usage: by its tokeniser, else roughly by length."""
        if "tokenize" in self._info.capabilities or isinstance(prompt, tuple):
            return len(await self.tokenize(prompt))
        text = prompt if isinstance(prompt, str) else "".join(message.content for message in prompt.messages)
        return -(-len(text.encode("utf-8", "surrogatepass")) // _BYTES_PER_TOKEN)


async def open_http(
    url: str | Sequence[str],
    model: str = "",
    *,
    name: str | None = None,
    api_key: SecretStr | str | None = None,
    timeout: float | None = None,
    patience: Patience | None = None,
    num_slots: int = 4,
    context_length: int | None = None,
    capabilities: Collection[Capability] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> HttpEngine:
    """Open a model on one or several equal OpenAI-compatible servers.

    Args:
        url: the API's URL, such as `http://host:8000/v1`; several as a list or with commas between.
        model: the name there; empty: the only one that is served.
        name: what it is called here; none: `model`.
        api_key: sent as a bearer token; never logged and never part of an error.
        timeout: seconds without a sign of life after which the server counts as lost; over `patience`.
        patience: timeouts and retries.
        num_slots: requests that `generate` and `score` send at the same time.
        context_length: tokens of context; none: what the server tells, else 8192.
        capabilities: what it can do, without asking; none: it is probed with requests of a few tokens.
        extra: fields added to the body of every generation, over ours.

    Raises:
        ConfigError: a URL or the key is not usable.
        EngineUnavailable: no server answers.
        EngineError: the server refuses the key or is no OpenAI-compatible server.
        UnknownName: it does not serve that model.
    """
    urls = [_checked(part) for part in (url.split(",") if isinstance(url, str) else url)]
    if not urls:
        raise ConfigError(
            "no URL of an upstream is given.", fix="Give one, such as http://127.0.0.1:8000/v1."
        )
    patience = patience or Patience()
    secret = api_key.get_secret_value() if isinstance(api_key, SecretStr) else api_key
    connection = Connection(
        Upstreams([str(each) for each in urls]),
        model=model,
        secret=secret or None,
        patience=replace(patience, read_timeout=timeout) if timeout is not None else patience,
        local=all(is_local(each) for each in urls),
    )
    newer = any(each.host == "api.openai.com" for each in urls)
    try:
        found = await find_model(connection, model)
        connection.model = found.model
        known = frozenset(capabilities) if capabilities is not None else None
        if known is None:
            found = await probe(connection, found, newer_limit=newer)
    except BaseException:  # also when cancelled: the connections must not stay open
        await connection.close()
        raise
    return HttpEngine(
        connection,
        _with(found, known, context_length),
        name=name or found.model,
        num_slots=num_slots,
        extra=extra or {},
        newer_limit=newer,
    )


def _with(found: Found, known: frozenset[Capability] | None, context_length: int | None) -> Found:
    """What was found, with what the caller knows better."""
    return Found(
        model=found.model,
        flavour=found.flavour,
        capabilities=found.capabilities if known is None else known,
        completes=found.completes if known is None else True,
        context_length=context_length or found.context_length,
        embedding_size=found.embedding_size,
        tokenize_style=found.tokenize_style if known is None else "prompt",
        adapters=found.adapters,
    )


def _checked(url: str) -> httpx.URL:
    """A usable URL of an API.

    Raises:
        ConfigError: it is none; the message does not repeat credentials that stand in it.
    """
    try:
        parsed = httpx.URL(url.strip())
    except httpx.InvalidURL as error:
        raise ConfigError(f"an upstream's URL is not valid: {error}.") from None
    if parsed.userinfo:
        raise ConfigError("an upstream's URL holds a password.", fix="Give it as the API key instead.")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ConfigError(
            f"{url.strip()!r} is not the URL of an upstream.", fix="It looks like http://host:8000/v1."
        )
    return parsed.copy_with(query=None, fragment=None)
