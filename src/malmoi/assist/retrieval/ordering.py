"""Put found passages into a better order, by what a question asks for and where that stands.

Two rankings tell how near each passage is as a whole. Here all that were found are looked at together, with
how much of the question stands in a passage or above it, and in its best sentence: bm25 forgives a passage
that lacks half of the question when it says the other half often. A document of which several passages were
found is likelier to be the one. The weights, and how they were fitted, are in `words/ordering.toml`.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from malmoi.assist.retrieval.matching import read_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

_END = re.compile(r"(?<=[.!?])\s|\n")
_TOGETHER = 3  # passages of a document that count

Concept: TypeAlias = tuple[str, ...]
"""Something a question asks for: folded words that mean it, any of which may stand in a text. One that begins
with a space stands at the beginning of a word only."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage that was found.

    Attributes:
        text: its words.
        above: what tells what it is about: name, title and first line of its document, headings above it.
        document: which passages are of one document.
        terms: its score by words; 0 where it was not found by them.
        vectors: the cosine of its vector and the question's; None where it was not found by it.
    """

    text: str
    above: str
    document: Hashable
    terms: float = 0.0
    vectors: float | None = None


def order(concepts: Sequence[Concept], candidates: Sequence[Candidate]) -> list[float]:
    """A score for each candidate of one question; higher is better, and 0 is nothing."""
    return weigh(features(concepts, candidates)) if candidates else []


def weigh(found: Mapping[str, NDArray[np.float64]]) -> list[float]:
    """The scores of candidates with these features."""
    weighed = [weight * found[name] for name, weight in _weights().items()]
    return [float(score) for score in np.sum(weighed, axis=0)]


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
    above = np.array([_has(concepts, _folded(one.above)) for one in candidates])
    texts = [_folded(one.text) for one in candidates]
    own = np.array([_has(concepts, text) for text in texts])
    inside = np.maximum(above, own)
    standing = inside.sum(axis=0)
    rarity = np.log(1 + (len(inside) - standing + 0.5) / (standing + 0.5)) * (standing > 0)
    whole = max(rarity.sum(), 1e-6)
    # What stands above a passage belongs to each of its sentences; the rest is looked for in each.
    besides = [
        _best_sentence(concepts, text, rarity * (has > had))
        for text, has, had in zip(texts, own, above, strict=True)
    ]
    return {
        "terms": terms / max(terms.max(), 1e-6),
        "vectors": vectors,
        "coverage": inside @ rarity / whole,
        "sentence": (above @ rarity + np.array(besides)) / whole,
        "document": _of_documents(candidates, terms),
    }


def _of_documents(candidates: Sequence[Candidate], terms: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each candidate the best scores by words in its document together, beside those of the best one."""
    scores: dict[Hashable, list[float]] = {}
    for one, score in zip(candidates, terms, strict=True):
        scores.setdefault(one.document, []).append(float(score))
    sums = {document: sum(sorted(some)[-_TOGETHER:]) for document, some in scores.items()}
    most = max(sums.values(), default=0.0)
    return np.array([sums[one.document] for one in candidates]) / max(most, 1e-6)


def _best_sentence(concepts: Sequence[Concept], text: str, worth: NDArray[np.float64]) -> float:
    """The most that a sentence has of the concepts that are worth something."""
    wanted = [(concept, float(own)) for concept, own in zip(concepts, worth, strict=True) if own]
    if len(wanted) < 2:
        return sum(value for _, value in wanted)
    return max(
        sum(value for concept, value in wanted if _is_in(concept, sentence)) for sentence in _END.split(text)
    )


def _folded(text: str) -> str:
    """As `hangul.fold`, but accents stay: those take most of its time, and there are hundreds of texts."""
    return unicodedata.normalize("NFKC", text).casefold()


def _has(concepts: Sequence[Concept], text: str) -> list[float]:
    return [float(_is_in(concept, text)) for concept in concepts]


def _is_in(concept: Concept, text: str) -> bool:
    return any(_stands(word, text) for word in concept)


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
