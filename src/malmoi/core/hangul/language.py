"""Which language a text is in, Korean or English, by a light rule: the share of Hangul among its letters."""

import re

from malmoi.core.hangul.letters import is_hangul

_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|https?://\S+", re.DOTALL)
_KOREAN = 0.3
"""Korean texts are full of Latin names and units, English ones hold no Hangul."""
_LATIN = 0.8
_LEAST = 2


def hangul_share(text: str) -> float | None:
    """Hangul letters as a share of all letters, code and addresses aside; None: it has no letters."""
    letters = [char for char in _CODE.sub(" ", text) if char.isalpha()]
    return sum(map(is_hangul, letters)) / len(letters) if letters else None


def text_language(text: str) -> str | None:
    """`ko`, `en`, `other`, or None where a text is too short to tell, such as a number or one letter."""
    letters = [char for char in _CODE.sub(" ", text) if char.isalpha()]
    if len(letters) < _LEAST:
        return None
    if sum(map(is_hangul, letters)) / len(letters) >= _KOREAN:
        return "ko"
    return "en" if sum(char.isascii() for char in letters) / len(letters) >= _LATIN else "other"
