"""The vocabulary of conversations, shared by engines, gateway and apps. Plain data, no behaviour."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

JsonSchema: TypeAlias = Mapping[str, Any]
Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "abort", "content_filter"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call that a model asks for. `arguments` is JSON text as the model wrote it (it may be invalid)."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that a model may call; `parameters` is a JSON Schema of its arguments object."""

    name: str
    description: str = ""
    parameters: JsonSchema = field(default_factory=lambda: {"type": "object", "properties": {}})


@dataclass(frozen=True, slots=True)
class Message:
    """One turn; `tool_call_id`, `name` are for the role `tool`, `reasoning`, `tool_calls` for `assistant`."""

    role: Role
    content: str
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """What the model may do with its tools; `name` is set for mode `function` only."""

    mode: Literal["auto", "none", "required", "function"] = "auto"
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation to be answered; an engine renders it with its own model's template.

    `thinking` True/False asks a reasoning model to think or not (None: the model's default).
    `template_options` are passed to the template by name (`chat_template_kwargs` of vLLM).
    """

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    thinking: bool | None = None
    template_options: Mapping[str, Any] = field(default_factory=dict)
