"""From a call's text to deltas: when a call is certain, and what it was if it turns out to be none."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Literal

from malmoi.core.types import Tool
from malmoi.engine.parsers.base import NewId, Pieces
from malmoi.engine.parsers.calljson import CallJson, read_json
from malmoi.engine.parsers.callpairs import CallPairs, read_pairs

MAX_HEAD = 2_048  # characters that may come before a call is certain; after that it is text


class Outcome(Enum):
    """What became of a call."""

    MORE = "it goes on"
    DONE = "it is complete"
    REFUSED = "it was no call; its text is in `raw`"


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is being read.

    Attributes:
        body: how far its text is read.
        guess: nothing but its content says that it is a call, so it must name a tool that was offered and
            have arguments; else (inside `<tool_call>`) its name is enough.
        raw: its text so far, until it is certain.
        arguments: its arguments so far, until it is certain.
        certain: its name and id are out.
        silent: none of its arguments are out.
    """

    body: CallJson | CallPairs
    guess: bool = False
    raw: str = ""
    arguments: str = ""
    certain: bool = False
    silent: bool = True


def new_call(body: Literal["json", "pairs"], *, guess: bool = False, raw: str = "") -> Call:
    """A call whose text begins; `raw` is the marker before it."""
    return Call(CallJson() if body == "json" else CallPairs(), guess=guess, raw=raw)


def read_call(
    call: Call, text: str, place: int, *, index: int, tools: Mapping[str, Tool], new_id: NewId, pieces: Pieces
) -> tuple[Call, int, Outcome]:
    """Read on from `text[place:]`, and put what is certain into `pieces`.

    Returns:
        The call, the place after its last character, and what became of it.
    """
    body: CallJson | CallPairs
    if isinstance(call.body, CallJson):
        body, after, arguments = read_json(call.body, text, place)
    else:
        body, after, arguments = read_pairs(call.body, text, place, tools)
    call = replace(call, body=body)
    if not call.certain:
        call = replace(call, raw=call.raw + text[place:after], arguments=call.arguments + arguments)
        if _is_certain(call, tools):
            assert body.name is not None
            pieces.call(index, new_id(index), body.name)
            arguments = call.arguments
            call = replace(call, raw="", arguments="", certain=True)
        elif _is_refused(call, tools):
            return call, after, Outcome.REFUSED
        else:
            return call, after, Outcome.MORE
    pieces.arguments(index, arguments)
    call = replace(call, silent=call.silent and not arguments)
    if not body.ended:
        return call, after, Outcome.MORE
    if call.silent:
        pieces.arguments(index, "{}")
    return call, after, Outcome.DONE


def _is_certain(call: Call, tools: Mapping[str, Tool]) -> bool:
    if call.body.name is None:
        return False
    if not call.guess:
        return True
    return call.body.name in tools and isinstance(call.body, CallJson) and call.body.arguments


def _is_refused(call: Call, tools: Mapping[str, Tool]) -> bool:
    wrong_name = call.guess and call.body.name is not None and call.body.name not in tools
    return call.body.ended or wrong_name or len(call.raw) > MAX_HEAD
