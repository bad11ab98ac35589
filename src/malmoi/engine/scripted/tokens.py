"""A tokeniser without a vocabulary: exact, reversible, the same on every machine.

A token is a run of at most three ASCII letters or digits with the space before it, or else one character (so
one token a Hangul syllable). Its id is the code point of a single character, or the characters read as a
number to the base 128 above all code points; so ids go back to text without a table. Roles and ends of
messages are control ids, which no text can become.
"""

import re

from malmoi.core.errors import InvalidInput
from malmoi.core.types import Chat

_PIECE = re.compile(r" [A-Za-z0-9]{1,3}|[A-Za-z0-9]{2,3}|.", re.DOTALL)
_CODE_POINTS = 0x110000
_CONTROL = 0x7FFF_0000
END_OF_TURN = _CONTROL
_ROLES = {"system": _CONTROL + 1, "user": _CONTROL + 2, "assistant": _CONTROL + 3, "tool": _CONTROL + 4}
TOOLS = _CONTROL + 5


def split(text: str) -> list[str]:
    """The pieces of a text, one a token; joined they are the text again."""
    return _PIECE.findall(text)


def encode(text: str) -> tuple[int, ...]:
    """The token ids of a text."""
    return tuple(piece_id(piece) for piece in split(text))


def piece_id(piece: str) -> int:
    """The id of one piece of `split`."""
    if len(piece) == 1:
        return ord(piece)
    number = 0
    for character in piece:
        number = number * 128 + ord(character)
    return _CODE_POINTS + number


def decode(token_ids: tuple[int, ...]) -> str:
    """The text of token ids; control ids are left out.

    Raises:
        InvalidInput: a number that is no token id.
    """
    return "".join(_decode_one(token_id) for token_id in token_ids)


def _decode_one(token_id: int) -> str:
    if token_id >= _CONTROL:
        return ""
    if 0 <= token_id < _CODE_POINTS:
        return chr(token_id)
    characters: list[str] = []
    number = token_id - _CODE_POINTS
    while number > 0:
        number, code = divmod(number, 128)
        characters.append(chr(code))
    piece = "".join(reversed(characters))
    if len(piece) < 2 or split(piece) != [piece]:
        raise InvalidInput(f"{token_id} is not a token id of the scripted engine.", field="prompt")
    return piece


def encode_chat(chat: Chat) -> tuple[int, ...]:
    """The ids of a conversation: role, content, end of each turn; then the assistant's turn begins."""
    ids: list[int] = []
    if chat.tools:
        ids.append(TOOLS)
        for tool in chat.tools:
            ids += encode(f"{tool.name} {tool.description} {sorted(tool.parameters.items())!r}")
        ids.append(END_OF_TURN)
    for message in chat.messages:
        ids.append(_ROLES[message.role])
        ids += encode(message.content)
        for call in message.tool_calls:
            ids += encode(call.name) + encode(call.arguments)
        ids.append(END_OF_TURN)
    ids.append(_ROLES["assistant"])
    return tuple(ids)
