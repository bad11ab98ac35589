"""Texts as sets of hashed n-grams, many texts at a time: what near-duplicates and contamination are found by.

Texts are laid end to end as one array of code points, so that the cost is per
character and not per document. An n-gram's hash is a polynomial over its code points modulo 2^64, taken from
prefix sums: hash(i, n) = (P[i+n] - P[i]) * B^-i with P[i] = sum of c_j * B^j for j < i (Karp and Rabin 1987),
then mixed (the finaliser of SplitMix64). The same text has the same hashes on every machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

_BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2^64
_INVERSE = pow(_BASE, -1, 1 << 64)


@dataclass(frozen=True, slots=True)
class Grams:
    """The n-grams of D texts, N in all.

    `hashes` (N,) uint64, in the order of the texts; those of text d are `hashes[starts[d]:starts[d + 1]]`.
    `places` (N,) int64: where each begins, counted in units (characters or words) from the start of its text.
    """

    hashes: np.ndarray
    starts: np.ndarray
    places: np.ndarray


@dataclass(frozen=True, slots=True)
class Units:
    """D texts as units that n-grams are made of: characters, or words by their hashes.

    `values` (U,) uint64; those of text d are `values[starts[d]:starts[d + 1]]`. `spans` (U, 2) int64: where
    each unit begins and ends in its text, in characters.
    """

    values: np.ndarray
    starts: np.ndarray
    spans: np.ndarray


def fold(text: str) -> str:
    """Without the difference of case, and with every character where it was."""
    # A few letters, such as İ, would become two, and Σ another letter at the end of a word than inside.
    return text.replace("İ", "i").replace("Σ", "σ").lower()


def characters(texts: Sequence[str]) -> Units:
    """Letters and digits, without anything between them: Korean is spaced in more than one way."""
    codes, starts = _codes(texts)
    kept = _is_word()[codes]
    before = np.concatenate(([0], np.cumsum(kept)))
    at = np.flatnonzero(kept) - np.repeat(starts[:-1], before[starts[1:]] - before[starts[:-1]])
    return Units(codes[kept].astype(np.uint64), before[starts], np.stack((at, at + 1), axis=1))


def words(texts: Sequence[str]) -> Units:
    """Runs of letters and digits, each as one hash."""
    codes, starts = _codes(texts)
    kept = _is_word()[codes]
    before = np.concatenate(([False], kept[:-1]))
    after = np.concatenate((kept[1:], [False]))
    first = np.zeros(len(codes), dtype=bool)  # words end at the ends of texts
    first[starts[:-1][starts[:-1] < len(codes)]] = True
    last = np.concatenate((first[1:], [True])) if len(codes) else first
    begins = np.flatnonzero(kept & (~before | first))
    ends = np.flatnonzero(kept & (~after | last)) + 1
    values = _segments(codes.astype(np.uint64), begins, ends)
    bounds = np.searchsorted(begins, starts)
    shift = np.repeat(starts[:-1], np.diff(bounds))
    return Units(values, bounds, np.stack((begins - shift, ends - shift), axis=1))


def grams(units: Units, size: int, *, whole_if_shorter: bool = False) -> Grams:
    """All runs of `size` units within a text.

    Args:
        units: the texts.
        size: how many units an n-gram has.
        whole_if_shorter: a text with fewer units is one n-gram of its own; else it has none.
    """
    counts = np.diff(units.starts)
    wanted = np.maximum(counts - size + 1, 0)
    if whole_if_shorter:
        wanted = np.where((counts > 0) & (counts < size), 1, wanted)
    starts = np.concatenate(([0], np.cumsum(wanted)))
    places = np.arange(starts[-1]) - np.repeat(starts[:-1], wanted)
    begins = places + np.repeat(units.starts[:-1], wanted)
    ends = begins + np.repeat(np.minimum(counts, size), wanted)
    return Grams(_segments(units.values, begins, ends), starts, places)


def _segments(values: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Mixed hashes of `values[begin:end]` for every pair."""
    if not len(begins):
        return np.zeros(0, dtype=np.uint64)
    powers, inverses = _powers(len(values))
    sums = np.empty(len(values) + 1, dtype=np.uint64)
    sums[0] = 0
    np.cumsum((values + np.uint64(1)) * powers, out=sums[1:])
    return _mixed((sums[ends] - sums[begins]) * inverses[begins])


def _mixed(values: np.ndarray) -> np.ndarray:
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = values ^ (values >> np.uint64(31))
    return mixed


def _powers(length: int) -> tuple[np.ndarray, np.ndarray]:
    """B^i and B^-i for i < length."""
    size = 1 << max(length - 1, 1).bit_length()  # a few sizes only, so that they can be kept
    return _power_table(size, _BASE)[:length], _power_table(size, _INVERSE)[:length]


@lru_cache(maxsize=16)
def _power_table(size: int, base: int) -> np.ndarray:
    factors = np.full(size, base, dtype=np.uint64)
    factors[0] = 1
    table: np.ndarray = np.cumprod(factors, dtype=np.uint64)
    return table


@lru_cache(maxsize=1)
def _is_word() -> np.ndarray:
    """Whether each code point is a letter or digit."""
    return np.fromiter((chr(code).isalnum() for code in range(0x110000)), dtype=bool, count=0x110000)


def _codes(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Folded code points of all texts, and where each text begins (D + 1)."""
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    joined = fold("".join(texts)).encode("utf-32-le", "surrogatepass")
    return np.frombuffer(joined, dtype="<u4"), np.concatenate(([0], np.cumsum(lengths)))
