"""Read a tool call written as a name and pairs of key and value, as HyperCLOVA X Think does.

    get_weather
    <arg_key>city</arg_key>
    <arg_value>서울</arg_value>
    </tool_call>

A value is text; what it means is said by the tool's schema. Strings are passed on as they come; other values
when they are complete, as the JSON they hold, or else as a string. The arguments come out as the text of a
JSON object.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from malmoi.core.types import Tool
from malmoi.engine.parsers.marks import begun_at_end

KEY_OPEN, KEY_CLOSE = "<arg_key>", "</arg_key>"
VALUE_OPEN, VALUE_CLOSE = "<arg_value>", "</arg_value>"
WHOLE_OPEN, WHOLE_CLOSE = "<arguments>", "</arguments>"
CALL_CLOSE = "</tool_call>"
MAX_NAME = 256
MAX_VALUE = 16_384  # of a value that is no string; a longer one is passed on as a string


class Step(Enum):
    """Where in the call the reader is."""

    NAME = "in the name"
    BETWEEN = "between pairs"
    KEY = "in a key"
    COLON = "between key and value"
    VALUE = "in a value that is collected"
    STRING = "in a string value"
    WHOLE = "in arguments that are one JSON object"
    DONE = "after the call"
    BAD = "this is no call"


@dataclass(frozen=True, slots=True)
class CallPairs:
    """How far the call is read; `pairs` counts the values so far.

    `held` is text that cannot be passed on yet; after the call, earlier text that is not the call's.
    """

    step: Step = Step.NAME
    name: str | None = None
    key: str = ""
    held: str = ""
    value: str = ""
    pairs: int = 0
    whole: bool = False

    @property
    def ended(self) -> bool:
        """Nothing more belongs to the call."""
        return self.step in (Step.DONE, Step.BAD)


def read_pairs(
    state: CallPairs, text: str, start: int, tools: Mapping[str, Tool]
) -> tuple[CallPairs, int, str]:
    """Read on from `text[start:]`.

    Returns:
        The new state; the place after the last character that belongs to the call; the text of arguments read
        now.
    """
    pieces: list[str] = []
    place = start
    while not state.ended:
        before = (state, place)
        match state.step:
            case Step.NAME:
                state, place = _name(state, text, place)
            case Step.BETWEEN | Step.COLON:
                state, place = _tag(state, text, place, pieces)
            case Step.KEY:
                state, place = _key(state, text, place)
            case _:
                state, place = _value(state, text, place, pieces, tools)
        if (state, place) == before or (place >= len(text) and not state.ended):
            break
    return state, place, "".join(pieces)


def _name(state: CallPairs, text: str, place: int) -> tuple[CallPairs, int]:
    end = place
    while end < len(text) and text[end] not in "\n<":
        end += 1
    held = state.held + text[place:end]
    if end == len(text):
        return replace(state, held=held, step=Step.NAME if len(held) <= MAX_NAME else Step.BAD), end
    name = held.strip()
    if not name or len(held) > MAX_NAME or any(character in ' \t{}"' for character in name):
        return replace(state, step=Step.BAD, held=held), end
    return replace(state, step=Step.BETWEEN, name=name, held=""), end


def _tag(state: CallPairs, text: str, place: int, pieces: list[str]) -> tuple[CallPairs, int]:
    """Blanks and a tag. Tags are short, so what is held back of one may be read again."""
    window = state.held + text[place:]
    stripped = window.lstrip()
    if not stripped:
        return replace(state, held=""), len(text)
    expected = (VALUE_OPEN,) if state.step is Step.COLON else (KEY_OPEN, WHOLE_OPEN, CALL_CLOSE)
    for tag in expected:
        if stripped.startswith(tag):
            after = len(text) - (len(stripped) - len(tag))
            return _opened(replace(state, held=""), tag, pieces), after
        if tag.startswith(stripped):
            return replace(state, held=stripped), len(text)
    # Neither a pair nor the end: the call ends here, and what follows is not its.
    pieces.append(_closing(state))
    earlier = max(0, len(stripped) - (len(text) - place))
    return replace(state, step=Step.DONE, held=stripped[:earlier]), len(text) - len(stripped) + earlier


def _opened(state: CallPairs, tag: str, pieces: list[str]) -> CallPairs:
    if tag == KEY_OPEN:
        return replace(state, step=Step.KEY, key="")
    if tag == WHOLE_OPEN:
        return replace(state, step=Step.WHOLE)
    if tag == VALUE_OPEN:
        return replace(state, step=Step.VALUE, value="")
    pieces.append(_closing(state))
    return replace(state, step=Step.DONE)


def _closing(state: CallPairs) -> str:
    if state.whole:
        return ""
    return "}" if state.pairs else "{}"


def _key(state: CallPairs, text: str, place: int) -> tuple[CallPairs, int]:
    window = state.held + text[place:]
    offset = place - len(state.held)
    end = window.find(KEY_CLOSE)
    if end < 0:
        if len(window) > MAX_NAME + len(KEY_CLOSE):
            return replace(state, step=Step.DONE, held=""), len(text)
        return replace(state, held=window), len(text)
    return replace(state, step=Step.COLON, key=window[:end].strip(), held=""), offset + end + len(KEY_CLOSE)


def _value(
    state: CallPairs, text: str, place: int, pieces: list[str], tools: Mapping[str, Tool]
) -> tuple[CallPairs, int]:
    if state.step is Step.VALUE and _type_of(state, tools) == "string":
        pieces.append(_before_value(state) + '"')
        state = replace(state, step=Step.STRING)
    close = WHOLE_CLOSE if state.step is Step.WHOLE else VALUE_CLOSE
    window = state.held + text[place:]
    offset = place - len(state.held)
    end = window.find(close)
    held = "" if end >= 0 else window[len(window) - begun_at_end(window, (close,)) :]
    part = window[:end] if end >= 0 else window[: len(window) - len(held)]
    after = offset + end + len(close) if end >= 0 else len(text)
    state = replace(state, held=held)
    match state.step:
        case Step.STRING:
            pieces.append(_escaped(part))
        case Step.WHOLE:
            pieces.append(part)
        case _:
            state = replace(state, value=state.value + part)
            if len(state.value) > MAX_VALUE:
                pieces.append(_before_value(state) + '"' + _escaped(state.value))
                state = replace(state, step=Step.STRING, value="")
    if end < 0:
        return state, after
    if state.step is Step.STRING:
        pieces.append('"')
    elif state.step is Step.WHOLE:
        return replace(state, step=Step.BETWEEN, whole=True), after
    else:
        pieces.append(_before_value(state) + _as_json(state.value))
    return replace(state, step=Step.BETWEEN, pairs=state.pairs + 1, key="", value=""), after


def _before_value(state: CallPairs) -> str:
    return ("{" if state.pairs == 0 else ", ") + json.dumps(state.key, ensure_ascii=False) + ": "


def _type_of(state: CallPairs, tools: Mapping[str, Tool]) -> str | None:
    """The type that the tool's schema gives the present key; None where it gives none, or several."""
    tool = tools.get(state.name or "")
    properties: Any = tool.parameters.get("properties") if tool else None
    schema: Any = properties.get(state.key) if isinstance(properties, Mapping) else None
    kind: Any = schema.get("type") if isinstance(schema, Mapping) else None
    return kind if isinstance(kind, str) else None


def _as_json(value: str) -> str:
    try:
        json.loads(value)
    except (ValueError, RecursionError):
        return '"' + _escaped(value) + '"'
    return value.strip()


def _escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]
