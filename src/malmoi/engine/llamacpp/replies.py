"""From llama.cpp's events to what the protocol yields, and from its refusals to our errors."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from malmoi.core.errors import ContextOverflow, EngineError, EngineUnavailable, InvalidInput
from malmoi.core.types import FinishReason
from malmoi.engine.base import TokenLogprob, Usage
from malmoi.engine.llamacpp.connection import ConnectionLost


def parse_event(payload: bytes) -> dict[str, Any]:
    """One event.

    Raises:
        ConnectionLost: it is not JSON.
        MalmoiError: it is an error that llama.cpp met while it generated.
    """
    try:
        event = json.loads(payload)
    except ValueError as error:
        raise ConnectionLost("an event that is not JSON") from error
    if not isinstance(event, dict):
        raise ConnectionLost("an event that is not an object")
    if "error" in event:
        raise_refusal(500, event["error"])
    if "code" in event and "message" in event:
        raise_refusal(500, event)
    return event


def is_last(event: Mapping[str, Any]) -> bool:
    """Whether the event ends the answer; it has the times and counts."""
    return "stop_type" in event


def read_text(event: Mapping[str, Any], *, cut: bool = False) -> str:
    """The text of an event. llama.cpp holds back half characters; one that the end has cut is not shown.

    Args:
        event: one event, or a whole answer.
        cut: the text ends here because the tokens ran out.
    """
    text: str = event.get("content") or ""
    return text.rstrip("\ufffd") if cut else text


def read_logprobs(event: Mapping[str, Any], wanted: int | None) -> tuple[TokenLogprob, ...]:
    """The log-probabilities of an event's tokens; none when they were not asked for."""
    if wanted is None:
        return ()
    return tuple(
        TokenLogprob(
            token=_piece(entry),
            logprob=float(entry["logprob"]),
            token_id=entry["id"],
            top=tuple((_piece(top), float(top["logprob"])) for top in entry.get("top_logprobs", ())[:wanted]),
        )
        for entry in event.get("completion_probabilities") or ()
    )


def read_finish(event: Mapping[str, Any], *, called_tools: bool) -> FinishReason:
    """Why the text ended."""
    if event.get("stop_type") == "limit":
        return "length"
    return "tool_calls" if called_tools else "stop"


def read_usage(event: Mapping[str, Any], *, reasoning_tokens: int = 0) -> Usage:
    """Counts and times of a finished answer."""
    timings: Mapping[str, Any] = event.get("timings") or {}
    cached = int(timings.get("cache_n", 0))
    return Usage(
        prompt_tokens=int(event.get("tokens_evaluated") or cached + int(timings.get("prompt_n", 0))),
        completion_tokens=int(event.get("tokens_predicted") or timings.get("predicted_n", 0)),
        cached_tokens=cached,
        reasoning_tokens=reasoning_tokens,
        prompt_seconds=float(timings.get("prompt_ms", 0.0)) / 1000,
        completion_seconds=float(timings.get("predicted_ms", 0.0)) / 1000,
    )


def raise_refusal(status: int, error: Any) -> NoReturn:
    """Raise what an error of llama.cpp means for the caller.

    Raises:
        ContextOverflow: the prompt is too long.
        InvalidInput: anything else that is the request's fault.
        EngineUnavailable: it is loading.
        EngineError: it failed.
    """
    details = error if isinstance(error, Mapping) else {}
    kind, message = str(details.get("type", "")), str(details.get("message", error))[:500]
    if kind == "exceed_context_size_error":
        raise ContextOverflow(int(details["n_prompt_tokens"]), int(details["n_ctx"]))
    if "grammar" in message or "sampler" in message:
        raise InvalidInput(
            "llama.cpp does not understand the grammar.",
            field="grammar",
            fix="Check it: every rule that is named must be defined, and one must be called root.",
        )
    if kind == "unavailable_error":
        raise EngineUnavailable(f"llama.cpp is not ready: {message}")
    if kind == "not_supported_error" or 400 <= status < 500 or kind == "invalid_request_error":
        raise InvalidInput(f"llama.cpp refuses the request: {message}", field="prompt")
    raise EngineError(f"llama.cpp failed: {message}", fix="Try again.")


def _piece(entry: Mapping[str, Any]) -> str:
    """The text of a token; part of a character becomes U+FFFD, its bytes are not text yet."""
    data: Sequence[int] | None = entry.get("bytes")
    return bytes(data).decode("utf-8", "replace") if data else str(entry.get("token", ""))
