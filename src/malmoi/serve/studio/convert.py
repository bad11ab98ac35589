"""From requests of the Studio API to the house's own words, with the rules between fields."""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from malmoi.core.errors import InvalidInput, Unsupported
from malmoi.core.types import Chat, Message, Tool, ToolCall, ToolChoice
from malmoi.engine.base import Sampling
from malmoi.serve.openai.convert import read_stops
from malmoi.serve.studio.requests import ChatV1, ChatV3, ContentPart, MessageIn, NamedToolChoice, ToolIn

_DEFAULT_LENGTH = {"none": 512, "low": 5120, "medium": 10240, "high": 20480}  # tokens, by thinking effort
_PENALTY_SCALE = 50.0  # v1's 5.0 is v3's 1.1


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request in the house's own words, and the seed that the answer must tell."""

    chat: Chat
    sampling: Sampling
    seed: int
    has_stops: bool


def read_v3(body: ChatV3) -> Wanted:
    """A v3 chat completion.

    Raises:
        InvalidInput: fields exclude each other, or a value is wrong.
        Unsupported: a message holds what models here cannot read.
    """
    effort = body.thinking.effort if body.thinking is not None else "none"
    if body.maxTokens is not None and body.maxCompletionTokens is not None:
        raise InvalidInput("maxTokens and maxCompletionTokens exclude each other.", field="maxTokens")
    if effort != "none":
        for name, given in (
            ("stop", body.stop),
            ("tools", body.tools),
            ("responseFormat", body.responseFormat),
        ):
            if given:
                raise InvalidInput(f"{name} and thinking exclude each other.", field=name)
    tools = () if body.toolChoice == "none" else read_tools(body.tools)
    schema = body.responseFormat.schema_ if body.responseFormat is not None else None
    seed = body.seed or _random_seed()
    chat = Chat(
        messages=read_messages(body.messages),
        tools=tools,
        tool_choice=_tool_choice(body, tools),
        thinking=None if body.thinking is None else effort != "none",
    )
    sampling = Sampling(
        max_tokens=body.maxTokens or body.maxCompletionTokens or _DEFAULT_LENGTH[effort],
        temperature=body.temperature,
        top_p=body.topP,
        top_k=body.topK,
        repetition_penalty=body.repetitionPenalty,
        seed=seed,
        stop=read_stops(body.stop),
        json_schema=schema,
    )
    return Wanted(chat, sampling, seed, bool(body.stop))


def read_v1(body: ChatV1) -> Wanted:
    """A v1 chat completion. Raises what `read_v3` raises."""
    for index, message in enumerate(body.messages):
        if message.role == "tool" or message.toolCalls:
            raise Unsupported(f"messages.{index}: tools are possible in v3 only.")
    seed = body.seed or _random_seed()
    sampling = Sampling(
        max_tokens=body.maxTokens,
        temperature=body.temperature,
        top_p=body.topP,
        top_k=body.topK,
        repetition_penalty=1.0 + body.repeatPenalty / _PENALTY_SCALE,
        seed=seed,
        stop=read_stops(body.stopBefore, "stopBefore"),
    )
    return Wanted(Chat(read_messages(body.messages)), sampling, seed, bool(body.stopBefore))


def read_messages(messages: Sequence[MessageIn]) -> tuple[Message, ...]:
    """The turns of a conversation. Raises what `read_v3` raises."""
    if sum(message.role == "system" for message in messages) > 1:
        raise InvalidInput("there is more than one system message.", field="messages")
    return tuple(_message(message, f"messages.{index}") for index, message in enumerate(messages))


def read_tools(tools: Sequence[ToolIn] | None) -> tuple[Tool, ...]:
    """The functions that may be called. Raises what `read_v3` raises."""
    found: dict[str, Tool] = {}
    for index, tool in enumerate(tools or ()):
        function = tool.function
        if function.name in found:
            raise InvalidInput(
                f"two tools are named {function.name!r}.", field=f"tools.{index}.function.name"
            )
        parameters = function.parameters or {"type": "object", "properties": {}}
        found[function.name] = Tool(function.name, function.description or "", parameters)
    return tuple(found.values())


def part_texts(content: str | Sequence[ContentPart] | None, field: str) -> list[str]:
    """The texts of a message's content, part by part. Raises what `read_v3` raises."""
    if content is None or isinstance(content, str):
        return [content or ""]
    texts: list[str] = []
    for index, part in enumerate(content):
        if part.type != "text":
            raise Unsupported(
                f"{field}.{index}: parts of type {part.type[:40]!r} are not possible.",
                fix="The models here read text only.",
            )
        if part.text is None:
            raise InvalidInput(f"{field}.{index}: the part has no text.", field=f"{field}.{index}.text")
        texts.append(part.text)
    return texts


def _message(message: MessageIn, field: str) -> Message:
    if message.role == "tool" and not message.toolCallId:
        raise InvalidInput(f"{field}: a tool message needs toolCallId.", field=f"{field}.toolCallId")
    if message.toolCalls and message.role != "assistant":
        raise InvalidInput(f"{field}: only an assistant message has toolCalls.", field=f"{field}.toolCalls")
    if message.content is None and message.role != "assistant":
        raise InvalidInput(f"{field}: the message has no content.", field=f"{field}.content")
    calls = tuple(
        ToolCall(call.id, call.function.name, json.dumps(call.function.arguments, ensure_ascii=False))
        for call in message.toolCalls or ()
    )
    return Message(
        role=message.role,
        content="".join(part_texts(message.content, f"{field}.content")),
        tool_calls=calls,
        tool_call_id=message.toolCallId,
        name=message.name,
    )


def _tool_choice(body: ChatV3, tools: Sequence[Tool]) -> ToolChoice:
    choice = body.toolChoice
    if not isinstance(choice, NamedToolChoice):
        return ToolChoice(choice or "auto")
    name = choice.function.name
    if name not in {tool.name for tool in tools}:
        known = ", ".join(tool.name for tool in tools) or "none"
        raise InvalidInput(f"toolChoice names {name!r}, but the tools are: {known}.", field="toolChoice")
    return ToolChoice("function", name)


def _random_seed() -> int:
    return secrets.randbelow(2**32 - 1) + 1
