"""The scripted engine itself: the protocol of `engine/base.py` over a `Script`."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import (
    ContextOverflow,
    EngineError,
    EngineUnavailable,
    InvalidInput,
    MalmoiError,
    Overloaded,
    UnknownName,
    Unsupported,
)
from malmoi.core.types import Chat, FinishReason
from malmoi.engine.base import (
    Capability,
    Chunk,
    Completion,
    EngineInfo,
    Prompt,
    Role,
    Sampling,
    Score,
    Usage,
)
from malmoi.engine.collect import generate_all
from malmoi.engine.scripted.obey import attacks
from malmoi.engine.scripted.pieces import Piece, chunk_of, cut_answer, groups_of
from malmoi.engine.scripted.replies import choose_reply, default_rule, digest, embed_text
from malmoi.engine.scripted.script import Failure, Rule, Script, load_script, prompt_texts
from malmoi.engine.scripted.tokens import decode, encode, encode_chat, split

_ALL: tuple[Capability, ...] = (
    "generate",
    "chat",
    "tools",
    "logprobs",
    "grammar",
    "score",
    "embed",
    "tokenize",
    "adapters",
)


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request that the engine received, in order of arrival."""

    prompt: Prompt
    sampling: Sampling


class ScriptedEngine:
    """An engine that answers by a script, deterministically, with exact token counts.

    Without a seed its answers are the first ones, not random ones. Attributes for tests:

    Attributes:
        requests: every request, in order of arrival.
        generated_tokens: tokens that left the engine, also in streams that were cut short.
        active: streams that hold a slot now; `max_active`: the most there ever were at a time.
        cancelled: set when a stream was closed before its end; `num_cancelled` counts them.
        held: set while a stream waits at its rule's `hold_after`.
    """

    def __init__(
        self,
        script: Script | Sequence[Rule] | None = None,
        *,
        name: str = "scripted",
        obey: bool | None = None,
        num_slots: int | None = None,
        context_length: int | None = None,
        capabilities: Collection[Capability] = _ALL,
        adapters: Sequence[str] = (),
        sampling_defaults: Sampling | None = None,
    ) -> None:
        whole = script if isinstance(script, Script) else Script(rules=tuple(script or ()))
        changes = {"obey": obey, "num_slots": num_slots, "context_length": context_length}
        self.script = whole.model_copy(update={k: v for k, v in changes.items() if v is not None})
        self.requests: list[RecordedRequest] = []
        self.generated_tokens = 0
        self.active = 0
        self.max_active = 0
        self.num_cancelled = 0
        self.cancelled = asyncio.Event()
        self.held = asyncio.Event()
        self._release = asyncio.Event()
        self._closed = asyncio.Event()
        self._queue: deque[Rule] = deque()
        self._used: dict[int, int] = {}
        self._slots = asyncio.Semaphore(self.script.num_slots)
        self._past: deque[tuple[int, ...]] = deque(maxlen=self.script.num_slots)
        self._info = EngineInfo(
            name=name,
            kind="scripted",
            capabilities=frozenset(capabilities),
            context_length=self.script.context_length,
            num_slots=self.script.num_slots,
            embedding_size=self.script.embedding_size if "embed" in capabilities else None,
            adapters=tuple(adapters),
            sampling_defaults=sampling_defaults or Sampling(),
            description="Follows a script; no model.",
        )

    @property
    def info(self) -> EngineInfo:
        """Name, capabilities and limits."""
        return self._info

    def enqueue(self, reply: str | Sequence[str] = "", **fields: Any) -> None:
        """Answer the next request with this, before any rule of the script; `fields` are those of `Rule`.

        Queued answers are used once each, in their order, by the requests in theirs.
        """
        words = reply if isinstance(reply, str) else tuple(reply)
        self._queue.append(Rule.model_validate({"reply": words, **fields}))

    def release(self) -> None:
        """Let every stream go on that waits at its rule's `hold_after`, now and from now on."""
        self._release.set()

    async def stream(self, prompt: Prompt, sampling: Sampling) -> AsyncGenerator[Chunk, None]:
        """Answer by the script, see `Engine.stream`."""
        self._check(prompt, sampling)
        self.requests.append(RecordedRequest(prompt, sampling))
        prompt_ids = self._encode(prompt)
        room = self._info.context_length - len(prompt_ids)
        if room < 1:
            raise ContextOverflow(len(prompt_ids), self._info.context_length)
        readable = decode(prompt) if isinstance(prompt, tuple) else prompt
        rule = self._rule(readable, sampling)
        pieces, reason = cut_answer(rule, readable, sampling, prompt_ids, room)
        async with self._slots:
            if self._closed.is_set():
                raise _gone()
            self.active += 1
            self.max_active = max(self.max_active, self.active)
            finished = False
            try:
                async with aclosing(self._play(rule, pieces, reason, prompt_ids, sampling)) as chunks:
                    async for chunk in chunks:
                        # Set before the last chunk goes out: its reader need not ask for another.
                        finished = chunk.finish_reason is not None
                        yield chunk
            except MalmoiError:
                finished = True  # it failed by itself: nobody cut it short
                raise
            finally:
                self.active -= 1
                if not finished:
                    self.num_cancelled += 1
                    self.cancelled.set()

    async def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Completion]:
        """Answer many prompts, see `Engine.generate`."""
        return await generate_all(self.stream, prompts, sampling, concurrency=self._info.num_slots)

    async def score(self, pairs: Sequence[tuple[str, str]]) -> list[Score]:
        """Made-up log-probabilities; a continuation that the script would write is greedy and likely."""
        self._require("score")
        return [self._score(context, continuation) for context, continuation in pairs]

    async def embed(self, texts: Sequence[str], *, role: Role = "query") -> NDArray[np.float32]:
        """Hashed unit vectors: (N, embedding_size)."""
        self._require("embed")
        size = self.script.embedding_size
        rows = [embed_text(text, size) for text in texts]
        return np.stack(rows) if rows else np.zeros((0, size), dtype=np.float32)

    async def tokenize(self, prompt: Prompt) -> tuple[int, ...]:
        """The token ids that usage counts."""
        self._require("tokenize")
        return self._encode(prompt)

    async def close(self) -> None:
        """End every stream under way with `EngineUnavailable`, and refuse new ones."""
        self._closed.set()

    def _require(self, capability: Capability) -> None:
        if self._closed.is_set():
            raise _gone()
        if capability not in self._info.capabilities:
            raise Unsupported(f"the engine {self._info.name!r} has not the capability {capability!r}.")

    def _check(self, prompt: Prompt, sampling: Sampling) -> None:
        self._require("generate")
        if isinstance(prompt, Chat):
            self._require("chat")
            if prompt.tools:
                self._require("tools")
        if sampling.top_logprobs is not None:
            self._require("logprobs")
        if sampling.grammar is not None or sampling.json_schema is not None:
            self._require("grammar")
        if sampling.grammar is not None and sampling.json_schema is not None:
            raise InvalidInput("give a grammar or a JSON schema, not both.", field="grammar")
        for adapter in sampling.adapters:
            if adapter not in self._info.adapters:
                raise UnknownName("adapter", adapter, self._info.adapters)

    def _encode(self, prompt: Prompt) -> tuple[int, ...]:
        if isinstance(prompt, Chat):
            return encode_chat(prompt)
        return encode(prompt) if isinstance(prompt, str) else tuple(prompt)

    def _rule(self, prompt: str | Chat, sampling: Sampling) -> Rule:
        if self._queue:
            return self._queue.popleft()
        if self.script.obey:
            obeyed = attacks(prompt)
            if obeyed is not None:
                return obeyed
        last_user, everything = prompt_texts(prompt)
        for index, rule in enumerate(self.script.rules):
            used = self._used.get(index, 0)
            if (rule.times is None or used < rule.times) and rule.matches(last_user, everything):
                self._used[index] = used + 1
                return rule
        return default_rule(prompt, last_user, sampling)

    async def _play(
        self,
        rule: Rule,
        pieces: list[Piece],
        reason: FinishReason,
        prompt_ids: tuple[int, ...],
        sampling: Sampling,
    ) -> AsyncGenerator[Chunk, None]:
        """Send the pieces at the rule's pace, with its faults."""
        started = time.perf_counter()
        cached = self._cached(prompt_ids, sampling)
        await self._pause(_either(rule.first_token_delay, self.script.first_token_delay))
        first = time.perf_counter()
        speed = rule.tokens_per_second or self.script.tokens_per_second
        groups = groups_of(pieces, rule.chunk_tokens)
        for number in range(len(groups) + 1):
            if rule.hold_after == number:
                await self._hold()
            if rule.fail_after == number:
                raise _failure(rule.failure)
            if self._closed.is_set():
                raise _gone()
            if number == len(groups):
                break
            chunk = chunk_of(groups[number], sampling)
            if speed:
                await self._pause(len(chunk.token_ids) / speed)
            self.generated_tokens += len(chunk.token_ids)
            yield chunk
            # Without a pause a whole answer would be sent in one step of the event loop, unlike any engine.
            await asyncio.sleep(0)
        true = Usage(
            prompt_tokens=len(prompt_ids),
            completion_tokens=sum(len(piece.token_ids) for piece in pieces),
            cached_tokens=cached,
            reasoning_tokens=sum(len(piece.token_ids) for piece in pieces if piece.kind == "reasoning"),
            prompt_seconds=first - started,
            completion_seconds=time.perf_counter() - first,
        )
        told = {key: value for key, value in rule.usage.model_dump().items() if value is not None}
        yield Chunk(finish_reason=rule.finish_reason or reason, usage=replace(true, **told))

    def _cached(self, prompt_ids: tuple[int, ...], sampling: Sampling) -> int:
        """Tokens of the longest prefix shared with a recent prompt; the last token is always computed."""
        longest = 0
        for past in self._past if sampling.cache_prompt else ():
            shared = next((i for i, (a, b) in enumerate(zip(past, prompt_ids, strict=False)) if a != b), None)
            longest = max(longest, min(len(past), len(prompt_ids)) if shared is None else shared)
        self._past.append(prompt_ids)
        return min(longest, len(prompt_ids) - 1) if prompt_ids else 0

    async def _pause(self, seconds: float) -> None:
        """Wait, but no longer than until the engine is closed."""
        if seconds > 0:
            try:
                await asyncio.wait_for(self._closed.wait(), seconds)
            except TimeoutError:
                return
            raise _gone()

    async def _hold(self) -> None:
        self.held.set()
        waits = [asyncio.ensure_future(self._release.wait()), asyncio.ensure_future(self._closed.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.held.clear()
            for wait in waits:
                wait.cancel()

    def _score(self, context: str, continuation: str) -> Score:
        rule = next((r for r in self.script.rules if r.matches(context, context)), None)
        greedy = rule is not None and choose_reply(rule, Sampling(), context).startswith(continuation.strip())
        logprobs = tuple(
            -0.01 if greedy else -0.5 - (digest("score", context, piece, place) % 4000) / 1000
            for place, piece in enumerate(split(continuation))
        )
        return Score(logprob=sum(logprobs), token_logprobs=logprobs, is_greedy=greedy)


async def open_scripted(path: Path, *, name: str | None = None) -> ScriptedEngine:
    """A scripted engine from a `.toml` or `.json` file, named after it.

    Raises:
        ConfigError: the file is not a script.
    """
    return ScriptedEngine(load_script(path), name=name or path.stem)


def _either(value: float | None, default: float) -> float:
    return default if value is None else value


def _gone() -> EngineUnavailable:
    return EngineUnavailable("the scripted engine is closed.")


def _failure(kind: Failure) -> MalmoiError:
    if kind == "engine_unavailable":
        return EngineUnavailable("the scripted engine plays a failure: unavailable.")
    if kind == "overloaded":
        return Overloaded("the scripted engine plays a failure: overloaded.", retry_after=1)
    return EngineError("the scripted engine plays a failure.", fix="This is what its script says.")
