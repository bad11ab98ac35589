"""What an upstream's refusal means here: status and body in, an error of ours out."""

import json
import re
from typing import Any

import httpx

from malmoi.core.errors import (
    ContextOverflow,
    EngineError,
    EngineUnavailable,
    InvalidInput,
    MalmoiError,
    Overloaded,
)

RETRY_STATUSES = frozenset({429, 502, 503, 504})
_MAX_MESSAGE = 300
# vLLM: "maximum context length is 512 tokens. However, you requested 600 tokens (590 in the messages, ..."
_LIMIT = re.compile(r"maximum (?:context|input|model) length (?:is|of) (\d+)", re.IGNORECASE)
_IN_PROMPT = re.compile(r"\((\d+) in the (?:messages|prompt)|(?:prompt|input) contains (?:at least )?(\d+)")
_REQUESTED = re.compile(r"(?:requested|resulted in|has|got) (\d+) (?:input )?tokens")


def refusal(
    status: int, body: bytes, headers: httpx.Headers, *, model: str, secret: str | None
) -> MalmoiError:
    """The error for an answer with `status`; `secret` never appears in it."""
    error = _error_object(body)
    message = _clean(str(error.get("message", "")), secret)
    said = f": {message}" if message else ""
    if status == 429:
        return Overloaded(
            f"the upstream is busy (429){said}", retry_after=max(1, round(retry_after(headers) or 5))
        )
    if status in RETRY_STATUSES:
        return EngineUnavailable(
            f"the upstream is not available ({status}){said}",
            retry_after=max(1, round(retry_after(headers) or 5)),
        )
    if status in (401, 403):
        return EngineError(
            f"the upstream refused our key ({status}){said}", fix="Check the API key of this model's engine."
        )
    if status == 404:
        return EngineError(f"the upstream does not know {model!r} or this route (404){said}")
    if status in (400, 413, 422):
        return _overflow(error, message) or InvalidInput(f"the upstream refused the request{said}")
    return EngineError(f"the upstream failed ({status}){said}", fix="See the upstream's own log.")


def stream_error(error: Any, *, secret: str | None) -> MalmoiError:
    """The error for an `error` object inside a stream that had begun well."""
    message = error.get("message", "") if isinstance(error, dict) else str(error)
    return EngineError(f"the upstream failed while it answered: {_clean(str(message), secret)}")


def retry_after(headers: httpx.Headers) -> float | None:
    """Seconds of a `Retry-After` header; None where it is absent or a date."""
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < 86_400 else None


def _error_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(value, dict):
        return {}
    error = value.get("error", value)  # older vLLM puts the fields on the outside
    return error if isinstance(error, dict) else {"message": str(error)}


def _overflow(error: dict[str, Any], message: str) -> ContextOverflow | None:
    prompt, limit = error.get("n_prompt_tokens"), error.get("n_ctx")  # llama-server
    if isinstance(prompt, int) and isinstance(limit, int):
        return ContextOverflow(prompt, limit)
    found = _LIMIT.search(message)
    if found is None:
        return None
    counted = _IN_PROMPT.search(message) or _REQUESTED.search(message)
    return ContextOverflow(int(next(filter(None, counted.groups()))) if counted else 0, int(found[1]))


def _clean(message: str, secret: str | None) -> str:
    """The upstream's words: one line, not too long, without our key."""
    if secret:
        message = message.replace(secret, "***")
    return "".join(c if c.isprintable() else " " for c in message)[:_MAX_MESSAGE].strip()
