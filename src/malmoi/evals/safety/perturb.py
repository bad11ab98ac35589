"""Tricks that people play on filters, to measure what a classifier makes of them. Every one is reproducible.

A trick is played on a share of a text's words, chosen by the text's own hash, so that the same text is always
changed in the same way; a person still reads the text without trouble.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from malmoi.core.hangul import decompose, is_syllable

Trick: TypeAlias = Callable[[str, np.random.Generator], str]
SHARE = 0.5
"""Of the words with two syllables or more."""
_WORD = re.compile("[가-힣]{2,}")

_LONGER = frozenset("ㅏㅣㅗㅜㅐㅓㅔ")


def perturb(text: str, trick: str) -> str:
    """`text` with a trick of `TRICKS` played on it."""
    seed = int.from_bytes(hashlib.sha256(f"{trick}/{text}".encode()).digest()[:8], "big")
    rng = np.random.default_rng(seed)
    change = TRICKS[trick]
    return _WORD.sub(
        lambda match: change(match.group(), rng) if rng.random() < SHARE else match.group(), text
    )


def _dotted(word: str, rng: np.random.Generator) -> str:
    return word[0] + str(rng.choice([".", "~", "-", "*", "^", "!"])) + word[1:]


def _one(word: str, rng: np.random.Generator) -> str:
    return f"{word[0]}1{word[1:]}"


def _spaced(word: str, rng: np.random.Generator) -> str:
    at = int(rng.integers(1, len(word)))
    return f"{word[:at]} {word[at:]}"


def _zero_width(word: str, rng: np.random.Generator) -> str:
    return str(rng.choice(["\u200b", "\u2060", "\u200d", "\u3164"])).join(word)


def _spelled_out(word: str, rng: np.random.Generator) -> str:
    return "".join("".join(decompose(char)) if is_syllable(char) else char for char in word)


def _lengthened(word: str, rng: np.random.Generator) -> str:
    vowel = decompose(word[-1]).vowel
    return word + vowel * int(rng.integers(2, 4)) if vowel in _LONGER else word


def _typo(word: str, rng: np.random.Generator) -> str:
    """A vowel for one that sounds or looks like it."""
    from malmoi.core.hangul import compose

    alike = {"ㅐ": "ㅔ", "ㅔ": "ㅐ", "ㅗ": "ㅛ", "ㅜ": "ㅠ", "ㅓ": "ㅕ", "ㅏ": "ㅑ", "ㅣ": "ㅢ"}
    at = int(rng.integers(0, len(word)))
    lead, vowel, tail = decompose(word[at])
    return word[:at] + compose(lead, alike.get(vowel, vowel), tail) + word[at + 1 :]


TRICKS: Mapping[str, Trick] = {
    "sign between syllables": _dotted,
    "one between syllables": _one,
    "space between syllables": _spaced,
    "zero width": _zero_width,
    "spelled out": _spelled_out,
    "lengthened": _lengthened,
    "typing mistake": _typo,
}
