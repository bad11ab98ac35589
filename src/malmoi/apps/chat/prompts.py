"""From a branch of a conversation to what a model is given, within its context."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from malmoi.core.types import Chat, Message, Role
from malmoi.engine.base import EngineInfo, Prompt

_ANSWER_TOKENS = (
    1024  # room to leave for an answer without a limit of its own, at most a quarter of the context
)
_TOKENS_PER_MESSAGE = 16  # more than a template adds to a turn
_STEP = 4  # turns

CountTokens = Callable[[Prompt], Awaitable[int]]


class Turn(Protocol):
    """A message of the branch."""

    @property
    def role(self) -> str:
        """`user` or `assistant`; others are left out."""
        ...

    @property
    def content(self) -> str:
        """Its text."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """A prompt that fits, and how many of the oldest turns it had to leave out."""

    prompt: Prompt
    dropped_turns: int


def merge_turns(branch: Sequence[Turn]) -> list[Message]:
    """The turns of a branch as a model expects them: user and assistant in turn, none empty, a user first.

    An answer that failed leaves two questions in a row, which become one.
    """
    merged: list[Message] = []
    for turn in branch:
        if turn.role not in ("user", "assistant") or not turn.content:
            continue
        role: Role = "user" if turn.role == "user" else "assistant"
        if not merged and role == "assistant":
            continue
        if merged and merged[-1].role == role:
            merged[-1] = Message(role, f"{merged[-1].content}\n\n{turn.content}")
        else:
            merged.append(Message(role, turn.content))
    return merged


async def plan_prompt(
    branch: Sequence[Turn],
    *,
    info: EngineInfo,
    count: CountTokens,
    system: str,
    max_tokens: int | None,
    thinking: bool | None,
) -> Plan:
    """The prompt for the last turn of a branch.

    When the branch is longer than the context, its oldest turns are left out, several at a time: the start
    of the prompt then stays the same for some turns, and with it what the engine remembers of it. The last
    question is never left out; if it does not fit, the engine says so.

    Args:
        branch: the messages from the first to the last question.
        info: of the engine that answers.
        count: tells how many tokens a prompt has.
        system: the system prompt; may be empty. A model that cannot chat gets none.
        max_tokens: the longest answer, for which room is left.
        thinking: whether a reasoning model is to think.
    """
    turns = merge_turns(branch)
    chats = "chat" in info.capabilities

    def build(dropped: int) -> Prompt:
        # A turn is a question with its answer.
        kept = turns[2 * dropped :]
        if not chats:
            return "\n\n".join(turn.content for turn in kept)
        first = (Message("system", system),) if system else ()
        return Chat((*first, *kept), thinking=thinking)

    most = (len(turns) - 1) // 2
    room = max(1, info.context_length - min(max_tokens or _ANSWER_TOKENS, info.context_length // 4))
    size = len(system.encode()) + sum(len(turn.content.encode()) + _TOKENS_PER_MESSAGE for turn in turns)
    # No tokenizer makes more tokens than bytes: a short conversation needs no counting.
    if size + _TOKENS_PER_MESSAGE <= room or most == 0 or "tokenize" not in info.capabilities:
        return Plan(build(0), 0)
    if await count(build(0)) <= room:
        return Plan(build(0), 0)
    low, high = 1, most
    while low < high:
        middle = (low + high) // 2
        if await count(build(middle)) <= room:
            high = middle
        else:
            low = middle + 1
    dropped = min(most, -(-low // _STEP) * _STEP) if most > 2 * _STEP else low
    return Plan(build(dropped), dropped)
