"""The server's side of the OpenAI API, as small as the fake upstream needs it. Pure translation."""

from collections.abc import Mapping
from typing import Any

from malmoi.core.types import Chat, Message, Tool, ToolCall, ToolChoice
from malmoi.engine.base import Chunk, Completion, Prompt, Sampling, TokenLogprob, Usage


def parse_prompt(body: Mapping[str, Any]) -> Prompt:
    """The prompt of a request body of either route."""
    if "messages" in body:
        return parse_chat(body)
    prompt = body["prompt"]
    return prompt if isinstance(prompt, str) else tuple(prompt)


def parse_chat(body: Mapping[str, Any]) -> Chat:
    """The conversation of a `/chat/completions` body."""
    options = dict(body.get("chat_template_kwargs") or {})
    return Chat(
        messages=tuple(_message(message) for message in body["messages"]),
        tools=tuple(Tool(**_function(tool)) for tool in body.get("tools") or ()),
        tool_choice=_tool_choice(body.get("tool_choice", "auto")),
        thinking=options.pop("enable_thinking", None),
        template_options=options,
    )


def parse_sampling(body: Mapping[str, Any]) -> Sampling:
    """The sampling of a request body of either route."""
    logprobs = body.get("logprobs")
    top = body.get("top_logprobs", 0) if logprobs is True else logprobs or None
    wanted = body.get("response_format") or {}
    return Sampling(
        max_tokens=body.get("max_completion_tokens", body.get("max_tokens")),
        stop=tuple(body.get("stop") or ()),
        top_logprobs=top,
        json_schema=wanted["json_schema"]["schema"] if wanted.get("type") == "json_schema" else None,
        ignore_eos=bool(body.get("ignore_eos")),
        temperature=body.get("temperature"),
        top_p=body.get("top_p"),
        top_k=body.get("top_k"),
        min_p=body.get("min_p"),
        presence_penalty=body.get("presence_penalty"),
        frequency_penalty=body.get("frequency_penalty"),
        seed=body.get("seed"),
    )


def chunk_body(chunk: Chunk, *, model: str, chat: bool) -> dict[str, Any]:
    """One event of a stream."""
    choice: dict[str, Any] = {"index": 0, "finish_reason": chunk.finish_reason}
    if chat:
        delta: dict[str, Any] = {"content": chunk.text} if chunk.text else {}
        if chunk.reasoning:
            delta["reasoning_content"] = chunk.reasoning
        if chunk.tool_calls:
            delta["tool_calls"] = [
                {
                    "index": call.index,
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                }
                for call in chunk.tool_calls
            ]
        choice["delta"] = delta
    else:
        choice["text"] = chunk.text
    if chunk.logprobs:
        choice["logprobs"] = _logprobs(chunk.logprobs, chat=chat)
    return {
        "object": "chat.completion.chunk" if chat else "text_completion",
        "model": model,
        "choices": [choice],
    }


def completion_body(done: Completion, *, model: str, chat: bool) -> dict[str, Any]:
    """A whole answer."""
    choice: dict[str, Any] = {"index": 0, "finish_reason": done.finish_reason}
    if chat:
        calls = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in done.tool_calls
        ]
        choice["message"] = {"role": "assistant", "content": done.text, "tool_calls": calls}
    else:
        choice["text"] = done.text
    choice["logprobs"] = _logprobs(done.logprobs, chat=chat) if done.logprobs else None
    return {"model": model, "choices": [choice], "usage": usage_body(done.usage)}


def usage_body(usage: Usage) -> dict[str, Any]:
    """The `usage` object."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def _logprobs(parts: tuple[TokenLogprob, ...], *, chat: bool) -> dict[str, Any]:
    if chat:
        content = [
            {
                "token": part.token,
                "logprob": part.logprob,
                "top_logprobs": [{"token": token, "logprob": logprob} for token, logprob in part.top],
            }
            for part in parts
        ]
        return {"content": content}
    return {
        "tokens": [part.token for part in parts],
        "token_logprobs": [part.logprob for part in parts],
        "top_logprobs": [dict(part.top) for part in parts],
    }


def _message(body: Mapping[str, Any]) -> Message:
    calls = tuple(
        ToolCall(call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in body.get("tool_calls") or ()
    )
    return Message(
        body["role"], body.get("content") or "", tool_calls=calls, tool_call_id=body.get("tool_call_id")
    )


def _tool_choice(choice: Any) -> ToolChoice:
    if isinstance(choice, Mapping):
        return ToolChoice("function", choice["function"]["name"])
    return ToolChoice(choice)


def _function(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = tool["function"]
    return {key: function[key] for key in ("name", "description", "parameters") if key in function}
