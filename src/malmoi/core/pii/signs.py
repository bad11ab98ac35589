"""Signs of numbers and addresses in other forms: full-width, other scripts' digits, long hyphens, no width.

A reader takes `０１０‑1234‑5678` for a phone number, and so does `find_pii`: patterns see the usual forms,
findings have the places of the text as it was.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache

_HYPHENS = "\u2010\u2011\u2012\u2014\u2015\u2043\u2212\u30fc\u3161\ufe58\ufe63"
_SPACES = "\u00a0\u2000-\u200a\u202f\u205f\u3000"
_DIGITS = (0x0660, 0x06F0, 0x0966, 0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC, 0x1D7F6)  # where ten digits begin
_INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e01ef"
)
INVISIBLE = re.compile(f"[{_INVISIBLE}]")
"""What takes no place on the page: zero widths, fillers, marks of direction and of variants, tags."""
_ODD = re.compile(
    f"[{_INVISIBLE}{_HYPHENS}{_SPACES}\uff01-\uff5e\u2460-\u2468\u24ea"
    "\u0660-\u0669\u06f0-\u06f9\u0966-\u096f\U0001d7ce-\U0001d7ff]"
)


def usual_signs(text: str) -> tuple[str, Sequence[int]]:
    """The text in usual signs, without what is invisible; and the place of each character in `text`."""
    if text.isascii() or _ODD.search(text) is None:
        return text, range(len(text) + 1)
    usual = text.translate(_table())
    if INVISIBLE.search(usual) is None:
        return usual, range(len(text) + 1)
    places = [place for place, char in enumerate(usual) if INVISIBLE.match(char) is None]
    return INVISIBLE.sub("", usual), [*places, len(text)]


@cache
def _table() -> Mapping[int, str]:
    """Other forms -> usual ones, character for character."""
    table = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
    table |= {zero + digit: str(digit) for zero in _DIGITS for digit in range(10)}
    table |= {0x2460 + digit: str(digit + 1) for digit in range(9)} | {0x24EA: "0"}
    table |= dict.fromkeys(map(ord, _HYPHENS), "-")
    return table | dict.fromkeys((0xA0, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000), " ")
