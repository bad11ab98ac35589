"""Read a tool call written as a JSON object, character by character, without waiting for its end.

    {"name": "get_weather", "arguments": {"city": "서울"}}

The arguments are passed on as the model writes them. Models misspell the frame in a few known ways, which are
understood: `parameters` or `input` for `arguments`, the arguments as a JSON string, doubled outer braces
    (some templates show them so by mistake). The state is a frozen value; reading is linear in the text.
"""

import json
import re
from dataclasses import dataclass, replace
from enum import Enum

NAME_KEYS = frozenset({"name", "function"})
ARGUMENT_KEYS = frozenset({"arguments", "parameters", "input", "args"})
MAX_KEY = 256  # characters of a key or a name

_BLANK = " \t\r\n"
_IN_STRING = re.compile(r'["\\]')
_IN_VALUE = re.compile(r'["{}\[\]]')
_SIMPLE_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class Phase(Enum):
    """Where in the object the reader is."""

    OPEN = "before the brace"
    FIRST = "after the brace"
    KEY = "before a key, a comma or the end"
    IN_KEY = "in a key"
    COLON = "after a key"
    VALUE = "before a value"
    NAME = "in the name"
    NESTED = "in an object or list"
    STRING = "in a string"
    SCALAR = "in a number or word"
    DONE = "after the closing brace"
    BAD = "this is no call"


@dataclass(frozen=True, slots=True)
class CallJson:
    """How far the object is read.

    Attributes:
        key: the key whose value is being read, or as much of it as has come.
        held: characters that cannot be passed on yet: of the name, or of an unfinished escape.
        name: the tool's name once complete.
        arguments: the arguments have begun.
        closed: the arguments are complete.
        depth: open braces and brackets in the present value.
        doubled: the outer braces are doubled.
    """

    phase: Phase = Phase.OPEN
    key: str = ""
    held: str = ""
    name: str | None = None
    arguments: bool = False
    closed: bool = False
    depth: int = 0
    in_string: bool = False
    escaped: bool = False
    doubled: bool = False

    @property
    def ended(self) -> bool:
        """Nothing more belongs to the object."""
        return self.phase in (Phase.DONE, Phase.BAD)


def read_json(state: CallJson, text: str, start: int) -> tuple[CallJson, int, str]:
    """Read on from `text[start:]`.

    Returns:
        The new state; the place after the last character that belongs to the object; the text of arguments
        read now. If the phase is BAD, the character at the place does not fit.
    """
    pieces: list[str] = []
    place = start
    while place < len(text) and not state.ended:
        match state.phase:
            case Phase.NESTED:
                state, place = _nested(state, text, place, pieces)
            case Phase.STRING:
                state, place = _string(state, text, place, pieces)
            case Phase.SCALAR:
                state, place = _scalar(state, text, place, pieces)
            case Phase.IN_KEY | Phase.NAME:
                state, place = _quoted(state, text, place)
            case _:
                state, place = _between(state, text, place, pieces)
    return state, place, "".join(pieces)


def _between(state: CallJson, text: str, place: int, pieces: list[str]) -> tuple[CallJson, int]:
    """One character outside of keys and values."""
    character = text[place]
    if character in _BLANK:
        return state, place + 1
    bad = replace(state, phase=Phase.BAD)
    match state.phase, character:
        case Phase.OPEN, "{":
            return replace(state, phase=Phase.FIRST), place + 1
        case Phase.FIRST, "{" if not state.doubled:
            return replace(state, doubled=True), place + 1
        case ((Phase.FIRST | Phase.KEY), '"'):
            return replace(state, phase=Phase.IN_KEY, key=""), place + 1
        case ((Phase.FIRST | Phase.KEY), "}"):
            return replace(state, phase=Phase.DONE), place + 1
        case Phase.KEY, ",":
            return state, place + 1
        case Phase.COLON, ":":
            return replace(state, phase=Phase.VALUE), place + 1
        case Phase.VALUE, _:
            return _value(state, character, place, pieces)
    return bad, place


def _value(state: CallJson, character: str, place: int, pieces: list[str]) -> tuple[CallJson, int]:
    if state.key in NAME_KEYS and state.name is None:
        if character == '"':
            return replace(state, phase=Phase.NAME, held=""), place + 1
        return replace(state, phase=Phase.BAD), place
    begins = state.key in ARGUMENT_KEYS and not state.arguments
    state = replace(state, arguments=state.arguments or begins, held="", depth=0)
    if character in "{[":
        return replace(state, phase=Phase.NESTED), place
    if character == '"':
        return replace(state, phase=Phase.STRING), place + 1
    if character.isalnum() or character == "-":
        return replace(state, phase=Phase.SCALAR), place
    return replace(state, phase=Phase.BAD), place


