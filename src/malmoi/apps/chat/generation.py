"""One generation: the prompt of a branch, the stream of its answer, and what came of it."""

import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from malmoi.apps.chat.flowing import InferenceWriter
from malmoi.apps.chat.grounding import GroundedReply
from malmoi.apps.chat.live import LiveReply
from malmoi.apps.chat.prompts import Turn, plan_prompt
from malmoi.apps.chat.skilled import SkilledReply
from malmoi.apps.chat.types import ErrorOut, Language, SamplingOptions, Status, UsageOut
from malmoi.assist.guard import Report
from malmoi.assist.skills.running import DirectCall
from malmoi.assist.templates import Occasion, answer
from malmoi.core.errors import EngineUnavailable, MalmoiError, NotFound, UnknownName
from malmoi.engine.base import Prompt, Usage
from malmoi.serve.db import new_id
from malmoi.serve.identity import Principal
from malmoi.serve.inference import Inference
from malmoi.serve.running import InferenceRequest

_GROUNDED = 512  # tokens of an answer from documents, unless told otherwise
_FINISHED = {"confirm": "confirm", "asked": "asked"}  # by how a run of skills ended
_CONTINUATION = 256  # tokens that a model which only continues text may write, unless told otherwise

_logger = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be answered, for whom, and how; `language`, `zone` and `direct` are for skills."""

    principal: Principal
    conversation_id: str
    message_id: str
    model: str | None
    sampling: SamplingOptions
    language: Language | None = None
    zone: str = ""
    direct: DirectCall | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a generation ended; its text is in the `LiveReply`. `notes` are what a flow keeps with it."""

    status: Status
    finish_reason: str | None = None
    error: ErrorOut | None = None
    usage: UsageOut | None = None
    model: str | None = None
    notes: Mapping[str, Any] | None = None


def _ends(
    way: Callable[Concatenate["Generation", P], Awaitable[T]],
) -> Callable[Concatenate["Generation", P], Coroutine[Any, Any, T | Outcome]]:
    """A way to write an answer whose failures are outcomes, too; only cancellation is raised."""

    @wraps(way)
    async def written(self: "Generation", /, *arguments: P.args, **more: P.kwargs) -> T | Outcome:
        try:
            return await way(self, *arguments, **more)
        except Exception as error:  # a bug must not leave a reply that is written for ever
            return self._failed(error)

    return written


