"""Rewrite a conversation for templates that lack a role or insist on an order. Nothing said is lost."""

import json
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files

from malmoi.core.errors import InvalidInput
from malmoi.core.types import Chat, Message, ToolCall

SEPARATOR = "\n\n"


def with_choice(chat: Chat) -> Chat:
    """Offer only the tools that `tool_choice` allows.

    Raises:
        InvalidInput: the choice names a tool that is not there, or demands one where there is none.
    """
    choice = chat.tool_choice
    if choice.mode == "none":
        return replace(chat, tools=())
    if choice.mode == "function":
        chosen = tuple(tool for tool in chat.tools if tool.name == choice.name)
        if not chosen:
            raise InvalidInput(
                f"tool_choice names the tool {choice.name!r}, which is not among the tools.",
                field="tool_choice",
                fix="Name one of the tools of this request.",
            )
        return replace(chat, tools=chosen)
    if choice.mode == "required" and not chat.tools:
        raise InvalidInput("tool_choice asks for a tool call, but there are no tools.", field="tool_choice")
    return chat


def fold_tools(chat: Chat) -> Chat:
    """Describe the tools in the system message, and write calls and results as ordinary turns."""
    names = {call.id: call.name for message in chat.messages for call in message.tool_calls}
    messages = [_as_text(message, names) for message in chat.messages]
    if chat.tools:
        listed = "\n".join(
            json.dumps(
                {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
                ensure_ascii=False,
            )
            for tool in chat.tools
        )
        instructions = read_file("tools_in_text.txt").strip().replace("{tools}", listed)
        if messages and messages[0].role == "system":
            messages[0] = replace(messages[0], content=_joined(messages[0].content, instructions))
        else:
            messages.insert(0, Message("system", instructions))
    return replace(chat, messages=tuple(messages), tools=())


def fold_system(chat: Chat) -> Chat:
    """Put system messages at the head of the user's turn that follows them."""
    messages: list[Message] = []
    waiting = ""
    for message in chat.messages:
        if message.role == "system":
            waiting = _joined(waiting, message.content)
            continue
        if waiting and message.role == "user":
            message = replace(message, content=_joined(waiting, message.content))
            waiting = ""
        elif waiting and message.role == "assistant":
            messages.append(Message("user", waiting))
            waiting = ""
        messages.append(message)
    if waiting:
        messages.append(Message("user", waiting))
    return replace(chat, messages=tuple(messages))


def merge_turns(chat: Chat) -> Chat:
    """Join consecutive turns of the user, or of the assistant, into one."""
    messages: list[Message] = []
    for message in chat.messages:
        last = messages[-1] if messages else None
        if (
            last is not None
            and last.role == message.role
            and message.role in ("user", "assistant")
            and not last.tool_calls
        ):
            messages[-1] = replace(
                last,
                content=_joined(last.content, message.content),
                reasoning=_joined(last.reasoning, message.reasoning),
                tool_calls=message.tool_calls,
            )
        else:
            messages.append(message)
    return replace(chat, messages=tuple(messages))


def read_file(name: str) -> str:
    """The text of one of the files beside this module."""
    return files("malmoi.engine.templates").joinpath("files", name).read_text(encoding="utf-8")


def _as_text(message: Message, names: Mapping[str, str]) -> Message:
    if message.role == "tool":
        name = message.name or names.get(message.tool_call_id or "", "")
        return Message("user", f"Tool result{f' ({name})' if name else ''}:\n{message.content}")
    if message.tool_calls:
        calls = "\n".join(f"```json\n{_call_text(call)}\n```" for call in message.tool_calls)
        return replace(message, content=_joined(message.content, calls), tool_calls=())
    return message


def _call_text(call: ToolCall) -> str:
    return f'{{"name": {json.dumps(call.name, ensure_ascii=False)}, "arguments": {call.arguments or "{}"}}}'


def _joined(first: str, second: str) -> str:
    return SEPARATOR.join(text for text in (first, second) if text)
