"""A conversation as the variables that Hugging Face chat templates expect."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from malmoi.core.errors import InvalidInput
from malmoi.core.types import Chat, JsonSchema, Message, Tool, ToolCall
from malmoi.engine.templates.neutral import Neutraliser

RESERVED = frozenset({"messages", "tools", "documents", "add_generation_prompt", "bos_token", "eos_token"})
THINKING_NAMES = ("enable_thinking", "thinking")
MAX_DEPTH = 60
MAX_VALUES = 200_000


@dataclass(frozen=True, slots=True)
class Variables:
    """The variables, and how large they are (`values` and `chars` set the template's budget)."""

    names: Mapping[str, Any]
    values: int
    chars: int


def build_variables(chat: Chat, neutraliser: Neutraliser, *, add_generation_prompt: bool) -> Variables:
    """Messages, tools and options, with every text in them guarded.

    No tools is None, whether the list is empty or the model may not use them: an empty list would make some
    templates announce tools that do not exist.

    Raises:
        InvalidInput: an option takes the name of a variable, or is no plain JSON value.
    """
    names = _names_of_calls(chat.messages)
    messages = [_message(message, names, neutraliser) for message in chat.messages]
    tools = [_tool(tool, neutraliser, number) for number, tool in enumerate(chat.tools)] or None
    options = {name: _option(name, value, neutraliser) for name, value in chat.template_options.items()}
    thinking = wanted_thinking(chat)
    for name in THINKING_NAMES:
        options.pop(name, None)
        if thinking is not None:
            options[name] = thinking
    if thinking is not None:
        options.setdefault("force_reasoning", thinking)
        options.setdefault("skip_reasoning", not thinking)
    values, chars = _size([messages, tools, options])
    variables = {
        "messages": messages,
        "tools": tools,
        "documents": None,
        "add_generation_prompt": add_generation_prompt,
        **options,
    }
    return Variables(variables, values, chars)


def wanted_thinking(chat: Chat) -> bool | None:
    """Whether the model is asked to think: `Chat.thinking`, or one of the names that servers use for it."""
    if chat.thinking is not None:
        return chat.thinking
    options = chat.template_options
    if options.get("force_reasoning"):  # wins over `skip_reasoning`
        return True
    if options.get("skip_reasoning"):
        return False
    for name in THINKING_NAMES:
        if isinstance(options.get(name), bool):
            return bool(options[name])
    return None


def check_json(value: object, field: str) -> None:
    """See that a value is plain JSON of sane depth and size.

    Raises:
        InvalidInput: it is not; `field` names it.
    """
    level: list[object] = [value]
    count = 0
    for _ in range(MAX_DEPTH):
        deeper: list[object] = []
        for item in level:
            if isinstance(item, Mapping):
                if not all(isinstance(name, str) for name in item):
                    raise InvalidInput(f"{field} has a name that is no text.", field=field)
                deeper.extend(item.values())
            elif isinstance(item, list | tuple):
                deeper.extend(item)
            elif item is not None and not isinstance(item, str | bool | int | float):
                raise InvalidInput(f"{field} holds a {type(item).__name__}, which is not JSON.", field=field)
        count += len(deeper)
        if not deeper:
            return
        if count > MAX_VALUES:
            break
        level = deeper
    raise InvalidInput(f"{field} is too large or nested too deeply.", field=field)


def call_arguments(arguments: str) -> dict[str, Any] | None:
    """The arguments object of a call; None if the text is no JSON object."""
    try:
        value = json.loads(arguments) if arguments.strip() else {}
        check_json(value, "arguments")
    except (ValueError, RecursionError, InvalidInput):
        return None
    return value if isinstance(value, dict) else None


def _message(message: Message, names: Mapping[str, str], neutraliser: Neutraliser) -> dict[str, Any]:
    content, reasoning = message.content, message.reasoning
    if message.role == "assistant" and not reasoning:
        content, reasoning = split_reasoning(content)
    made: dict[str, Any] = {"role": message.role, "content": neutraliser.guard(content, joints=True)}
    if reasoning:
        made["reasoning_content"] = neutraliser.guard(reasoning, joints=True)
    if message.tool_calls:
        made["tool_calls"] = [_call(call, neutraliser) for call in message.tool_calls]
    if message.tool_call_id is not None:
        made["tool_call_id"] = neutraliser.guard(message.tool_call_id)
    name = message.name or names.get(message.tool_call_id or "")
    if name:
        made["name"] = neutraliser.guard(name)
    return made


def split_reasoning(content: str) -> tuple[str, str]:
    """`(answer, reasoning)` of an assistant's message; some clients leave the `<think>` block in it."""
    start = content.lstrip()
    if not start.startswith("<think>"):
        return content, ""
    reasoning, closed, answer = start.removeprefix("<think>").partition("</think>")
    return (answer.lstrip("\n"), reasoning.strip("\n")) if closed else (content, "")


def _call(call: ToolCall, neutraliser: Neutraliser) -> dict[str, Any]:
    arguments: Any = call_arguments(call.arguments)
    if arguments is None:
        arguments = call.arguments  # the model wrote it so; it shall see what it wrote
    function = {"name": neutraliser.guard(call.name), "arguments": neutraliser.guard_value(arguments)}
    return {"id": neutraliser.guard(call.id), "type": "function", "function": function}


def _tool(tool: Tool, neutraliser: Neutraliser, number: int) -> dict[str, Any]:
    check_json(tool.parameters, f"tools.{number}.parameters")
    parameters: JsonSchema = neutraliser.guard_value(tool.parameters)
    return {
        "type": "function",
        "function": {
            "name": neutraliser.guard(tool.name),
            "description": neutraliser.guard(tool.description),
            "parameters": parameters,
        },
    }


def _option(name: str, value: object, neutraliser: Neutraliser) -> Any:
    field = f"chat_template_kwargs.{name}"
    if name in RESERVED or not name.isidentifier() or name.startswith("_"):
        raise InvalidInput(f"{field} is not an option of chat templates.", field=field, fix="Leave it out.")
    check_json(value, field)
    return neutraliser.guard_value(value)


def _names_of_calls(messages: tuple[Message, ...]) -> dict[str, str]:
    return {call.id: call.name for message in messages for call in message.tool_calls}


def _size(value: object) -> tuple[int, int]:
    values = chars = 0
    stack = [value]
    while stack:
        item = stack.pop()
        values += 1
        if isinstance(item, str):
            chars += len(item)
        elif isinstance(item, dict):
            chars += sum(map(len, item))
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    return values, chars
