"""Which kinds of characters a text is made of."""

import unicodedata
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np

HANGUL, JAMO, HAN, KANA, LATIN, CYRILLIC, OTHER_LETTER, DIGIT, SPACE, PUNCTUATION, SYMBOL = range(11)
NUM_KINDS = 11
_BLOCKS = (
    (0xAC00, 0xD7A3, HANGUL),
    (0x1100, 0x11FF, JAMO),
    (0x3131, 0x318E, JAMO),  # ㅋㅋ and ㅠㅠ: Korean, but no syllables
    (0xA960, 0xA97F, JAMO),
    (0xD7B0, 0xD7FF, JAMO),
    (0x3400, 0x4DBF, HAN),
    (0x4E00, 0x9FFF, HAN),
    (0xF900, 0xFAFF, HAN),
    (0x3041, 0x30FF, KANA),
    (0x31F0, 0x31FF, KANA),
    (0xFF66, 0xFF9D, KANA),
    (0x0041, 0x005A, LATIN),
    (0x0061, 0x007A, LATIN),
    (0x0400, 0x052F, CYRILLIC),
)


class Scripts(NamedTuple):
    """Characters of each kind in one text."""

    hangul: int
    """Syllables."""
    jamo: int
    """Single letters of Hangul."""
    han: int
    kana: int
    latin: int
    cyrillic: int
    other_letters: int
    digits: int
    spaces: int
    punctuation: int
    symbols: int
    """Symbols, emoji, control and unassigned characters."""
    letters: int
    """Letters of all scripts."""
    total: int
    """All characters."""


@cache
def _kinds() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The kind of each character of the basic plane; all above it share the last entry."""
    table = np.full(0x10000 + 1, SYMBOL, dtype=np.uint8)
    for code in range(0x10000):
        category = unicodedata.category(chr(code))
        if category[0] == "L" or category[0] == "M":
            table[code] = LATIN if "LATIN" in unicodedata.name(chr(code), "") else OTHER_LETTER
        elif category == "Nd":
            table[code] = DIGIT
        elif category[0] == "P":
            table[code] = PUNCTUATION
        elif category[0] == "Z" or code in (9, 10, 11, 12, 13):
            table[code] = SPACE
    for first, last, kind in _BLOCKS:
        table[first : last + 1] = kind
    return table


# The steps of a pipeline ask one after another about the same document.
@lru_cache(maxsize=4)
def count_scripts(text: str) -> Scripts:
    """Count the characters of `text` by kind; Han beyond the basic plane counts as symbols."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    kinds = _kinds()[np.minimum(codes, 0x10000)]
    counts: list[int] = np.bincount(kinds, minlength=NUM_KINDS).tolist()
    return Scripts._make([*counts, sum(counts[:DIGIT]), len(codes)])
