"""Our prompts and sampling as the bodies of the OpenAI API. Pure: data in, data out."""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from malmoi.core.errors import Unsupported
from malmoi.core.types import Chat, Message, ToolChoice
from malmoi.engine.base import Sampling

# What kind of server it is, where the OpenAI API leaves room: names of parameters and extra routes.
Flavour: TypeAlias = Literal["openai", "vllm", "sglang", "llama-server"]


def chat_body(chat: Chat, sampling: Sampling, *, model: str, flavour: Flavour) -> dict[str, Any]:
    """The body of `POST /chat/completions`, streaming."""
    body = _shared(sampling, model=model, flavour=flavour)
    body["messages"] = messages_body(chat)
    if chat.tools:
        body["tools"] = tools_body(chat)
        body["tool_choice"] = _tool_choice(chat.tool_choice)
    options = dict(chat.template_options)
    if chat.thinking is not None:
        options["enable_thinking"] = chat.thinking
    if options:
        body["chat_template_kwargs"] = options
    if sampling.top_logprobs is not None:
        body["logprobs"] = True
        body["top_logprobs"] = sampling.top_logprobs
    return body


def completion_body(
    prompt: str | tuple[int, ...], sampling: Sampling, *, model: str, flavour: Flavour
) -> dict[str, Any]:
    """The body of `POST /completions`, streaming."""
    body = _shared(sampling, model=model, flavour=flavour)
    body["prompt"] = prompt if isinstance(prompt, str) else list(prompt)
    if sampling.top_logprobs is not None:
        body["logprobs"] = sampling.top_logprobs
    return body


def messages_body(chat: Chat) -> list[dict[str, Any]]:
    """The `messages` of a conversation. Past reasoning is not sent: templates leave it out."""
    return [_message(message) for message in chat.messages]


def tools_body(chat: Chat) -> list[dict[str, Any]]:
    """The `tools` of a conversation."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": dict(tool.parameters),
            },
        }
        for tool in chat.tools
    ]


def _message(message: Message) -> dict[str, Any]:
    body: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        body["content"] = message.content or None
        body["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        body["tool_call_id"] = message.tool_call_id
    return body


def _tool_choice(choice: ToolChoice) -> str | dict[str, Any]:
    if choice.mode == "function":
        return {"type": "function", "function": {"name": choice.name}}
    return choice.mode


def _shared(sampling: Sampling, *, model: str, flavour: Flavour) -> dict[str, Any]:
    """What both routes have; only what was asked for is sent, so the upstream's defaults hold."""
    wanted: Mapping[str, Any] = {
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "repeat_penalty" if flavour == "llama-server" else "repetition_penalty": sampling.repetition_penalty,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "seed": sampling.seed,
        "stop": list(sampling.stop) or None,
        "logit_bias": {str(token): bias for token, bias in sampling.logit_bias.items()} or None,
        "ignore_eos": sampling.ignore_eos or None,
        "cache_prompt": sampling.cache_prompt if flavour == "llama-server" else None,
        "return_token_ids": True if flavour == "vllm" else None,
    }
    body: dict[str, Any] = {"model": model, "stream": True, "stream_options": {"include_usage": True}}
    body |= {key: value for key, value in wanted.items() if value is not None}
    if sampling.json_schema is not None:
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": dict(sampling.json_schema), "strict": True},
        }
    if sampling.grammar is not None:
        body |= _grammar(sampling.grammar, flavour)
    return body


def _grammar(grammar: str, flavour: Flavour) -> dict[str, Any]:
    if flavour == "llama-server":
        return {"grammar": grammar}
    if flavour == "vllm":
        return {"structured_outputs": {"grammar": grammar}}
    if flavour == "sglang":
        return {"ebnf": grammar}
    raise Unsupported("this upstream takes no grammar.", fix="Use a JSON schema instead.")
