"""One generation: the prompt of a branch, the stream of its answer, and what came of it."""

import logging
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from malmoi.apps.chat.live import LiveReply
from malmoi.apps.chat.prompts import Turn, plan_prompt
from malmoi.apps.chat.types import ErrorOut, SamplingOptions, Status, UsageOut
from malmoi.assist.guard import Report
from malmoi.core.errors import EngineUnavailable, MalmoiError
from malmoi.engine.base import Prompt, Usage
from malmoi.serve.db import new_id
from malmoi.serve.identity import Principal
from malmoi.serve.inference import Inference
from malmoi.serve.running import InferenceRequest

_CONTINUATION = 256  # tokens that a model which only continues text may write, unless told otherwise

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be answered, for whom, and how."""

    principal: Principal
    conversation_id: str
    message_id: str
    model: str | None
    sampling: SamplingOptions


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a generation ended; its text is in the `LiveReply`."""

    status: Status
    finish_reason: str | None = None
    error: ErrorOut | None = None
    usage: UsageOut | None = None
    model: str | None = None


class Generation:
    """Writes an answer into a `LiveReply`."""

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

    async def run(
        self,
        principal: Principal,
        branch: Sequence[Turn],
        *,
        model: str,
        system: str,
        sampling: SamplingOptions,
    ) -> Outcome:
        """Answer the last message of `branch`. Failures are outcomes; only cancellation is raised."""
        try:
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
        except MalmoiError as error:
            status: Status = "interrupted" if self._is_cut_off(error) else "failed"
            return self.outcome(status, ErrorOut(code=error.code, message=error.message, fix=error.fix))
        except Exception:
            # A bug must not leave a reply that is written for ever; it is logged here and named in the reply.
            _logger.exception("a reply failed")
            message = "something went wrong in the server."
            return self.outcome(
                "failed", ErrorOut(code="internal_error", message=message, fix="Look at the server's log.")
            )
        return self.outcome("complete")

    def outcome(self, status: Status, error: ErrorOut | None = None) -> Outcome:
        """How it stands now, as the end."""
        return Outcome(status, self._finish_reason, error, self._shown_usage(), self._model)

    async def _stream(self, principal: Principal, request: InferenceRequest) -> None:
        async with aclosing(self._inference.stream(principal, request)) as chunks:
            async for chunk in chunks:
                if chunk.text or chunk.reasoning:
                    self._last = time.perf_counter()
                    self._first = self._first or self._last
                    self._live.add(chunk.text, chunk.reasoning)
                if chunk.finish_reason is None:
                    self._tokens += len(chunk.token_ids) or 1
                if chunk.finish_reason is not None and self._refusal:
                    self._live.add(("\n\n" if self._live.text else "") + self._refusal, "")
                self._finish_reason = chunk.finish_reason or self._finish_reason
                self._usage = chunk.usage or self._usage

    def _guarded(self, _: int, report: Report) -> None:
        """What the guard says of an answer that it blocked is the answer's end."""
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
