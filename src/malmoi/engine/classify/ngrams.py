"""Hashed n-grams: what a linear model sees of a text. No vocabulary, any language, numpy only.

Every n-gram becomes a 64-bit number, the sum of its code points times odd factors that are fixed for ever;
the high bits, which are the mixed ones, name its bucket. Three views of a text:

    surface  the text in lower case, digits all 0, runs of a letter cut to two, spaces at both ends
    jamo     its Hangul alone, each syllable as its letters, without spaces: 시 발 and ㅅㅣㅂㅏㄹ look alike
    words    its words and pairs of neighbouring words

The n-grams of one view never share buckets with those of another but by chance.
"""

import re
from collections.abc import Sequence
from functools import cache
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from malmoi.core.hangul.disguise import undisguise
from malmoi.core.hangul.letters import LEADS, TAILS, VOWELS

Codes = NDArray[np.uint64]
Buckets = NDArray[np.int64]
Values = NDArray[np.float32]

_LEADS = np.array([ord(lead) for lead in LEADS], dtype=np.uint64)
_FIRST_VOWEL = ord(VOWELS[0])
_TAILS = np.array([ord(tail) if tail else 0 for tail in TAILS], dtype=np.uint64)
_LONG_RUN = re.compile(r"(.)\1{2,}", re.DOTALL)
_WORD = re.compile(r"\w+")
_JAMO_ORDER = 16  # kept apart from the orders of the surface, whose factors they must not share


def codes_of(text: str) -> Codes:
    """The code points of a text, every ASCII digit as 0: (length,)."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    codes[(codes >= 48) & (codes <= 57)] = 48
    return codes


def hashed_ngrams(codes: Codes, orders: Sequence[int], bits: int, *, offset: int = 0) -> list[Codes]:
    """The buckets of all n-grams of these orders, in [0, 2**bits), one array for each order that fits.

    Args:
        codes: (length,) code points.
        orders: lengths of n-grams.
        bits: at most 63.
        offset: another one gives n-grams of another kind other buckets.
    """
    parts = []
    for n in orders:
        if codes.size >= n:
            hashes = np.zeros(codes.size - n + 1, dtype=np.uint64)
            for place, factor in enumerate(_factors(n, offset)):
                hashes += codes[place : place + hashes.size] * factor
            parts.append(hashes >> np.uint64(64 - bits))  # the high bits are the mixed ones
    return parts


def counted(parts: Sequence[Codes]) -> tuple[Buckets, Values]:
    """Buckets in order, and log(1 + count) of each, scaled to length one; empty for no n-grams."""
    if not parts:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
    buckets, counts = np.unique(np.concatenate(parts), return_counts=True)
    values = np.log1p(counts).astype(np.float32)
    return buckets.astype(np.int64), values / np.float32(np.linalg.norm(values))


@cache
def _factors(n: int, offset: int) -> Codes:
    """Odd 64-bit factors for the places of an n-gram, from a fixed seed: models outlive programs."""
    draws = np.random.default_rng(n + offset).integers(0, 1 << 63, size=n, dtype=np.uint64)
    factors: Codes = draws * np.uint64(2) + np.uint64(1)
    return factors


def surface(text: str) -> str:
    """The surface view: tricks undone, lower case, single spaces and one at each end."""
    plain = _LONG_RUN.sub(r"\1\1", undisguise(text).lower())
    return f" {' '.join(plain.split())} "


def jamo_codes(view: str) -> Codes:
    """The Hangul of a surface view as letters, equal neighbours once: (letters,)."""
    codes = np.frombuffer(view.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.int64)
    syllable = (codes >= 0xAC00) & (codes <= 0xD7A3)
    letter = (codes >= 0x3131) & (codes <= 0x3163)
    codes, syllable = codes[syllable | letter], syllable[syllable | letter]
    index = np.where(syllable, codes - 0xAC00, 0)
    rows = np.zeros((codes.size, 3), dtype=np.uint64)
    rows[:, 0] = np.where(syllable, _LEADS[index // 588], codes)
    rows[:, 1] = np.where(syllable, _FIRST_VOWEL + index % 588 // 28, 0)
    rows[:, 2] = np.where(syllable, _TAILS[index % 28], 0)
    flat = rows.reshape(-1)
    flat = flat[flat > 0]
    return flat[np.append(True, flat[1:] != flat[:-1])] if flat.size else flat


def word_hashes(view: str) -> list[Codes]:
    """64-bit numbers of the words of a surface view, and of pairs of neighbouring words."""
    words = np.array([crc32(word.encode("utf-8", "surrogatepass")) for word in _WORD.findall(view)])
    codes = words.astype(np.uint64)
    return hashed_ngrams(codes, (1, 2), 63, offset=2 * _JAMO_ORDER)


def text_ngrams(
    text: str, *, bits: int, surface_orders: Sequence[int], jamo_orders: Sequence[int], words: bool
) -> list[Codes]:
    """The buckets of all views of a text.

    Args:
        text: any text.
        bits: of a bucket.
        surface_orders: lengths of n-grams of characters.
        jamo_orders: lengths of n-grams of Hangul letters.
        words: whether words and pairs of words count too.
    """
    view = surface(text)
    parts = hashed_ngrams(codes_of(view), surface_orders, bits)
    parts += hashed_ngrams(jamo_codes(view), jamo_orders, bits, offset=_JAMO_ORDER)
    if words:
        parts += [hashes >> np.uint64(63 - bits) for hashes in word_hashes(view)]
    return parts
