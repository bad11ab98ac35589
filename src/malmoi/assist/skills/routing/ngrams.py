"""What short texts look like: character n-grams weighed by how rare they are.

Digits count as one sign, so that "3박 4일" and "2박 3일" look alike. Names and new words, of which sentence
vectors know little, are what this is good at.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

_SPACE = re.compile(r"\s+")
_DIGITS = re.compile(r"[0-9]+([.,][0-9]+)*")
_SIZE = 2048
_LONGEST = 4  # characters of an n-gram


def grams(text: str) -> Counter[str]:
    """Runs of one to four characters, within and across words."""
    plain = unicodedata.normalize("NFC", text).casefold()
    plain = f" {_SPACE.sub(' ', _DIGITS.sub('0', plain)).strip()} "
    sizes = range(1, _LONGEST + 1)
    return Counter(plain[start : start + size] for size in sizes for start in range(len(plain) - size + 1))


def gram_counts(texts: Sequence[str]) -> NDArray[np.float32]:
    """Hashed n-grams of texts, (N, 2048); a gram that occurs again counts less each time."""
    counts = np.zeros((len(texts), _SIZE), dtype=np.float32)
    for row, text in enumerate(texts):
        for gram, count in grams(text).items():
            counts[row, crc32(gram.encode("utf-8", "replace")) % _SIZE] += 1 + math.log(count)
    return counts


def rarity(counts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weights of hashed n-grams by how few of the texts have them."""
    having = (counts > 0).sum(axis=0)
    weights: NDArray[np.float32] = (np.log((1 + len(counts)) / (1 + having)) + 1).astype(np.float32)
    return weights


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same vectors with length one."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return scaled


def letter_vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    """Vectors of hashed n-grams, (N, 2048): what there is where no engine embeds."""
    return unit(gram_counts(texts))
