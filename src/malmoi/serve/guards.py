"""The guards of the server: which policy holds for a model and a caller, and answers on their way out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from malmoi.assist.guard import AnswerGuard, Guard, load_policy
from malmoi.core.types import FinishReason
from malmoi.engine.base import Chunk, Completion, TokenLogprob, ToolCallDelta, Usage
from malmoi.engine.collect import merge_tool_calls

if TYPE_CHECKING:
    from malmoi.serve.identity import Principal
    from malmoi.serve.settings import GuardSettings

Complain = Callable[[Completion], Awaitable[str | None]]


class Guards:
    """One guard for each policy that the settings name.

    Args:
        settings: which policies hold for whom.
        home: Malmoi's home directory, where classifiers are.

    Raises:
        UnknownName, ConfigError: a policy is not there, or is wrong.
    """

    def __init__(self, settings: GuardSettings, home: Path) -> None:
        self._settings = settings
        names = {settings.policy, *settings.models.values(), *settings.keys.values()}
        self._guards = {name: Guard(load_policy(name), home) for name in sorted(names)}

    def of(self, model: str, principal: Principal) -> Guard:
        """The guard for a caller's request to a model: that of the key, else of the model, else the usual."""
        settings = self._settings
        name = settings.models.get(model, settings.policy)
        if principal.key_id is not None:
            name = settings.keys.get(principal.key_id, name)
        return self._guards[name]


async def guarded_chunks(
    chunks: AsyncGenerator[Chunk, None],
    answer: AnswerGuard,
    *,
    is_json: bool,
    complain: Complain | None,
    usage: Callable[[int], Awaitable[Usage]],
) -> AsyncGenerator[Chunk, None]:
    """The chunks of one answer as they may leave.

    Args:
        chunks: the answer as the model gives it; it is closed when the guard ends it.
        answer: its guard.
        is_json: the text comes whole and is JSON.
        complain: what is wrong with an answer that must fit a schema; None: it may be anything.
        usage: what an answer has cost that was ended after so many tokens.
    """
    if answer.is_idle:
        async for chunk in chunks:
            yield chunk
        return
    passage = _Passage(answer, is_json, complain)
    tokens = 0
    async with aclosing(chunks) as source:
        async for chunk in source:
            if chunk.finish_reason is None:
                tokens += len(chunk.token_ids) or 1
            out = await passage.through(chunk)
            if passage.is_stopped:
                await source.aclose()
                cost = chunk.usage if chunk.usage is not None else await usage(tokens)
                reason: FinishReason = "content_filter" if answer.report.is_blocked else "stop"
                yield replace(out, finish_reason=reason, usage=cost)
                return
            if out.text or out.reasoning or out.tool_calls or out.logprobs or out.finish_reason is not None:
                yield out


@dataclass(slots=True)
class _Passage:
    """One answer on its way through: text, thoughts and calls each by themselves."""

    answer: AnswerGuard
    is_json: bool
    complain: Complain | None
    thought: AnswerGuard | None = None
    token_ids: tuple[int, ...] = ()
    logprobs: _Logprobs = field(default_factory=lambda: _Logprobs())

    @property
    def is_stopped(self) -> bool:
        """Whether the guard has ended the answer."""
        return self.answer.is_stopped or (self.thought is not None and self.thought.is_stopped)

    async def through(self, chunk: Chunk) -> Chunk:
        """What may leave after a chunk has come."""
        self.token_ids += chunk.token_ids
        reasoning = await self._thought(chunk)
        if self.thought is not None and self.thought.is_stopped:
            # A thought that must not be seen ends the answer; what the guard says is said as text.
            said = reasoning if not self.answer.report.is_blocked else ""
            return self._out(chunk, text=said.strip())
        calls = await self._calls(chunk.tool_calls)
        text = await self._text(chunk)
        if chunk.finish_reason is not None and not self.is_stopped:
            text += await self.answer.close()
        if not self.is_stopped and self.complain is not None and (calls or self.is_json):
            await self._fit(chunk, text, calls)
        if self.is_stopped:
            hides = self.is_json and self.answer.report.is_blocked
            return self._out(chunk, text="" if hides else text, reasoning=reasoning)
        return self._out(chunk, text=text, reasoning=reasoning, tool_calls=calls)

    async def _thought(self, chunk: Chunk) -> str:
        out = ""
        if chunk.reasoning:
            if self.thought is None:
                self.thought = self.answer.sibling()
            out = await self.thought.feed(chunk.reasoning)
        ends = chunk.text or chunk.tool_calls or chunk.finish_reason is not None
        if self.thought is not None and ends and not self.thought.is_stopped:
            out += await self.thought.close()
            if not self.thought.is_stopped:
                self.thought = None
        return out

    async def _text(self, chunk: Chunk) -> str:
        if not chunk.text or self.answer.is_stopped:
            return ""
        if self.is_json:
            return await self.answer.whole_json(chunk.text)
        return await self.answer.feed(chunk.text)

    async def _calls(self, deltas: tuple[ToolCallDelta, ...]) -> tuple[ToolCallDelta, ...]:
        """Calls come whole and checked (`serve/answers.py`)."""
        return tuple(
            [replace(delta, arguments=await self.answer.whole_json(delta.arguments)) for delta in deltas]
        )

    async def _fit(self, chunk: Chunk, text: str, calls: tuple[ToolCallDelta, ...]) -> None:
        """End the answer if, with something covered, it no longer fits what it must fit."""
        changed = text != chunk.text or calls != chunk.tool_calls
        if changed and self.complain is not None:
            whole = Completion(
                text if self.is_json else "",
                chunk.finish_reason or "stop",
                tool_calls=merge_tool_calls(calls),
            )
            if await self.complain(whole) is not None:
                self.answer.refuse()

    def _out(
        self,
        chunk: Chunk,
        *,
        text: str,
        reasoning: str = "",
        tool_calls: tuple[ToolCallDelta, ...] = (),
    ) -> Chunk:
        logprobs = self.logprobs.through(chunk, text)
        token_ids: tuple[int, ...] = ()
        if text or reasoning or tool_calls or chunk.finish_reason is not None:
            token_ids, self.token_ids = self.token_ids, ()
        return replace(
            chunk,
            text=text,
            reasoning=reasoning,
            tool_calls=tool_calls,
            token_ids=token_ids,
            logprobs=logprobs,
        )


@dataclass(slots=True)
class _Logprobs:
    """Log-probabilities of text that has left unchanged; from the first change on there are none."""

    raw: str = ""
    sent: int = 0
    told: int = 0
    waiting: list[TokenLogprob] = field(default_factory=list)
    is_lost: bool = False

    def through(self, chunk: Chunk, text: str) -> tuple[TokenLogprob, ...]:
        """Those that may leave with `text`."""
        if self.is_lost or not (chunk.logprobs or self.waiting):
            self.raw, self.sent, self.told = "", 0, 0
            return () if self.is_lost or text == chunk.text else self._lose()
        self.raw += chunk.text
        self.waiting += chunk.logprobs
        if self.raw[self.sent : self.sent + len(text)] != text:
            return self._lose()
        self.sent += len(text)
        ready: list[TokenLogprob] = []
        while self.waiting and self.told + len(self.waiting[0].token) <= self.sent:
            token = self.waiting[0].token
            if self.raw[self.told : self.told + len(token)] != token:
                self._lose()
                break
            self.told += len(token)
            ready.append(self.waiting.pop(0))
        return tuple(ready)

    def _lose(self) -> tuple[TokenLogprob, ...]:
        self.is_lost = True
        self.waiting.clear()
        return ()
