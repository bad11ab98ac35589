"""What an upstream can do, found by asking: a capability is believed only when a tiny request proved it."""

import math
import re
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from malmoi.core.errors import (
    EngineError,
    EngineUnavailable,
    InvalidInput,
    MalmoiError,
    Overloaded,
    UnknownName,
)
from malmoi.engine.base import Capability
from malmoi.engine.http.connection import Connection
from malmoi.engine.http.requests import Flavour

TokenizeStyle: TypeAlias = Literal["prompt", "content"]
_FLAVOURS: dict[str, Flavour] = {"vllm": "vllm", "sglang": "sglang", "llamacpp": "llama-server"}
_HELLO = [{"role": "user", "content": "Say hello."}]
_TOOL = {
    "type": "function",
    "function": {
        "name": "noop",
        "description": "Does nothing.",
        "parameters": {"type": "object", "properties": {}},
    },
}
# A schema that no model fits by chance.
_SCHEMA = {
    "type": "object",
    "properties": {"zq7": {"type": "boolean"}},
    "required": ["zq7"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of an upstream's model. `completes`: it has `/completions` for text prompts."""

    model: str
    flavour: Flavour = "openai"
    capabilities: frozenset[Capability] = frozenset()
    completes: bool = False
    context_length: int | None = None
    embedding_size: int | None = None
    tokenize_style: TokenizeStyle | None = None
    adapters: tuple[str, ...] = ()


async def find_model(connection: Connection, model: str) -> Found:
    """The model in the upstream's list, and what the list tells about it.

    Args:
        connection: to the upstream.
        model: its name; empty: the only one there is.

    Raises:
        UnknownName: it is not in the list.
        InvalidInput: no name is given and the list does not hold exactly one.
    """
    listing = (await connection.get_json("/models")).get("data")
    entries = (
        [e for e in listing if isinstance(e, dict) and isinstance(e.get("id"), str)]
        if isinstance(listing, list)
        else []
    )
    # vLLM lists LoRA adapters as models with a parent.
    names = [entry["id"] for entry in entries if not entry.get("parent")]
    if not model:
        if len(names) != 1:
            raise InvalidInput(
                f"the upstream serves {len(names)} models: {', '.join(names[:20])}.",
                fix="Name one after '#', as in http://host/v1#name.",
            )
        model = names[0]
    entry = next((entry for entry in entries if entry["id"] == model), None)
    if entry is None:
        if entries:
            raise UnknownName("model of the upstream", model, [entry["id"] for entry in entries])
        return Found(model)  # a server that lists nothing
    meta = entry.get("meta")
    lengths = [entry.get("max_model_len"), entry.get("context_length")]
    lengths += [meta.get("n_ctx"), meta.get("n_ctx_train")] if isinstance(meta, dict) else []
    return Found(
        model,
        flavour=_FLAVOURS.get(str(entry.get("owned_by")), "openai"),
        context_length=next((length for length in lengths if type(length) is int and length > 0), None),
        adapters=tuple(
            e["id"] for e in entries if e.get("parent") and e["parent"] in (model, entry.get("root"))
        ),
    )


async def probe(connection: Connection, found: Found, *, newer_limit: bool = False) -> Found:
    """Ask for each capability once, with requests of a few tokens.

    Args:
        connection: to the upstream.
        found: what its list of models told.
        newer_limit: conversations are limited by `max_completion_tokens`, as OpenAI's newer models want it.

    Raises:
        EngineUnavailable, Overloaded: the upstream does not answer; nothing can be said.
    """
    can: set[Capability] = {"adapters"} if found.adapters else set()
    model = found.model
    limit = "max_completion_tokens" if newer_limit else "max_tokens"
    chat = {"model": model, "messages": _HELLO, limit: 1, "stream": False}
    if await _ask(connection, "/chat/completions", chat) is not None:
        can |= {"generate", "chat"}
        if (
            await _ask(connection, "/chat/completions", {**chat, "tools": [_TOOL], "tool_choice": "auto"})
            is not None
        ):
            can.add("tools")
        if _has_logprobs(
            await _ask(connection, "/chat/completions", {**chat, "logprobs": True, "top_logprobs": 1})
        ):
            can.add("logprobs")
        if await _follows_schema(connection, {**chat, limit: 24}):
            can.add("grammar")
    echo = {"model": model, "prompt": "a b c", "max_tokens": 1, "echo": True, "logprobs": 1, "stream": False}
    echoed = await _ask(connection, "/completions", echo)
    plain = {"model": model, "prompt": "a b c", "max_tokens": 1, "stream": False}
    completes = echoed is not None or await _ask(connection, "/completions", plain) is not None
    if completes:
        can.add("generate")
    if _scores_prompt(echoed, "a b c"):
        can.add("score")
    size = _embedding_size(await _ask(connection, "/embeddings", {"model": model, "input": ["a"]}))
    if size:
        can.add("embed")
    style = await _tokenize_style(connection, model)
    if style:
        can.add("tokenize")
    length = found.context_length
    if found.flavour == "llama-server":
        length = await _slot_length(connection) or length
    return replace(
        found,
        capabilities=frozenset(can),
        completes=completes,
        context_length=length,
        embedding_size=size,
        tokenize_style=style,
    )


async def _ask(
    connection: Connection, path: str, body: dict[str, Any], *, root: bool = False
) -> dict[str, Any] | None:
    """The answer, or None where the upstream refuses the request."""
    try:
        answer = await connection.post_json(path, body, root=root)
    except (EngineUnavailable, Overloaded):
        raise
    except (EngineError, InvalidInput):
        return None
    return None if "error" in answer else answer


def _choice(answer: dict[str, Any] | None) -> dict[str, Any]:
    choices = answer.get("choices") if answer else None
    return choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}


def _has_logprobs(answer: dict[str, Any] | None) -> bool:
    logprobs = _choice(answer).get("logprobs")
    return isinstance(logprobs, dict) and bool(logprobs.get("content"))


async def _follows_schema(connection: Connection, chat: dict[str, Any]) -> bool:
    """Whether the answer begins as the schema would have it; servers that ignore it say hello."""
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": _SCHEMA, "strict": True}}
    body = {**chat, "response_format": wanted}
    # Greedy: llama-server lets a sampled answer begin with a code fence. Some models take no temperature.
    answer = await _ask(connection, "/chat/completions", {**body, "temperature": 0})
    answer = answer or await _ask(connection, "/chat/completions", body)
    message = _choice(answer).get("message")
    text = message.get("content") if isinstance(message, dict) else None
    compact = re.sub(r"\s", "", text) if isinstance(text, str) else ""
    return bool(compact) and any(full.startswith(compact) for full in ('{"zq7":true}', '{"zq7":false}'))


def _scores_prompt(answer: dict[str, Any] | None, prompt: str) -> bool:
    logprobs = _choice(answer).get("logprobs")
    if not isinstance(logprobs, dict):
        return False
    values, offsets = logprobs.get("token_logprobs"), logprobs.get("text_offset")
    if not isinstance(values, list) or not isinstance(offsets, list) or len(values) != len(offsets):
        return False
    inside = [value for value, offset in zip(values, offsets, strict=True) if offset < len(prompt)]
    return len(inside) > 1 and all(isinstance(value, float) and math.isfinite(value) for value in inside[1:])


def _embedding_size(answer: dict[str, Any] | None) -> int | None:
    data = answer.get("data") if answer else None
    vector = (
        data[0].get("embedding") if isinstance(data, list) and data and isinstance(data[0], dict) else None
    )
    return len(vector) if isinstance(vector, list) and vector else None


async def _tokenize_style(connection: Connection, model: str) -> TokenizeStyle | None:
    for style, body in (("prompt", {"model": model, "prompt": "a b"}), ("content", {"content": "a b"})):
        answer = await _ask(connection, "/tokenize", body, root=True)
        tokens = answer.get("tokens") if answer else None
        if isinstance(tokens, list) and tokens and all(type(token) is int for token in tokens):
            return "prompt" if style == "prompt" else "content"
    return None


async def _slot_length(connection: Connection) -> int | None:
    """llama-server's context of one slot; its model list tells only what the model was trained with."""
    try:
        settings = (await connection.get_json("/props", root=True)).get("default_generation_settings")
    except MalmoiError:
        return None  # older servers keep it shut
    length = settings.get("n_ctx") if isinstance(settings, dict) else None
    return length if type(length) is int and length > 0 else None
