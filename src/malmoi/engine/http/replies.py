"""The OpenAI API's streamed answers as our chunks. `StreamReader` is fed one event after another."""

import json
import math
from dataclasses import replace
from typing import Any

from malmoi.core.errors import EngineError
from malmoi.core.types import FinishReason
from malmoi.engine.base import Chunk, TokenLogprob, ToolCallDelta, Usage
from malmoi.engine.http.refusals import stream_error

_FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "abort",
    "abort": "abort",
    "error": "abort",
}
_MOST_TOKENS = 1_000_000_000  # a count above this is a fault of the upstream


class StreamReader:
    """The state of one streamed answer: what finished it, and its usage, which may come in any order."""

    def __init__(self, *, secret: str | None = None) -> None:
        self._secret = secret
        self._usage: Usage | None = None
        self._finish: FinishReason | None = None
        self._deltas = 0
        self._reasoning_deltas = 0

    def read(self, data: str) -> Chunk | None:
        """The chunk of one event's data; None where it says nothing new.

        Raises:
            EngineError: the data is not what the API promises, or tells of a failure.
        """
        event = parse_json(data)
        if event.get("error"):
            raise stream_error(event["error"], secret=self._secret)
        self._usage = read_usage(event.get("usage")) or self._usage
        choices = event.get("choices") or [{}]
        if not isinstance(choices, list) or not isinstance(choices[0], dict):
            raise _malformed("choices is not a list of objects")
        return self._read_choice(choices[0])

    def finish(self, *, prompt_tokens: int, prompt_seconds: float, completion_seconds: float) -> Chunk:
        """The last chunk, with our times; `prompt_tokens` is told where the upstream did not count.

        Raises:
            EngineError: the answer broke off before it was finished.
        """
        if self._finish is None:
            raise EngineError("the upstream's answer broke off before its end.", fix="Try again.")
        usage = self._usage or Usage(
            prompt_tokens=prompt_tokens,
            # Servers that do not count send one token a delta.
            completion_tokens=self._deltas,
            reasoning_tokens=self._reasoning_deltas,
        )
        usage = replace(usage, prompt_seconds=prompt_seconds, completion_seconds=completion_seconds)
        return Chunk(finish_reason=self._finish, usage=usage)

    @property
    def has_usage(self) -> bool:
        """Whether the upstream told its counts."""
        return self._usage is not None

    def _read_choice(self, choice: dict[str, Any]) -> Chunk | None:
        reason = choice.get("finish_reason")
        if reason is not None:
            self._finish = _FINISH.get(str(reason), "stop")
        delta = choice.get("delta")
        if delta is None:
            delta = {"content": choice.get("text")}  # /completions
        if not isinstance(delta, dict):
            raise _malformed("delta is not an object")
        text = _text(delta, "content")
        reasoning = _text(delta, "reasoning_content") or _text(delta, "reasoning")
        calls = _tool_calls(delta.get("tool_calls"))
        logprobs = read_logprobs(choice.get("logprobs"))
        token_ids = _token_ids(choice.get("token_ids"))
        if not (text or reasoning or calls or logprobs or token_ids):
            return None
        self._deltas += 1
        self._reasoning_deltas += bool(reasoning)
        return Chunk(text=text, reasoning=reasoning, tool_calls=calls, token_ids=token_ids, logprobs=logprobs)


def parse_json(data: str | bytes) -> dict[str, Any]:
    """A JSON object.

    Raises:
        EngineError: it is none.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _malformed("not JSON") from error
    if not isinstance(value, dict):
        raise _malformed("not a JSON object")
    return value


def read_usage(value: Any) -> Usage | None:
    """The counts of a `usage` object; None where it is absent or makes no sense."""
    if not isinstance(value, dict):
        return None
    prompt, completion = _count(value.get("prompt_tokens")), _count(value.get("completion_tokens"))
    if prompt is None or completion is None:
        return None
    of_prompt, of_completion = value.get("prompt_tokens_details"), value.get("completion_tokens_details")
    cached = _count(of_prompt.get("cached_tokens")) if isinstance(of_prompt, dict) else None
    reasoning = _count(of_completion.get("reasoning_tokens")) if isinstance(of_completion, dict) else None
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_tokens=min(cached or 0, prompt),
        reasoning_tokens=min(reasoning or 0, completion),
    )


def read_logprobs(value: Any) -> tuple[TokenLogprob, ...]:
    """The log-probabilities of a choice, in the form of either route.

    Raises:
        EngineError: they are malformed.
    """
    if not isinstance(value, dict):
        return ()
    try:
        if "content" in value:
            return tuple(_chat_logprob(entry) for entry in value["content"] or ())
        tops = value.get("top_logprobs") or [None] * len(value.get("tokens") or ())
        return tuple(
            TokenLogprob(
                str(token), _finite(logprob), None, tuple((t, _finite(p)) for t, p in (top or {}).items())
            )
            for token, logprob, top in zip(
                value.get("tokens") or (), value["token_logprobs"], tops, strict=True
            )
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _malformed("logprobs") from error


def _chat_logprob(entry: dict[str, Any]) -> TokenLogprob:
    top = tuple((str(other["token"]), _finite(other["logprob"])) for other in entry.get("top_logprobs") or ())
    token_id = entry.get("id")  # llama-server
    return TokenLogprob(
        str(entry["token"]), _finite(entry["logprob"]), token_id if isinstance(token_id, int) else None, top
    )


def _finite(value: Any) -> float:
    """A log-probability; servers write -9999 or null where it is minus infinity."""
    number = -9999.0 if value is None else float(value)
    return number if math.isfinite(number) else -9999.0


def _text(delta: dict[str, Any], key: str) -> str:
    value = delta.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _malformed(f"{key} is not text")
    return value


def _tool_calls(value: Any) -> tuple[ToolCallDelta, ...]:
    if not value:
        return ()
    if not isinstance(value, list):
        raise _malformed("tool_calls is not a list")
    return tuple(_tool_call(place, call) for place, call in enumerate(value))


def _tool_call(place: int, call: Any) -> ToolCallDelta:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        raise _malformed("a tool call without a function")
    index, arguments = call.get("index"), function.get("arguments")
    if isinstance(arguments, dict):  # some servers send the object instead of its text
        arguments = json.dumps(arguments, ensure_ascii=False)
    return ToolCallDelta(
        index=index if isinstance(index, int) and 0 <= index < 1000 else place,
        id=_text(call, "id") or None,
        name=_text(function, "name") or None,
        arguments=arguments if isinstance(arguments, str) else "",
    )


def _token_ids(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, list) and all(type(item) is int for item in value) else ()


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value <= _MOST_TOKENS else None


def _malformed(what: str) -> EngineError:
    return EngineError(
        f"the upstream's answer is malformed ({what}).", fix="Is it an OpenAI-compatible server?"
    )
