"""From answers to the JSON of OpenAI's API. Plain dictionaries: they are made once a token."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from malmoi.core.types import ToolCall
from malmoi.engine.base import Completion, TokenLogprob, ToolCallDelta, Usage
from malmoi.serve.engines import ModelState


def chat_completion(
    request_id: str,
    created: int,
    model: str,
    answers: Sequence[Completion],
    refusals: Mapping[int, str] | None = None,
) -> dict[str, Any]:
    """`chat.completion`, one choice an answer; `refusals` has what was said of answers that were blocked."""
    refused = refusals or {}
    return {
        "id": request_id,
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [_chat_choice(index, answer, refused.get(index)) for index, answer in enumerate(answers)],
        "usage": usage_json(total_usage(answers)),
    }


def chat_chunk(request_id: str, created: int, model: str) -> dict[str, Any]:
    """What all chunks of one `chat.completion.chunk` stream share."""
    return {"id": request_id, "object": "chat.completion.chunk", "created": created, "model": model}


def chat_delta(
    index: int,
    delta: dict[str, Any],
    *,
    logprobs: Sequence[TokenLogprob] = (),
    finish_reason: str | None = None,
) -> dict[str, Any]:
    """The one choice of a chunk."""
    return {
        "index": index,
        "delta": delta,
        "logprobs": chat_logprobs(logprobs) if logprobs else None,
        "finish_reason": finish_reason,
    }


def call_deltas(deltas: Iterable[ToolCallDelta]) -> list[dict[str, Any]]:
    """Pieces of tool calls."""
    pieces: list[dict[str, Any]] = []
    for delta in deltas:
        piece: dict[str, Any] = {"index": delta.index}
        if delta.id is not None:
            piece |= {"id": delta.id, "type": "function"}
        function = {"name": delta.name} if delta.name is not None else {}
        pieces.append({**piece, "function": {**function, "arguments": delta.arguments}})
    return pieces


def text_completion(
    request_id: str, created: int, model: str, choices: Sequence[dict[str, Any]], usage: Usage | None
) -> dict[str, Any]:
    """`text_completion`, whole or a chunk."""
    body: dict[str, Any] = {
        "id": request_id,
        "object": "text_completion",
        "created": created,
        "model": model,
        "choices": list(choices),
    }
    return body if usage is None else {**body, "usage": usage_json(usage)}


def text_choice(
    index: int, text: str, logprobs: Sequence[TokenLogprob], finish_reason: str | None, *, offset: int = 0
) -> dict[str, Any]:
    """One choice of a `text_completion`; `offset` is where its text begins in the whole answer."""
    return {
        "index": index,
        "text": text,
        "logprobs": _text_logprobs(logprobs, offset) if logprobs else None,
        "finish_reason": finish_reason,
    }


def usage_json(usage: Usage) -> dict[str, Any]:
    """Counts of tokens."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def total_usage(answers: Sequence[Completion]) -> Usage:
    """The usage of one request with several answers: the prompt counts once, as it is billed."""
    first = answers[0].usage
    return Usage(
        prompt_tokens=first.prompt_tokens,
        completion_tokens=sum(answer.usage.completion_tokens for answer in answers),
        cached_tokens=first.cached_tokens,
        reasoning_tokens=sum(answer.usage.reasoning_tokens for answer in answers),
    )


def chat_logprobs(logprobs: Sequence[TokenLogprob]) -> dict[str, Any]:
    """Log-probabilities as chat completions have them."""
    return {
        "content": [
            {
                **_token(entry.token, entry.logprob),
                "top_logprobs": [_token(token, logprob) for token, logprob in entry.top],
            }
            for entry in logprobs
        ],
        "refusal": None,
    }


def model_json(state: ModelState, created: int) -> dict[str, Any]:
    """A model of `/v1/models`."""
    body: dict[str, Any] = {"id": state.name, "object": "model", "created": created, "owned_by": "malmoi"}
    if state.info is not None:
        body["max_model_len"] = state.info.context_length
    elif state.card is not None and state.card.context_length is not None:
        body["max_model_len"] = state.card.context_length
    return body


def _chat_choice(index: int, answer: Completion, refusal: str | None) -> dict[str, Any]:
    content = answer.text if refusal is None else answer.text or None
    message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": refusal}
    if answer.reasoning:
        message["reasoning_content"] = answer.reasoning
    if answer.tool_calls:
        message["content"] = answer.text or None
        message["tool_calls"] = [_call(call) for call in answer.tool_calls]
    return {
        "index": index,
        "message": message,
        "logprobs": chat_logprobs(answer.logprobs) if answer.logprobs else None,
        "finish_reason": answer.finish_reason,
    }


def _call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _token(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": max(logprob, -9999.0), "bytes": list(token.encode("utf-8", "replace"))}


def _text_logprobs(logprobs: Sequence[TokenLogprob], offset: int) -> dict[str, Any]:
    offsets: list[int] = []
    for entry in logprobs:
        offsets.append(offset)
        offset += len(entry.token)
    return {
        "tokens": [entry.token for entry in logprobs],
        "token_logprobs": [max(entry.logprob, -9999.0) for entry in logprobs],
        "top_logprobs": [{token: max(value, -9999.0) for token, value in entry.top} for entry in logprobs],
        "text_offset": offsets,
    }