def _nested(state: CallJson, text: str, place: int, pieces: list[str]) -> tuple[CallJson, int]:
    start = place
    depth, in_string, escaped = state.depth, state.in_string, state.escaped
    while place < len(text):
        if escaped:
            escaped = False
            place += 1
            continue
        found = (_IN_STRING if in_string else _IN_VALUE).search(text, place)
        if found is None:
            place = len(text)
            break
        place = found.end()
        match found[0]:
            case "\\":
                escaped = True
            case '"':
                in_string = not in_string
            case "{" | "[":
                depth += 1
            case _:
                depth -= 1
                if depth == 0:
                    break
    if _is_arguments(state):
        pieces.append(text[start:place])
    state = replace(state, depth=depth, in_string=in_string, escaped=escaped)
    return (_after_value(state) if depth == 0 else state), place


def _string(state: CallJson, text: str, place: int, pieces: list[str]) -> tuple[CallJson, int]:
    """A string; as arguments, it holds JSON itself and is unescaped."""
    if state.held:  # an escape is under way
        held = state.held + text[place]
        whole = _unescaped(held)
        if whole is None:
            return replace(state, held=held), place + 1
        if _is_arguments(state):
            pieces.append(whole)
        return replace(state, held=""), place + 1
    found = _IN_STRING.search(text, place)
    end = found.start() if found else len(text)
    if _is_arguments(state):
        pieces.append(text[place:end])
    if found is None:
        return state, end
    if found[0] == "\\":
        return replace(state, held="\\"), end + 1
    return _after_value(state), end + 1


def _unescaped(escape: str) -> str | None:
    """The character of a JSON escape; None while it is incomplete."""
    kind = escape[1]
    if kind != "u":
        return _SIMPLE_ESCAPES.get(kind, kind)
    if len(escape) < 6:
        return None
    try:
        code = int(escape[2:6], 16)
        if not 0xD800 <= code < 0xDC00:
            return chr(code) if not 0xDC00 <= code < 0xE000 else "�"
        if len(escape) < 12:
            return None
        return str(json.loads(f'"{escape}"')) if escape[6:8] == "\\u" else "�"
    except ValueError:
        return "�"


def _scalar(state: CallJson, text: str, place: int, pieces: list[str]) -> tuple[CallJson, int]:
    """A number or word; as arguments, `null` means that there are none."""
    end = place
    while end < len(text) and (text[end].isalnum() or text[end] in "+-._"):
        end += 1
    held = (state.held + text[place:end])[:MAX_KEY]
    if end == len(text):
        return replace(state, held=held), end
    if _is_arguments(state):
        pieces.append("{}" if held == "null" else held)
    return _after_value(replace(state, held="")), end


def _quoted(state: CallJson, text: str, place: int) -> tuple[CallJson, int]:
    """A key, or the tool's name: short strings that are needed whole."""
    start = place
    in_key = state.phase is Phase.IN_KEY
    before = state.key if in_key else state.held
    escaped = state.escaped
    while place < len(text):
        character = text[place]
        place += 1
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == '"':
            return _named(state, in_key, before + text[start : place - 1]), place
    whole = before + text[start:place]
    if len(whole) > MAX_KEY:
        return replace(state, phase=Phase.BAD), place
    part = replace(state, escaped=escaped)
    return (replace(part, key=whole) if in_key else replace(part, held=whole)), place


def _named(state: CallJson, in_key: bool, raw: str) -> CallJson:
    try:
        value = str(json.loads(f'"{raw}"', strict=False)) if "\\" in raw else raw
    except ValueError:
        value = raw
    if in_key:
        return replace(state, phase=Phase.COLON, key=value, escaped=False)
    if not value or len(raw) > MAX_KEY:
        return replace(state, phase=Phase.BAD)
    return replace(state, phase=Phase.KEY, name=value, held="", key="", escaped=False)


def _after_value(state: CallJson) -> CallJson:
    return replace(state, phase=Phase.KEY, closed=state.closed or _is_arguments(state), key="", held="")


def _is_arguments(state: CallJson) -> bool:
    return state.arguments and not state.closed and state.key in ARGUMENT_KEYS
