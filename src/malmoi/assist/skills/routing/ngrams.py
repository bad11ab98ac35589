"""How much two short texts look alike: character n-grams weighed by how rare they are.

Digits count as one sign, so that "3박 4일" and "2박 3일" look alike. Names and new words, of which sentence
vectors know little, are what this is good at.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

_SIZE = 512
_SPACE = re.compile(r"\s+")
_DIGITS = re.compile(r"[0-9]+([.,][0-9]+)*")
Profile = Mapping[str, float]


def grams(text: str) -> Counter[str]:
    """Pairs and triples of characters, within and across words."""
    plain = unicodedata.normalize("NFC", text).casefold()
    plain = f" {_SPACE.sub(' ', _DIGITS.sub('0', plain)).strip()} "
    return Counter(plain[start : start + size] for size in (2, 3) for start in range(len(plain) - size + 1))


class Rarity:
    """Weights of n-grams by how few of the known texts have them."""

    def __init__(self, texts: Sequence[str]) -> None:
        counts = Counter(gram for text in texts for gram in grams(text))
        self._weights = {gram: math.log((1 + len(texts)) / (1 + count)) + 1 for gram, count in counts.items()}
        self._unknown = math.log(1 + len(texts)) + 1

    def profile(self, text: str) -> Profile:
        """A text as weights of its n-grams, of length one."""
        weighed = {
            gram: (1 + math.log(count)) * self._weights.get(gram, self._unknown)
            for gram, count in grams(text).items()
        }
        length = math.sqrt(sum(weight * weight for weight in weighed.values())) or 1.0
        return {gram: weight / length for gram, weight in weighed.items()}


def likeness(one: Profile, other: Profile) -> float:
    """Cosine of two profiles, in [0, 1]."""
    if len(one) > len(other):
        one, other = other, one
    return sum(weight * other.get(gram, 0.0) for gram, weight in one.items())


def coverage(query: Profile, vocabulary: Mapping[str, float]) -> float:
    """How much of a query's n-grams, by weight, are anywhere in a vocabulary, in [0, 1]."""
    whole = sum(weight * weight for weight in query.values())
    known = sum(weight * weight for gram, weight in query.items() if gram in vocabulary)
    return known / whole if whole else 0.0


def letter_vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    """Vectors of hashed n-grams, (N, 512): what there is where no engine embeds."""
    vectors = np.zeros((len(texts), _SIZE), dtype=np.float32)
    for row, text in enumerate(texts):
        for gram, count in grams(text).items():
            vectors[row, crc32(gram.encode("utf-8", "replace")) % _SIZE] += 1 + math.log(count)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return unit
