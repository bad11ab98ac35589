"""From answers to the JSON and the events of the Studio API.

Events: `token` for each piece, `result` for the whole, `signal` at the end; `error` when it fails on the way.
"""

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from malmoi.assist.guard import Report
from malmoi.core.types import ToolCall
from malmoi.engine.base import Chunk, Completion, ToolCallDelta, Usage
from malmoi.engine.collect import merge_tool_calls
from malmoi.serve.openai.convert import arguments_object
from malmoi.serve.sse import event

OK = {"code": "20000", "message": "OK"}
# The entries of `aiFilter`, and the groups of the policy that each tells the risk of.
_FILTERS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("curse", "insult"): ("curse",),
    ("curse", "discrimination"): ("hate", "bias"),
    ("unsafeContents", "sexualHarassment"): ("sexual",),
}


def envelope_of(result: dict[str, Any]) -> dict[str, Any]:
    """A success."""
    return {"status": OK, "result": result}


@dataclass(slots=True)
class AnswerV3:
    """One v3 answer, whole or as events. `created` is in milliseconds."""

    created: int
    seed: int

    def whole(self, answer: Completion) -> dict[str, Any]:
        """The result of the envelope, and of the event `result`."""
        message: dict[str, Any] = {"role": "assistant", "content": answer.text}
        if answer.reasoning:
            message["thinkingContent"] = answer.reasoning
        if answer.tool_calls:
            message["toolCalls"] = calls_json(answer.tool_calls)
        return {
            "created": self.created,
            "usage": usage_json(answer.usage),
            "message": message,
            # The API knows stop, length and tool_calls; what the guard did is in the text and in aiFilter.
            "finishReason": "stop" if answer.finish_reason == "content_filter" else answer.finish_reason,
            "seed": self.seed,
        }

    def events(self, chunk: Chunk) -> Iterator[bytes]:
        """The `token` events of one chunk."""
        if chunk.reasoning:
            yield self._token({"thinkingContent": chunk.reasoning})
        if chunk.text:
            yield self._token({"content": chunk.text})
        for delta in chunk.tool_calls:
            for piece in _call_pieces(delta):
                yield self._token({"content": "", "toolCalls": [piece]})

    def _token(self, message: dict[str, Any]) -> bytes:
        data = {
            "message": {"role": "assistant", **message},
            "finishReason": None,
            "created": self.created,
            "seed": self.seed,
            "usage": None,
        }
        return event(data, name="token", event_id=str(uuid.uuid4()))


@dataclass(slots=True)
class AnswerV1:
    """One v1 answer, whole or as events."""

    seed: int
    has_stops: bool

    def whole(self, answer: Completion) -> dict[str, Any]:
        """The result of the envelope, and of the event `result`."""
        return {
            "message": {"role": "assistant", "content": answer.text},
            "stopReason": self._stop_reason(answer),
            "inputLength": answer.usage.prompt_tokens,
            "outputLength": answer.usage.completion_tokens,
            "seed": self.seed,
        }

    def events(self, chunk: Chunk) -> Iterator[bytes]:
        """The `token` events of one chunk."""
        if chunk.text:
            data = {"message": {"role": "assistant", "content": chunk.text}}
            yield event(data, name="token", event_id=str(uuid.uuid4()))

    def _stop_reason(self, answer: Completion) -> Literal["length", "end_token", "stop_before"]:
        if answer.finish_reason == "length":
            return "length"
        # Engines do not tell which of the two ended a text; with stop texts it is the likelier one.
        return "stop_before" if self.has_stops else "end_token"


def filter_json(report: Report) -> list[dict[str, str]]:
    """`aiFilter`: scores are texts, "0" for a high risk to "2" for a low one, "-1" where it is unknown."""
    levels = {entry.group: entry.level for entry in report.filter if entry.level >= 0}
    rows: list[dict[str, str]] = []
    for (group_name, name), groups in _FILTERS.items():
        level = min((levels[group] for group in groups if group in levels), default=-1)
        result = "OK" if level >= 0 else "ERROR"
        rows.append({"groupName": group_name, "name": name, "score": str(level), "result": result})
    return rows


def result_event(result: dict[str, Any]) -> bytes:
    """The whole answer, after its tokens."""
    return event(result, name="result", event_id=str(uuid.uuid4()))


def done_event() -> bytes:
    """The end of the stream."""
    return event({"data": "[DONE]"}, name="signal", event_id=str(uuid.uuid4()))


def error_event(envelope: dict[str, Any]) -> bytes:
    """A failure on the way."""
    return event(envelope, name="error", event_id=str(uuid.uuid4()))


class Collector:
    """Puts the chunks of a stream together while they are sent."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: list[ToolCallDelta] = []

    def add(self, chunk: Chunk) -> Completion | None:
        """Take a chunk; with the last one, the whole answer."""
        self._text.append(chunk.text)
        self._reasoning.append(chunk.reasoning)
        self._calls.extend(chunk.tool_calls)
        if chunk.finish_reason is None:
            return None
        return Completion(
            text="".join(self._text),
            finish_reason=chunk.finish_reason,
            reasoning="".join(self._reasoning),
            tool_calls=merge_tool_calls(self._calls),
            usage=chunk.usage or Usage(),
        )


def calls_json(calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
    """The calls that an answer asks for."""
    return [_call(call) for call in calls]


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": arguments_object(call.arguments)}
    return {"id": call.id, "type": "function", "function": function}


def _call_pieces(delta: ToolCallDelta) -> Iterator[dict[str, Any]]:
    if delta.name is not None:
        yield {"id": delta.id, "type": "function", "function": {"name": delta.name}}
    if delta.arguments:
        yield {"type": "function", "function": {"partialJson": delta.arguments}}


def usage_json(usage: Usage) -> dict[str, Any]:
    """What an answer cost."""
    counts: dict[str, Any] = {
        "promptTokens": usage.prompt_tokens,
        "completionTokens": usage.completion_tokens,
        "totalTokens": usage.total_tokens,
    }
    if usage.reasoning_tokens:
        counts["completionTokensDetails"] = {"thinkingTokens": usage.reasoning_tokens}
    return counts


def schema_text(schema: dict[str, Any]) -> str:
    """A schema as the model reads it."""
    return json.dumps(schema, ensure_ascii=False)
