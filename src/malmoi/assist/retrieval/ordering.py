"""Put found passages into a better order, by what a question asks for and where that stands.

Two rankings tell how near each passage is as a whole. Here all that were found are looked at together, with
how much of the question stands in a passage or in the titles above it: bm25 forgives a passage that lacks
half of the question when it says the other half often. The weights, and how they were fitted, are in
`words/ordering.toml`.
"""

from __future__ import annotations

import tomllib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from malmoi.assist.retrieval.matching import read_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

Concept: TypeAlias = tuple[str, ...]
"""Something a question asks for: folded words that mean it, any of which may stand in a text. One that begins
with a space stands at the beginning of a word only."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage that was found.

    Attributes:
        text: its words.
        above: the title of its document, and the headings above it.
        terms: its score by words; 0 where it was not found by them.
        vectors: the cosine of its vector and the question's; None where it was not found by it.
    """

    text: str
    above: str
    terms: float = 0.0
    vectors: float | None = None


def order(concepts: Sequence[Concept], candidates: Sequence[Candidate]) -> list[float]:
    """A score for each candidate of one question; higher is better, and 0 is nothing."""
    if not candidates:
        return []
    scores = np.zeros(len(candidates))
    found = features(concepts, candidates)
    for name, weight in _weights().items():
        scores += weight * found[name]
    return [float(score) for score in scores]


def features(concepts: Sequence[Concept], candidates: Sequence[Candidate]) -> dict[str, NDArray[np.float64]]:
    """What is known of each candidate, every feature in [0, 1], (N,).

    Args:
        concepts: of the question.
        candidates: all that were found for it; how rare a concept is, is counted among them.
    """
    terms = np.array([one.terms for one in candidates])
    cosines = np.array([np.nan if one.vectors is None else one.vectors for one in candidates])
    least, most = (np.nanmin(cosines), np.nanmax(cosines)) if np.isfinite(cosines).any() else (0.0, 0.0)
    vectors = np.nan_to_num((cosines - least) / max(most - least, 1e-6))
    texts = [_folded(f"{one.above}\n{one.text}") for one in candidates]
    inside = np.array([_has(concepts, text) for text in texts])
    standing = inside.sum(axis=0)
    rarity = np.log(1 + (len(texts) - standing + 0.5) / (standing + 0.5)) * (standing > 0)
    return {
        "terms": terms / max(terms.max(), 1e-6),
        "vectors": vectors,
        "coverage": inside @ rarity / max(rarity.sum(), 1e-6),
    }


def _folded(text: str) -> str:
    """As `hangul.fold`, but accents stay: those take most of its time, and there are hundreds of texts."""
    return unicodedata.normalize("NFKC", text).casefold()


def _has(concepts: Sequence[Concept], text: str) -> list[float]:
    return [float(any(_stands(word, text) for word in concept)) for concept in concepts]


def _stands(word: str, text: str) -> bool:
    if not word.startswith(" "):
        return word in text
    word, at = word[1:], -1
    while (at := text.find(word, at + 1)) >= 0:
        before = text[at - 1 : at]
        if not (before.isascii() and before.isalnum()):
            return True
    return False


@cache
def _weights() -> dict[str, float]:
    return dict(tomllib.loads(read_words("ordering.toml"))["weights"])
