"""What a request asks of a model, and whether the model can do it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from malmoi.core.errors import Unsupported
from malmoi.core.types import Chat

if TYPE_CHECKING:
    from malmoi.engine.base import Capability, EngineInfo
    from malmoi.serve.running import InferenceRequest

_RESERVED_ANSWER = 1024  # tokens reserved for an answer without `max_tokens`
_DEEDS: Mapping[Capability, str] = {
    "generate": "generate text",
    "chat": "chat: it only continues text; use /v1/completions",
    "tools": "call tools",
    "logprobs": "tell log-probabilities",
    "grammar": "be held to a grammar",
    "embed": "make embeddings",
    "tokenize": "count tokens",
}


def check_can(info: EngineInfo, request: InferenceRequest, capability: Capability) -> None:
    """Refuse what the model cannot do.

    Raises:
        Unsupported: it cannot.
    """
    require(info, capability)
    if capability == "embed":
        return
    if isinstance(request.prompt, Chat):
        require(info, "chat")
        if request.prompt.tools:
            require(info, "tools")
    if request.sampling.top_logprobs is not None:
        require(info, "logprobs")
    if request.sampling.grammar is not None:
        require(info, "grammar")


def require(info: EngineInfo, capability: Capability) -> None:
    """Refuse a model that lacks a capability.

    Raises:
        Unsupported: it does.
    """
    if capability not in info.capabilities:
        raise Unsupported(f"the model {info.name!r} cannot {_DEEDS.get(capability, capability)}.")


def answer_room(request: InferenceRequest, info: EngineInfo | None) -> int:
    """How many tokens an answer may have, for the caller's limits."""
    if request.sampling.max_tokens is not None:
        return min(request.sampling.max_tokens, info.context_length if info is not None else 1 << 20)
    return _RESERVED_ANSWER
