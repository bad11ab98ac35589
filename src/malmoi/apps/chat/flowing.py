"""The chat's side of flows: a branch as they read it, and the server's models as they write with them."""

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from pydantic import ValidationError

from malmoi.apps.chat.tables import Message
from malmoi.apps.chat.types import SamplingOptions
from malmoi.assist.guard import Report
from malmoi.assist.templates import Form, Occasion, Template, Turn
from malmoi.assist.templates.flows.flow import FormT, Reads
from malmoi.core.errors import StructuredOutputInvalid
from malmoi.core.types import Chat
from malmoi.engine.base import Sampling, Usage
from malmoi.serve.db import new_id
from malmoi.serve.identity import Principal
from malmoi.serve.inference import Inference
from malmoi.serve.running import InferenceRequest, add_usage


def occasion_of(
    template: Template,
    form: Form,
    branch: Sequence[Message],
    sampling: SamplingOptions,
    *,
    reads: Reads | None = None,
) -> Occasion:
    """What a flow is asked; `reads` are those of the skills that the template names."""
    turns = tuple(
        Turn("user" if message.role == "user" else "assistant", message.content, message.notes)
        for message in branch
        if message.role in ("user", "assistant") and message.content
    )
    return Occasion(template, form, turns, sampling.to_sampling(), reads)


class InferenceWriter:
    """A model of the server for one answer of a flow, with the caller's limits and the guard.

    Attributes:
        usage: of all calls so far; None: no model was asked.
        first: when the first text came, as `time.perf_counter` tells it.
    """

    def __init__(self, inference: Inference, principal: Principal, model: str) -> None:
        self._inference = inference
        self._principal = principal
        self.model = model
        self.usage: Usage | None = None
        self.first: float | None = None

    async def write(self, prompt: Chat, sampling: Sampling) -> AsyncGenerator[str, None]:
        """Free text; what the guard says of an answer that it blocks is the text's end."""
        refusals: list[str] = []

        def guarded(_: int, report: Report) -> None:
            if report.is_blocked:
                refusals.append(report.message)

        request = self._request(prompt, sampling, guarded)
        async with aclosing(self._inference.stream(self._principal, request)) as chunks:
            async for chunk in chunks:
                self.first = self.first or time.perf_counter()
                if chunk.usage is not None:
                    self.usage = add_usage(self.usage or Usage(), chunk.usage)
                if chunk.text:
                    yield chunk.text
        if refusals:
            yield refusals[-1]

    async def fill(self, prompt: Chat, form: type[FormT], *, max_tokens: int) -> FormT:
        """An answer that fits a form."""
        sampling = Sampling(
            temperature=0.0, max_tokens=max_tokens, json_schema=form.model_json_schema(), seed=1
        )
        answer = await self._inference.generate(self._principal, self._request(prompt, sampling))
        self.first = self.first or time.perf_counter()
        self.usage = add_usage(self.usage or Usage(), answer.usage)
        try:
            return form.model_validate_json(answer.text)
        except ValidationError as error:
            raise StructuredOutputInvalid("the model's answer does not fit its form.") from error

    def _request(
        self, prompt: Chat, sampling: Sampling, on_guard: Callable[[int, Report], None] | None = None
    ) -> InferenceRequest:
        return InferenceRequest(
            model=self.model,
            prompt=prompt,
            sampling=sampling,
            source="chat",
            request_id=new_id("chat"),
            on_guard=on_guard,
        )
