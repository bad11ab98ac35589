"""How well sources answer a question, before any model reads them.

Each statement of the sources is scored by the words of the question that stand in it (rare ones count more),
by the nearness of its vector, and by how good the search found its source. Words that stand nowhere may be
said in other words, or in another language: the words of the statements that are near as a whole are compared
with them one by one.

The likelihood that the sources answer at all is a logistic function of the best scores, fitted on questions
with and without answers (`words/calibration.toml`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from malmoi.assist.retrieval.matching import (
    Word,
    content_words,
    found_share,
    is_korean,
    names,
    numbers,
    read_words,
)
from malmoi.assist.retrieval.support import Evidence, Span, calibration
from malmoi.core.hangul import fold, is_cjk

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NEIGHBOUR = 0.7  # what a word counts that stands in the statement before or behind
_FOUND = 0.6  # share of a word from which on it counts as standing in a statement
_HANDED = 0.9  # share of its score that a question or a heading gives to the statement behind it
_LEADS = 0.5  # what it keeps
_HEADING = 25  # characters; a longer statement without a full stop is no heading
_NEAREST = 12  # statements whose words are compared with the question's
_WORDS = 160  # of them, at most
_TRANSLATED, _SYNONYM = (0.65, 0.9), (0.75, 0.95)  # cosines of words: from where on they count, and fully


@dataclass(frozen=True, slots=True)
class Relevance:
    """What a question finds in the sources.

    Attributes:
        scores: of each statement of the evidence: what it has of the question, 0 and more, and how good its
            source is (`Source.standing`).
        likelihood: that the sources answer, in [0, 1].
        features: what the likelihood comes from, by name.
        unknown: words of the question that stand nowhere, the weightiest first.
    """

    scores: tuple[float, ...]
    likelihood: float
    features: Mapping[str, float]
    unknown: tuple[str, ...]


async def judge(question: str, evidence: Evidence) -> Relevance:
    """Score the statements of the evidence for a question.

    Raises:
        MalmoiError: what the embedder raises.
    """
    asked = _distinct(content_words(question))
    if not evidence.spans or not asked:
        near = (await evidence.near([question]))[0]
        scores = () if near is None else tuple(float(cosine) for cosine in near)
        return Relevance(scores or (0.0,) * len(evidence.spans), 0.0, {}, ())
    import numpy as np

    near = (await evidence.near([question]))[0]
    found = np.array([[found_share(word, terms) for word in asked] for terms in evidence.terms])  # (N, W)
    standing = (found > _FOUND).sum(axis=0)
    if near is not None:
        await _find_otherwise(asked, found, near, evidence, is_cross=_is_cross(question, evidence))
    weights = np.log1p(len(found) / (standing + 0.5)) * [_worth(word) for word in asked]
    shares = (found @ weights) / weights.sum()
    wide = (_with_neighbours(found, evidence) @ weights) / weights.sum()
    cosines = np.zeros(len(found)) if near is None else near
    best = int(np.argmax(wide + cosines))
    features = {
        "both": float(wide[best] + cosines[best]),
        "cross": float(_is_cross(question, evidence)),
        "names": float(_has_unknown_name(question, evidence)),
        "number": float(_lacks_number(question, evidence, np.argsort(-(wide + cosines))[:3].tolist())),
    }
    unknown = sorted(np.flatnonzero(found.max(axis=0) < 1 - _FOUND), key=lambda place: -weights[place])
    standing_of = np.array([span.source.standing for span in evidence.spans])
    return Relevance(
        _handed_on(wide * 0.5 + shares * 0.5 + cosines + standing_of, evidence),
        _likelihood(features, has_vectors=near is not None),
        features,
        tuple(asked[place].text for place in unknown),
    )


async def _find_otherwise(
    asked: Sequence[Word],
    found: NDArray[np.float64],
    near: NDArray[np.float32],
    evidence: Evidence,
    *,
    is_cross: bool,
) -> None:
    """Credit words that stand nowhere with the nearest word of the statements that are near; in place."""
    import numpy as np

    lost = [
        place
        for place, word in enumerate(asked)
        if found[:, place].max() <= _FOUND and len(word.text) > 1 and not _is_predicate(word)
    ]
    places: dict[str, list[int]] = {}
    for statement in np.argsort(-near)[:_NEAREST]:
        for word in content_words(evidence.spans[int(statement)].text):
            if len(word.text) > 1:
                places.setdefault(word.text, []).append(int(statement))
    candidates = list(places)[:_WORDS]
    if not lost or not candidates:
        return
    likeness = await evidence.likeness(
        [asked[place].text for place in lost], candidates
    )  # (lost, candidates)
    low, high = _TRANSLATED if is_cross else _SYNONYM
    credit = np.clip((likeness - low) / (high - low), 0.0, 1.0)
    for row, place in enumerate(lost):
        for column, candidate in enumerate(candidates):
            if credit[row, column] > 0:
                for statement in places[candidate]:
                    found[statement, place] = max(found[statement, place], credit[row, column])


def _with_neighbours(found: NDArray[np.float64], evidence: Evidence) -> NDArray[np.float64]:
    wide = found.copy()
    for place, span in enumerate(evidence.spans):
        for other in (place - 1, place + 1):
            if 0 <= other < len(found) and evidence.spans[other].source is span.source:
                wide[place] = (found[other] * _NEIGHBOUR).clip(min=wide[place])
    return wide


def _handed_on(scores: NDArray[np.float64], evidence: Evidence) -> tuple[float, ...]:
    """The scores, but questions and headings give theirs to the statement behind them, which answers."""
    kept = [float(score) for score in scores]
    for place, span in enumerate(evidence.spans):
        if not _leads(span):
            continue
        following = place + 1
        if following < len(kept) and evidence.spans[following].source is span.source:
            kept[following] = max(kept[following], _HANDED * kept[place])
        kept[place] *= _LEADS
    return tuple(kept)


def _leads(span: Span) -> bool:
    """Whether a statement only leads to the next: a question, a heading, a line that ends in a colon."""
    text = span.text.rstrip("*_` ")
    return text.endswith(("?", ":")) or (len(text) <= _HEADING and text[-1:].isalnum())


def _distinct(asked: Sequence[Word]) -> list[Word]:
    return list({word.text: word for word in asked}.values())


def _worth(word: Word) -> float:
    if len(word.text) == 1:
        return 0.5
    return 0.5 if _is_predicate(word) else 1.0


def _is_predicate(word: Word) -> bool:
    return is_cjk(word.text) and word.text.endswith(tuple(_kinds()["predicates"]))


def _is_cross(question: str, evidence: Evidence) -> bool:
    """Whether the question is in another language than most of the sources."""
    korean = sum(is_korean(source.text) for source in evidence.sources.values())
    return is_korean(question) != (2 * korean > len(evidence.sources))


def _has_unknown_name(question: str, evidence: Evidence) -> bool:
    said = fold(" ".join(f"{source.title} {source.text}" for source in evidence.sources.values()))
    wanted = names(question)
    if not is_korean(question):
        wanted = frozenset(name for name in wanted if any(char in "._0123456789" for char in name))
    return any(name not in said for name in wanted)


def _lacks_number(question: str, evidence: Evidence, best: Sequence[int]) -> bool:
    """Whether a number is asked for, and none stands in the best statements."""
    if not re.search(_kinds()["number"], question + " ", re.IGNORECASE):
        return False
    return not any(numbers(evidence.spans[int(place)].text) for place in best)


def _likelihood(features: Mapping[str, float], *, has_vectors: bool) -> float:
    weights = calibration()["answerable" if has_vectors else "answerable_words_only"]
    total = weights["bias"] + sum(weights[name] * value for name, value in features.items())
    return round(1 / (1 + math.exp(-total)), 4)


@lru_cache
def _kinds() -> dict[str, Any]:
    import tomllib

    return tomllib.loads(read_words("kinds.toml"))
