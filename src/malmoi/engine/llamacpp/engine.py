"""The engine: the protocol of `engine/base.py` over llama.cpp's own HTTP interface."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import InvalidInput, Unsupported
from malmoi.core.types import Chat
from malmoi.engine.base import Capability, Chunk, Completion, EngineInfo, Prompt, Role, Sampling, Score
from malmoi.engine.collect import generate_all
from malmoi.engine.llamacpp import replies
from malmoi.engine.llamacpp.answer import AnswerReader
from malmoi.engine.llamacpp.connection import Answer, Connection, ConnectionLost
from malmoi.engine.llamacpp.prompts import Prepared, PromptWriter, checked
from malmoi.engine.llamacpp.requests import build_body
from malmoi.engine.llamacpp.schema import check_gbnf, schema_grammar
from malmoi.engine.llamacpp.supervisor import Supervisor

_MAX_TRUSTED = 256
_IMPOSSIBLE = "Q"  # no JSON text begins with it


class LlamaCppEngine:
    """A GGUF model in a supervised child process.

    Args:
        supervisor: owns the process; it has been started.
        info: what the engine is; `sampling_defaults` fill what a request leaves open.
        prompts: writes the prompts.
        keep_special: control tokens whose text stays in the output when the template's parser needs it.

    A stream's chunk carries the ids of the tokens that llama.cpp names with its text. Of a character that is
    made of several tokens that is only the last; `generate` returns all ids.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        info: EngineInfo,
        *,
        prompts: PromptWriter,
        keep_special: Sequence[str] = (),
    ) -> None:
        self._supervisor = supervisor
        self._info = info
        self._prompts = prompts
        self._keep_special = tuple(keep_special)
        # llama.cpp would queue more by itself, but each would hold one of its HTTP threads, and the health
        # check would wait behind them.
        self._slots = asyncio.Semaphore(info.num_slots)
        self._small = asyncio.Semaphore(info.num_slots)
        self._trusted: dict[str, None] = {}
        self._trusting = asyncio.Lock()

    @property
    def info(self) -> EngineInfo:
        """Name, capabilities and limits."""
        return self._info

    @property
    def pid(self) -> int | None:
        """The child's process id; None while it is restarting."""
        return self._supervisor.pid

    @property
    def ready(self) -> bool:
        """Whether the child serves right now."""
        return self._supervisor.ready

    async def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncGenerator[Chunk, None]:
        """Generate, piece by piece, see `Engine.stream`."""
        prepared, body = await self._request(prompt, sampling, stream=True)
        answer = AnswerReader(prompt, prepared.rendered, sampling)
        async with self._slots, self._connected() as connection:
            async with connection.events("/completion", body) as reply:
                if reply.status != 200:
                    _refuse(Answer(reply.status, await reply.read()))
                async with aclosing(reply.events()) as events:
                    async for payload in events:
                        event = replies.parse_event(payload)
                        for chunk in answer.read(event):
                            yield chunk
                        if answer.finished:
                            return
            raise ConnectionLost("the answer has no end")

    async def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Completion]:
        """Generate for many prompts, see `Engine.generate`; with the ids of all tokens."""
        return await generate_all(self._whole, prompts, sampling, concurrency=self._info.num_slots)

    async def _whole(self, prompt: Prompt, sampling: Sampling) -> AsyncGenerator[Chunk, None]:
        prepared, body = await self._request(prompt, sampling, stream=False)
        answer = AnswerReader(prompt, prepared.rendered, sampling)
        async with self._slots:
            result = await self._ask("/completion", body)
        for chunk in answer.read(result):
            yield chunk

    async def score(self, pairs: Sequence[tuple[str, str]]) -> list[Score]:
        """llama.cpp's server gives no probabilities of a prompt's own tokens.

        Raises:
            Unsupported: always.
        """
        raise Unsupported(
            "llama.cpp cannot tell the probability of a given text.",
            fix="Open the model with torch=True: its scores are exact.",
        )

    async def embed(self, texts: Sequence[str], *, role: Role = "query") -> NDArray[np.float32]:
        """One unit-length vector a text: (N, D); the mean over its tokens if the model names no pooling."""
        self._require("embed")
        if not texts:
            return np.zeros((0, self._info.embedding_size or 0), dtype=np.float32)
        rows: list[NDArray[np.float32]] = []
        for start in range(0, len(texts), self._info.num_slots):
            batch = [checked(text) for text in texts[start : start + self._info.num_slots]]
            async with self._slots:
                answer = await self._ask("/embedding", {"content": batch})
            for entry in sorted(answer, key=lambda entry: int(entry["index"])):
                vectors = np.asarray(entry["embedding"], dtype=np.float32).reshape(
                    -1, len(entry["embedding"][0])
                )
                mean = vectors.mean(axis=0)
                rows.append(mean / max(float(np.linalg.norm(mean)), 1e-12))
        return np.stack(rows).astype(np.float32)

    async def tokenize(self, prompt: Prompt) -> tuple[int, ...]:
        """The token ids that `prompt` becomes, control tokens included."""
        content = (await self._prompts.prepare(prompt, self._tokenise)).content
        return content if isinstance(content, tuple) else await self._tokenise(content, True)

    async def detokenize(self, token_ids: Sequence[int]) -> str:
        """The text of token ids, control tokens included."""
        async with self._small:
            answer = await self._ask("/detokenize", {"tokens": list(token_ids)})
        return str(answer["content"])

    async def metrics(self) -> str:
        """llama.cpp's own metrics, in Prometheus' text format."""
        async with self._connected() as connection:
            answer = await connection.request("GET", "/metrics", timeout=30)
        return answer.body.decode("utf-8", "replace")

    async def native_address(self) -> tuple[str, str]:
        """URL and key of llama.cpp's own server, for measurements against it."""
        async with self._connected() as connection:
            return connection.address

    async def busy_slots(self) -> int:
        """How many slots generate now."""
        async with self._connected() as connection:
            slots = (await connection.request("GET", "/slots", timeout=30)).json()
        return sum(1 for slot in slots if slot["is_processing"])

    async def close(self) -> None:
        """End the child process; requests under way end with `EngineUnavailable`."""
        await self._supervisor.close()

    async def _request(
        self, prompt: Prompt, sampling: Sampling, *, stream: bool
    ) -> tuple[Prepared, dict[str, Any]]:
        self._require("generate")
        if isinstance(prompt, Chat) and prompt.tools:
            self._require("tools")
        prepared = await self._prompts.prepare(prompt, self._tokenise)
        rendered = prepared.rendered
        body = build_body(
            prepared.content,
            sampling,
            defaults=self._info.sampling_defaults,
            adapters=self._info.adapters,
            context_length=self._info.context_length,
            stop=rendered.stop if rendered else (),
            grammar=await self._grammar(sampling),
            keep_special=self._keep_special if rendered and rendered.keep_special else (),
            stream=stream,
        )
        return prepared, body

    async def _grammar(self, sampling: Sampling) -> str | None:
        if sampling.grammar is not None and sampling.json_schema is not None:
            raise InvalidInput("give a grammar or a JSON schema, not both.", field="grammar")
        if sampling.grammar is not None:
            return check_gbnf(sampling.grammar)
        if sampling.json_schema is None:
            return None
        grammar = schema_grammar(sampling.json_schema)
        async with self._trusting:
            if grammar not in self._trusted:
                await self._probe(grammar)
                while len(self._trusted) >= _MAX_TRUSTED:
                    del self._trusted[next(iter(self._trusted))]
                self._trusted[grammar] = None
        return grammar

    async def _probe(self, grammar: str) -> None:
        """Push a token that no JSON begins with: a grammar that lets it through is not being applied."""
        token = (await self._tokenise(_IMPOSSIBLE, False))[-1]
        body = {
            "prompt": [token],
            "n_predict": 1,
            "temperature": 0,
            "grammar": grammar,
            "logit_bias": [[token, 1000.0]],
            "cache_prompt": False,
            "return_tokens": True,
        }
        async with self._slots:
            answer = await self._ask("/completion", body)
        if token in answer.get("tokens", ()):
            raise InvalidInput(
                "llama.cpp cannot hold the model to this JSON schema.",
                field="json_schema",
                fix="Check its types and every $ref; leave out 'not', 'if' and look-around in patterns.",
            )

    async def _tokenise(self, text: str, add_special: bool) -> tuple[int, ...]:
        body = {"content": text, "add_special": add_special, "parse_special": True}
        async with self._small:
            return tuple((await self._ask("/tokenize", body))["tokens"])

    async def _ask(self, path: str, body: Any) -> Any:
        async with self._connected() as connection:
            answer = await connection.request("POST", path, body)
            if answer.status != 200:
                _refuse(answer)
            return answer.json()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        """The connection to the child; its loss, while this is open, is `EngineUnavailable`."""
        child = await self._supervisor.child()
        try:
            yield child.connection
        except ConnectionLost as error:
            raise self._supervisor.lost(child, error) from error

    def _require(self, capability: Capability) -> None:
        if capability not in self._info.capabilities:
            raise Unsupported(
                f"{self._info.name} is not open for {capability!r}.",
                fix=f"It can: {', '.join(sorted(self._info.capabilities))}.",
            )


def _refuse(answer: Answer) -> None:
    try:
        error = json.loads(answer.body).get("error")
    except (ValueError, AttributeError):
        error = f"status {answer.status}"
    replies.raise_refusal(answer.status, error)