class Generation:
    """Writes an answer into a `LiveReply`, in one of four ways; a failure is an outcome, too."""

    def __init__(self, inference: Inference, live: LiveReply) -> None:
        self._inference = inference
        self._live = live
        self._began = time.perf_counter()
        self._first: float | None = None
        self._last: float | None = None
        self._tokens = 0
        self._usage: Usage | None = None
        self._finish_reason: str | None = None
        self._refusal = ""
        self._dropped = 0
        self._model: str | None = None
        self._notes: Mapping[str, Any] | None = None
        self._grounded: GroundedReply | None = None
        self._guard_spoke = False

    @_ends
    async def run(
        self,
        principal: Principal,
        branch: Sequence[Turn],
        *,
        model: str,
        system: str,
        sampling: SamplingOptions,
    ) -> Outcome:
        """Answer the last message of `branch`."""
        self._model = model or self._default_model()
        info = await self._inference.info(model)

        async def count(prompt: Prompt) -> int:
            return len(await self._inference.tokenize(principal, model, prompt))

        chats = "chat" in info.capabilities
        plan = await plan_prompt(
            branch,
            info=info,
            count=count,
            system=system,
            max_tokens=sampling.max_tokens,
            thinking=sampling.thinking,
        )
        self._dropped = plan.dropped_turns
        request = InferenceRequest(
            model=model,
            prompt=plan.prompt,
            sampling=sampling.to_sampling(max_tokens=None if chats else _CONTINUATION),
            source="chat",
            request_id=new_id("chat"),
            on_guard=self._guarded,
        )
        await self._stream(principal, request)
        return self.outcome("complete")

    @_ends
    async def answer_from(
        self,
        principal: Principal,
        find: Callable[[LiveReply], Awaitable[GroundedReply]],
        *,
        model: str,
        system: str,
        sampling: SamplingOptions,
    ) -> Outcome:
        """Answer from what `find` finds."""
        grounded = await find(self._live)
        if not grounded.grounding.is_answerable:
            grounded.refuse()
        elif not await self._can_chat(model):
            grounded.quote()
        else:
            self._grounded, self._model = grounded, model or self._default_model()
            request = InferenceRequest(
                model=model,
                prompt=grounded.chat(system),
                sampling=sampling.to_sampling(max_tokens=_GROUNDED),
                source="chat",
                request_id=new_id("chat"),
                on_guard=self._guarded,
            )
            await self._stream(principal, request)
        self._finish_reason = self._finish_reason or "stop"
        return self.outcome("complete")

    async def _can_chat(self, model: str) -> bool:
        """Whether a model is here and chats; one that was named must be here."""
        try:
            return "chat" in (await self._inference.info(model)).capabilities
        except (NotFound, UnknownName):
            if model:
                raise
            return False

    @_ends
    async def follow(self, principal: Principal, occasion: Occasion, *, model: str) -> Outcome:
        """Let a template's flow answer."""
        writer = InferenceWriter(self._inference, principal, model or self._default_model() or "")
        try:
            async with aclosing(answer(occasion, writer)) as pieces:
                async for piece in pieces:
                    self._notes = piece.notes if piece.notes is not None else self._notes
                    self._live.add(piece.text, "")
                    self._took(writer)
        finally:
            self._took(writer)
        self._finish_reason = self._finish_reason or "stop"
        return self.outcome("complete")

    @_ends
    async def use_skills(
        self,
        begin: Callable[[LiveReply], Awaitable[SkilledReply | None]],
        *,
        model: str,
    ) -> Outcome | None:
        """Let skills answer; None: it is not for them, and must be answered otherwise."""
        skilled = await begin(self._live)
        if skilled is None:
            return None
        end = await skilled.write()
        if end.reason == "none":
            return None
        if end.usage.total_tokens:
            # The pieces that were generated are planned and said in turn: no speed can be told of them.
            self._model, self._usage = model or self._default_model(), end.usage
        self._first = skilled.first
        self._finish_reason = "content_filter" if end.is_blocked else _FINISHED.get(end.reason, "stop")
        return self.outcome("waiting" if end.reason == "confirm" else "complete")

    def _took(self, writer: InferenceWriter) -> None:
        """What a flow has used so far; it may have asked no model at all."""
        if writer.usage is not None:
            self._model, self._usage, self._first = writer.model, writer.usage, writer.first

    def _failed(self, error: Exception) -> Outcome:
        if isinstance(error, MalmoiError):
            status: Status = "interrupted" if self._is_cut_off(error) else "failed"
            return self.outcome(status, ErrorOut(code=error.code, message=error.message, fix=error.fix))
        # What a bug is, the log tells; the reply says that there was one.
        _logger.error("a reply failed", exc_info=error)
        message = "something went wrong in the server."
        return self.outcome(
            "failed", ErrorOut(code="internal_error", message=message, fix="Look at the server's log.")
        )

    def outcome(self, status: Status, error: ErrorOut | None = None) -> Outcome:
        """How it stands now, as the end."""
        return Outcome(status, self._finish_reason, error, self._shown_usage(), self._model, self._notes)

    async def _stream(self, principal: Principal, request: InferenceRequest) -> None:
        async with aclosing(self._inference.stream(principal, request)) as chunks:
            async for chunk in chunks:
                if chunk.text or chunk.reasoning:
                    self._last = time.perf_counter()
                    self._first = self._first or self._last
                    if self._grounded is None:
                        self._live.add(chunk.text, chunk.reasoning)
                    else:
                        self._live.add("", chunk.reasoning)
                        await self._grounded.take(chunk.text)
                if chunk.finish_reason is None:
                    self._tokens += len(chunk.token_ids) or 1
                if chunk.finish_reason is not None and self._grounded is not None:
                    await self._grounded.finish(is_ours=self._guard_spoke)
                if chunk.finish_reason is not None and self._refusal:
                    self._live.add(("\n\n" if self._live.text else "") + self._refusal, "")
                self._finish_reason = chunk.finish_reason or self._finish_reason
                self._usage = chunk.usage or self._usage

    def _guarded(self, _: int, report: Report) -> None:
        """What the guard says of an answer that it blocked is the answer's end."""
        self._guard_spoke = report.action in ("replace", "block")
        if report.is_blocked:
            self._refusal = report.message

    def _is_cut_off(self, error: MalmoiError) -> bool:
        """Whether the engine went away in the middle of the answer."""
        return isinstance(error, EngineUnavailable) and self._live.size > 0

    def _default_model(self) -> str | None:
        return next((state.name for state in self._inference.models() if state.is_default), None)

    def _shown_usage(self) -> UsageOut | None:
        if self._usage is None and self._first is None:
            return None
        usage = self._usage or Usage(completion_tokens=self._tokens)
        now = time.perf_counter()
        # The engine's own clock where it has one: ours also counts what the connection to it adds.
        writing = usage.completion_seconds
        tokens = usage.completion_tokens
        if not writing and self._first is not None and self._last is not None and self._last > self._first:
            writing, tokens = self._last - self._first, usage.completion_tokens - 1
        return UsageOut(
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            cached_tokens=usage.cached_tokens,
            seconds=round(now - self._began, 3),
            first_token_seconds=None if self._first is None else round(self._first - self._began, 3),
            tokens_per_second=round(tokens / writing, 1) if writing and tokens > 0 else None,
            dropped_turns=self._dropped,
        )
