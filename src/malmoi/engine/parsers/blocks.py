"""Parse the turns of HyperCLOVA X SEED, which are made of blocks.

    assistant/think
    thought<|im_end|>
    <|im_start|>assistant
    answer<|im_end|>
    <|im_start|>assistant -> tool/function_call
    [{"name": "get_weather", "arguments": {"city": "서울"}}]<|im_end|><|stop|>

The prompt ends with `assistant`, so the model's text begins with the rest of that line. A block of somebody
else ends the turn: the model has begun to invent the conversation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from malmoi.core.types import Tool
from malmoi.engine.parsers.base import NewId, ParsedDelta, Pieces, random_id
from malmoi.engine.parsers.calls import Call, Outcome, new_call, read_call
from malmoi.engine.parsers.marks import begun_at_end

BLOCK, END_BLOCK, ROLE = "<|im_start|>", "<|im_end|>", "assistant"
MAX_BLANK = 256


class Block(Enum):
    """What is being read."""

    HEADER = "the rest of the role line"
    THOUGHT = "a thought"
    TEXT = "visible text"
    CALLS = "calls"
    BETWEEN = "what lies between blocks"
    OVER = "nothing; the turn is over"


_HEADERS: dict[str, Block] = {
    "/think\n": Block.THOUGHT,
    " -> tool/function_call\n": Block.CALLS,
    "-> tool/function_call\n": Block.CALLS,
    "\n": Block.TEXT,
}


@dataclass(frozen=True, slots=True)
class BlockRules:
    """What to look for. No tools: a block of calls is text."""

    tools: Mapping[str, Tool] = field(default_factory=dict)
    new_id: NewId = random_id


@dataclass(frozen=True, slots=True)
class BlockTurn:
    """How far the turn is read; the fields mean what they mean in `tagged.Turn`."""

    block: Block = Block.HEADER
    held: str = ""
    blank: str = ""
    begun: bool = False
    index: int = 0
    call: Call | None = None


def read_blocks(rules: BlockRules, turn: BlockTurn, text: str) -> tuple[BlockTurn, tuple[ParsedDelta, ...]]:
    """Read more of a turn: the new state, and what is certain now."""
    pieces = Pieces()
    buffer = turn.held + text
    turn = replace(turn, held="")
    place = 0
    while place < len(buffer) and turn.block is not Block.OVER:
        match turn.block:
            case Block.HEADER:
                turn, after = _header(rules, turn, buffer, place)
            case Block.THOUGHT | Block.TEXT:
                turn, after = _body(turn, buffer, place, pieces)
            case Block.CALLS:
                turn, after = _calls(rules, turn, buffer, place, pieces)
            case _:
                turn, after = _between(turn, buffer, place)
        if after is None:
            break
        place = after
    return turn, pieces.deltas()


def finish_blocks(rules: BlockRules, turn: BlockTurn) -> tuple[BlockTurn, tuple[ParsedDelta, ...]]:
    """No more text comes: give out what was held back."""
    pieces = Pieces()
    match turn.block:
        case Block.THOUGHT:
            pieces.reasoning(turn.blank + turn.held if turn.held else "")
        case Block.TEXT | Block.HEADER:
            pieces.text(turn.blank + turn.held)
        case Block.CALLS if turn.call is not None and not turn.call.certain:
            pieces.text(turn.call.raw)
        case _:
            pass
    return BlockTurn(block=Block.OVER, index=turn.index), pieces.deltas()


# Each returns the new state and the place to go on from; None when it needs more text (`held` keeps the
# rest).


def _header(rules: BlockRules, turn: BlockTurn, buffer: str, place: int) -> tuple[BlockTurn, int | None]:
    rest = buffer[place : place + 32]
    for header, block in _HEADERS.items():
        if rest.startswith(header):
            block = Block.TEXT if block is Block.CALLS and not rules.tools else block
            return replace(turn, block=block, begun=False, blank=""), place + len(header)
    if place + len(rest) == len(buffer) and any(header.startswith(rest) for header in _HEADERS):
        return replace(turn, held=rest), None
    return replace(turn, block=Block.TEXT, begun=True), place  # the model has left out the header


def _body(turn: BlockTurn, buffer: str, place: int, pieces: Pieces) -> tuple[BlockTurn, int | None]:
    rest = buffer[place:]
    ends = [end for end in (rest.find(END_BLOCK), rest.find(BLOCK)) if end >= 0]
    end = min(ends) if ends else -1
    size = 0 if ends else begun_at_end(rest, (END_BLOCK, BLOCK))
    part = rest[:end] if ends else rest[: len(rest) - size]
    thought = turn.block is Block.THOUGHT
    if thought and not turn.begun:
        part = part.lstrip()
    solid = part.rstrip()
    blank = part[len(solid) :]
    if solid:
        (pieces.reasoning if thought else pieces.text)(turn.blank + solid)
    else:
        blank = turn.blank + blank
    if len(blank) > MAX_BLANK:
        (pieces.reasoning if thought else pieces.text)(blank)
        blank = ""
    turn = replace(turn, blank=blank, begun=turn.begun or bool(solid))
    if not ends:
        return replace(turn, held=rest[len(rest) - size :]), None
    if not thought:
        pieces.text(turn.blank)
    return replace(turn, block=Block.BETWEEN, blank=""), place + end


def _calls(
    rules: BlockRules, turn: BlockTurn, buffer: str, place: int, pieces: Pieces
) -> tuple[BlockTurn, int | None]:
    if turn.call is None:
        character = buffer[place]
        if character.isspace() or character in "[],}":
            return turn, place + 1
        if character == "{":
            return replace(turn, call=new_call("json")), place
        return replace(turn, block=Block.BETWEEN if character == "<" else Block.TEXT, begun=True), place
    call, after, outcome = read_call(
        turn.call, buffer, place, index=turn.index, tools=rules.tools, new_id=rules.new_id, pieces=pieces
    )
    if outcome is Outcome.MORE:
        return replace(turn, call=call), after
    if outcome is Outcome.DONE:
        return replace(turn, call=None, index=turn.index + 1), after
    pieces.text(call.raw)
    return replace(turn, call=None, block=Block.TEXT, begun=True), after


def _between(turn: BlockTurn, buffer: str, place: int) -> tuple[BlockTurn, int | None]:
    start = buffer.find(BLOCK, place)
    if start < 0:
        size = begun_at_end(buffer[place:], (BLOCK,))
        return replace(turn, held=buffer[len(buffer) - size :]), None
    role = buffer[start + len(BLOCK) : start + len(BLOCK) + len(ROLE)]
    if role == ROLE:
        return replace(turn, block=Block.HEADER), start + len(BLOCK) + len(ROLE)
    if ROLE.startswith(role):
        return replace(turn, held=buffer[start:]), None
    return replace(turn, block=Block.OVER), len(buffer)
