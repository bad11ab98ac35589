"""Token counts and the sliding window: what a client needs to fit a conversation into a model's context."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from malmoi.core.errors import ContextOverflow, InvalidInput
from malmoi.core.types import Chat
from malmoi.engine.base import Prompt
from malmoi.serve.studio.convert import part_texts, read_messages, read_tools
from malmoi.serve.studio.render import schema_text
from malmoi.serve.studio.requests import MessageIn, Sliding, TokenizeV1, TokenizeV3

Count: TypeAlias = Callable[[Prompt], Awaitable[int]]


async def count_v1(body: TokenizeV1, count: Count) -> dict[str, Any]:
    """`{"messages": [{"role", "content", "count"}]}`: tokens of each content, without the template's own."""
    read_messages(body.messages)
    nothing = await count("")
    counted: list[dict[str, Any]] = []
    for index, message in enumerate(body.messages):
        text = "".join(part_texts(message.content, f"messages.{index}.content"))
        counted.append({"role": message.role, "content": text, "count": await count(text) - nothing})
    return {"messages": counted}


async def count_v3(body: TokenizeV3, count: Count) -> dict[str, Any]:
    """As v1, but each part of a content for itself, and the counts of tools and response format."""
    chat = Chat(read_messages(body.messages))
    nothing = await count("")
    counted: list[dict[str, Any]] = []
    for index, message in enumerate(body.messages):
        parts = [
            {"type": "text", "text": text, "count": await count(text) - nothing}
            for text in part_texts(message.content, f"messages.{index}.content")
        ]
        counted.append({"role": message.role, "content": parts})
    result: dict[str, Any] = {"messages": counted}
    if body.tools is not None:
        tools = read_tools(body.tools)
        with_tools = Chat(chat.messages, tools=tools)
        result["tools"] = {"count": await count(with_tools) - await count(chat) if tools else 0}
    if body.responseFormat is not None:
        text = schema_text(body.responseFormat.schema_)
        result["responseFormat"] = {"count": await count(text) - nothing}
    return result


async def slide(body: Sliding, count: Count, context_length: int) -> dict[str, Any]:
    """The newest turns that leave `maxTokens` free in the context; the system message stays.

    A turn is a user message with all that follows up to the next one, so no answer stays without its
    question.

    Raises:
        InvalidInput: `maxTokens` alone fills the context.
        ContextOverflow: not even the newest turn fits.
    """
    room = context_length - body.maxTokens
    if room < 1:
        raise InvalidInput(
            f"maxTokens is {body.maxTokens}, but the context has {context_length} tokens.", field="maxTokens"
        )
    system = [message for message in body.messages if message.role == "system"]
    turns = _turns([message for message in body.messages if message.role != "system"])

    async def size(dropped: int) -> int:
        kept = [message for turn in turns[dropped:] for message in turn]
        return await count(Chat(read_messages([*system, *kept])))

    low, high = 0, max(0, len(turns) - 1)  # the fewest turns to drop, by bisection: sizes fall with each
    smallest = await size(high)
    if smallest > room:
        raise ContextOverflow(smallest + body.maxTokens, context_length)
    while low < high:
        middle = (low + high) // 2
        if await size(middle) <= room:
            high = middle
        else:
            low = middle + 1
    kept = [*system, *(message for turn in turns[low:] for message in turn)]
    return {"messages": [message.model_dump(mode="json", exclude_none=True) for message in kept]}


def _turns(messages: Sequence[MessageIn]) -> list[list[MessageIn]]:
    turns: list[list[MessageIn]] = []
    for message in messages:
        if message.role == "user" or not turns:
            turns.append([])
        turns[-1].append(message)
    return turns
