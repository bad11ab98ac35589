"""Which script a piece of text is written in, roughly: enough to say what a smaller vocabulary loses."""

from bisect import bisect_right
from typing import Final, Literal

Script = Literal["hangul", "latin", "digits", "kana", "han", "punctuation", "space", "other"]
SCRIPTS: Final[tuple[Script, ...]] = (
    "hangul",
    "latin",
    "digits",
    "punctuation",
    "space",
    "kana",
    "han",
    "other",
)
SCRIPTS_OF: Final[dict[str, frozenset[Script]]] = {
    "ko": frozenset({"hangul"}),
    "en": frozenset({"latin"}),
    "ja": frozenset({"kana", "han"}),
    "zh": frozenset({"han"}),
    "code": frozenset({"latin", "digits", "punctuation", "space"}),
}
"""Language -> the scripts that its words are written in."""

# The first code point of each range; a range goes up to the next entry.
_RANGES: Final[tuple[tuple[int, Script], ...]] = (
    (0x0000, "other"), (0x0009, "space"), (0x000E, "other"), (0x0020, "space"), (0x0021, "punctuation"),
    (0x0030, "digits"), (0x003A, "punctuation"), (0x0041, "latin"), (0x005B, "punctuation"),
    (0x0061, "latin"), (0x007B, "punctuation"), (0x007F, "other"), (0x00A0, "space"),
    (0x00A1, "punctuation"), (0x00C0, "latin"), (0x0250, "other"), (0x1100, "hangul"), (0x1200, "other"),
    (0x1E00, "latin"), (0x1F00, "other"), (0x2000, "space"), (0x200B, "other"), (0x2010, "punctuation"),
    (0x2070, "other"), (0x3000, "punctuation"), (0x3040, "kana"), (0x3100, "other"), (0x3130, "hangul"),
    (0x3190, "other"), (0x31F0, "kana"), (0x3200, "other"), (0x3400, "han"), (0x4DC0, "other"),
    (0x4E00, "han"), (0xA000, "other"), (0xA960, "hangul"), (0xA980, "other"), (0xAC00, "hangul"),
    (0xD800, "other"), (0xF900, "han"), (0xFB00, "other"), (0xFF00, "punctuation"), (0xFF10, "digits"),
    (0xFF1A, "punctuation"), (0xFF21, "latin"), (0xFF3B, "punctuation"), (0xFF41, "latin"),
    (0xFF5B, "punctuation"), (0xFF66, "kana"), (0xFFA0, "hangul"), (0xFFE0, "other"),
)  # fmt: skip
_STARTS: Final = tuple(start for start, _ in _RANGES)


def script_of(text: str) -> Script:
    """The script of a text: that of its letters if they agree, else "other"; spaces do not count."""
    scripts = {_RANGES[bisect_right(_STARTS, ord(letter)) - 1][1] for letter in text}
    scripts -= {"space"} if len(scripts) > 1 else set()
    scripts -= {"punctuation"} if len(scripts) > 1 else set()
    return scripts.pop() if len(scripts) == 1 else "other"
