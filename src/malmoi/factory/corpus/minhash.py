"""MinHash signatures, and the clusters of near-duplicates that they show.

Broder 1997; locality-sensitive bands as in Leskovec et al., Mining of Massive Datasets, 3.4. A text is a set
of shingles: runs of characters where words are not what repeats (Korean, Japanese, Chinese, Thai), runs of
words elsewhere. Two texts agree in one value of their signatures with the probability of their Jaccard
similarity. Rows of values make bands; texts that agree in a whole band are compared by all values.

With 24 bands of 4 rows a pair of similarity 0.8 is found with probability 1 - (1 - 0.8^4)^24 > 0.9999, one of
0.5 with 0.79. The standard error of the compared similarity is at most sqrt(0.25 / 96) = 0.05.

Cost: shingling and 96 multiplications a shingle; signatures lie on disk (384 bytes a document), and finding
clusters holds one band of 8 bytes a document at a time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from malmoi.factory.corpus.shingles import characters, grams, words

BATCH = 1 << 17
"""Characters that are shingled together: their arrays stay in the second-level cache."""


class MinHashSettings(BaseModel):
    """How near-duplicates are found."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    enabled: bool = True
    """Whether near-duplicates are removed."""
    threshold: float = Field(0.8, ge=0.3, le=1)
    """Texts whose shingles have at least this Jaccard similarity are the same text; one of them stays."""
    related_threshold: float = Field(0.5, ge=0.3, le=1)
    """Texts at least this similar stay on the same side of the validation split."""
    character_shingle: int = Field(8, ge=2, le=32)
    """Characters in a shingle of Korean, Japanese, Chinese and Thai (letters and digits only)."""
    word_shingle: int = Field(5, ge=1, le=32)
    """Words in a shingle of other languages and of code."""
    num_bands: int = Field(24, ge=1, le=256)
    """Bands of the signature."""
    rows_per_band: int = Field(4, ge=1, le=16)
    """Values in a band."""


BY_CHARACTERS = frozenset({"ko", "ja", "zh", "th", "lo", "km", "my"})
"""Languages that are shingled by characters: written without spaces, or with particles inside words."""


def signatures(texts: Sequence[str], languages: Sequence[str], settings: MinHashSettings) -> np.ndarray:
    """(D, num_bands * rows_per_band) uint32; rows of texts without letters and digits are all ones.

    Args:
        texts: D texts.
        languages: their languages.
        settings: sizes of shingles and bands.
    """
    size = settings.num_bands * settings.rows_per_band
    result = np.full((len(texts), size), 0xFFFFFFFF, dtype=np.uint32)
    factors, offsets = _permutations(size)
    by_character = [language in BY_CHARACTERS for language in languages]
    for kind in (True, False):
        chosen = [at for at, one in enumerate(by_character) if one is kind]
        for batch in _batches(chosen, texts):
            chunk = [texts[at] for at in batch]
            units = characters(chunk) if kind else words(chunk)
            width = settings.character_shingle if kind else settings.word_shingle
            found = grams(units, width, whole_if_shorter=True)
            filled = np.flatnonzero(np.diff(found.starts))
            if not len(filled):
                continue
            values = (found.hashes >> np.uint64(32)).astype(np.uint32)
            rows = np.asarray(batch)[filled]
            first = found.starts[filled]
            hashed = np.empty_like(values)
            for number in range(size):
                np.multiply(values, factors[number], out=hashed)
                np.add(hashed, offsets[number], out=hashed)
                # The low bits of a product are poor; the least value is decided by the high ones.
                result[rows, number] = np.minimum.reduceat(hashed, first)
    return result


def _batches(chosen: Sequence[int], texts: Sequence[str]) -> Iterator[list[int]]:
    batch: list[int] = []
    size = 0
    for at in chosen:
        batch.append(at)
        size += len(texts[at])
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _permutations(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Odd factors and offsets of `size` permutations of 32-bit values; always the same."""
    numbers = np.random.Generator(np.random.PCG64(20_191_009)).integers(
        0, 1 << 32, (2, size), dtype=np.uint32
    )
    return numbers[0] | np.uint32(1), numbers[1]


@dataclass(frozen=True, slots=True)
class Clusters:
    """Which documents belong together, by the least number among them.

    `same` (D,): the cluster by `threshold`; `related` (D,): the wider one by `related_threshold`.
    """

    same: np.ndarray
    related: np.ndarray


def find_clusters(signed: np.ndarray, settings: MinHashSettings) -> Clusters:
    """Clusters of the documents with these signatures.

    Args:
        signed: (D, num_bands * rows_per_band) uint32; may be a memory map.
        settings: bands and thresholds.
    """
    count = len(signed)
    same, related = np.arange(count), np.arange(count)
    related_threshold = min(settings.threshold, settings.related_threshold)
    rows = settings.rows_per_band
    for band in range(settings.num_bands):
        for left, right in _candidates(np.asarray(signed[:, band * rows : (band + 1) * rows])):
            # Pairs that are known to belong together need no second look.
            unknown = _roots(same, left) != _roots(same, right)
            left, right = left[unknown], right[unknown]
            likeness = _likeness(signed, left, right)
            for clusters, threshold in ((same, settings.threshold), (related, related_threshold)):
                near = likeness >= threshold
                _join(clusters, left[near], right[near])
    return Clusters(_roots(same, np.arange(count)), _roots(related, np.arange(count)))


def _candidates(band: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of documents (left, right) that agree in a band: each with the one before it, and with the first.

    All pairs of a bucket would be quadratic; a document that is like neither its neighbour nor the first of
    its bucket is met again in another band.
    """
    empty = (band == 0xFFFFFFFF).all(axis=1)
    keys = np.zeros(len(band), dtype=np.uint64)
    for column in band.T:
        keys = (keys ^ column) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(29)
    # Key and number in one word: a plain sort is several times faster than a stable sort of places, and as
    # stable. The key's lost bits only cost a look at a pair that is not alike.
    bits = np.uint64(max(len(band) - 1, 1).bit_length())
    packed = np.sort((keys[~empty] >> bits << bits) | np.flatnonzero(~empty).astype(np.uint64))
    if len(packed) < 2:
        return
    keys, order = packed >> bits, (packed & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64)
    equal = keys[1:] == keys[:-1]
    after = np.flatnonzero(equal) + 1
    yield order[after - 1], order[after]
    begins = np.flatnonzero(np.concatenate(([True], ~equal)))
    first = begins[np.searchsorted(begins, after, side="right") - 1]
    far = first < after - 1
    yield order[first[far]], order[after[far]]


def _likeness(signed: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Share of equal values of each pair, in blocks, so that few signatures are in memory."""
    result = np.empty(len(left))
    for at in range(0, len(left), 1 << 14):
        block = slice(at, at + (1 << 14))
        result[block] = (signed[left[block]] == signed[right[block]]).mean(axis=1)
    return result


def _roots(parents: np.ndarray, of: np.ndarray) -> np.ndarray:
    """The root of each, found for all at once."""
    at = parents[of]
    while True:
        above = parents[at]
        if np.array_equal(above, at):
            return at
        at = above


def _join(parents: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
    """Join the clusters of each pair; the lesser number becomes the root (union-find)."""
    for one, other in zip(left.tolist(), right.tolist(), strict=True):
        a, b = _find(parents, one), _find(parents, other)
        if a != b:
            parents[max(a, b)] = min(a, b)


def _find(parents: np.ndarray, at: int) -> int:
    while parents[at] != at:
        parents[at] = parents[parents[at]]  # path halving
        at = int(parents[at])
    return at
