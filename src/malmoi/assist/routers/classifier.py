"""Texts told apart by examples, with a threshold that is measured on the examples themselves.

The same likeness and the same kernel ridge regression as for skills (`assist/skills/routing`): sentence
vectors and n-grams of characters. The threshold is chosen by leaving each example out in its turn, which for
ridge regression has a closed form: it is where the share of examples that are found and the share of other
texts that are left alone are highest together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from malmoi.assist.skills.routing.index import Demonstration, index_of
from malmoi.core.intervals import wilson

if TYPE_CHECKING:
    from malmoi.assist.skills.routing.index import Embed, Index

_SHORT = 40  # characters; a longer text says itself what it is about
_FOLLOWING = 0.9  # how much less a text counts that is understood only with the one before
_MISSES = 100  # named at the most


@dataclass(frozen=True, slots=True)
class Topic:
    """What a text may be about.

    Attributes:
        name: unique among those of one classifier.
        examples: texts about it; at least two.
        description: of it; may be empty.
    """

    name: str
    examples: tuple[str, ...]
    description: str = ""


@dataclass(frozen=True, slots=True)
class Share:
    """A share with its 95 % interval (Wilson)."""

    count: int
    total: int
    low: float
    high: float

    @classmethod
    def of(cls, count: int, total: int) -> Share:
        """Of so many of so many."""
        low, high = wilson(count, total)
        return cls(count, total, low, high)


@dataclass(frozen=True, slots=True)
class Miss:
    """A text that is not told for what it is, when it is left out.

    Attributes:
        text: the text.
        topic: its own; empty: it is about none.
        taken_for: the likeliest topic that is found for it; empty: none is.
    """

    text: str
    topic: str
    taken_for: str


@dataclass(frozen=True, slots=True)
class Shown:
    """What a classifier does with its own examples, each left out in its turn.

    The threshold is chosen on the same examples, so the shares are a little better than those of new texts.

    Attributes:
        found: examples that are found for what they are.
        left_alone: other texts for which nothing is found.
        topics: examples that are found, by topic.
        misses: those that are not, then other texts for which something is found.
    """

    found: Share
    left_alone: Share
    topics: dict[str, Share]
    misses: tuple[Miss, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """How far a text is above the texts that are about nothing, for one topic.

    Attributes:
        name: of the topic.
        margin: by how much; the threshold compares with it.
        nearest: the example of the topic that is nearest.
        is_found: whether the margin reaches the threshold.
    """

    name: str
    margin: float
    nearest: str
    is_found: bool


class Classifier:
    """Tells what texts are about; `build_classifier` makes it.

    Args:
        index: of the examples.
        threshold: of the margin.
        embed: unit-length vectors of texts.
        shown: what it does with its own examples.
    """

    def __init__(self, index: Index, threshold: float, embed: Embed, shown: Shown) -> None:
        self._index = index
        self._embed = embed
        self.threshold = threshold
        self.shown = shown

    async def find(self, text: str, before: str = "") -> list[Found]:
        """All topics, the likeliest first.

        Args:
            text: what is said.
            before: what was said before it; a short text may be about the topics that are found for that.
        """
        follows = bool(before.strip()) and len(text) <= _SHORT
        texts = [text, *([before, f"{before}\n{text}"] if follows else [])]
        vectors = await self._embed(texts)
        scores = [self._index.score(vector, each) for vector, each in zip(vectors, texts, strict=True)]
        margins = dict(scores[0].skills)
        if follows:
            for name, margin in scores[1].skills.items():
                if margin >= self.threshold:
                    margins[name] = max(margins[name], _FOLLOWING * scores[2].skills[name])
        found = [
            Found(name, margin, self._nearest(name, scores[0].likeness), margin >= self.threshold)
            for name, margin in margins.items()
        ]
        return sorted(found, key=lambda one: (-one.margin, one.name))

    def _nearest(self, name: str, likeness: np.ndarray) -> str:
        rows = [row for row, one in enumerate(self._index.demonstrations) if one.skill == name]
        return self._index.demonstrations[max(rows, key=lambda row: float(likeness[row]))].query


async def build_classifier(
    topics: Sequence[Topic], others: Sequence[str], embed: Embed, *, is_one: bool
) -> Classifier:
    """Learn from examples, and measure on them.

    Args:
        topics: at least one; their examples are about nothing else.
        others: texts that are about none of them; at least one.
        embed: unit-length vectors of texts.
        is_one: a text is about one topic at the most, the likeliest; else about any of them.
    """
    examples = [Demonstration(text, topic.name) for topic in topics for text in topic.examples]
    descriptions = [Demonstration(one.description, one.name) for one in topics if one.description]
    rest = [Demonstration(text) for text in others]
    names = [topic.name for topic in topics]
    index = await index_of([*examples, *rest, *descriptions], names, [], embed)
    left_out = [scores.skills for scores in index.left_out()]
    own = np.array(
        [_own(row, one.skill, is_one=is_one) for row, one in zip(left_out, examples, strict=False)]
    )
    highest = np.array([max(row.values()) for row in left_out[len(examples) : len(examples) + len(rest)]])
    threshold = _threshold(own, highest)
    told = {
        topic.name: Share.of(
            sum(
                bool(margin >= threshold)
                for margin, one in zip(own, examples, strict=True)
                if one.skill == topic.name
            ),
            len(topic.examples),
        )
        for topic in topics
    }
    shown = Shown(
        Share.of(int((own >= threshold).sum()), len(own)),
        Share.of(int((highest < threshold).sum()), len(highest)),
        told,
        _misses([*examples, *rest], left_out, own, threshold),
    )
    return Classifier(index, threshold, embed, shown)


def _own(row: dict[str, float], name: str, *, is_one: bool) -> float:
    """The margin of an example's own topic; one that another topic overtakes is found by no threshold."""
    return row[name] if not is_one or row[name] >= max(row.values()) else -np.inf


def _misses(
    texts: Sequence[Demonstration],
    left_out: Sequence[dict[str, float]],
    own: np.ndarray,
    threshold: float,
) -> tuple[Miss, ...]:
    """Examples that are not found for what they are, and other texts for which something is found.

    Args:
        texts: examples, then other texts.
        left_out: margins of each, by topic, and perhaps of more.
        own: margins of the examples' own topics.
        threshold: of a margin.
    """
    misses: list[Miss] = []
    for number, (one, row) in enumerate(zip(texts, left_out, strict=False)):
        if number < len(own) and own[number] >= threshold:
            continue
        best = max((name for name in row if name != one.skill), key=lambda name: row[name], default="")
        taken_for = best if best and row[best] >= threshold else ""
        if one.skill or taken_for:
            misses.append(Miss(one.query, one.skill, taken_for))
    return tuple(misses[:_MISSES])


def _threshold(own: np.ndarray, others: np.ndarray) -> float:
    """Between two margins, where both shares are highest together; of equal ones the middle."""
    margins = np.unique(np.concatenate([own[np.isfinite(own)], others]))
    steps = [(margins[:-1] + margins[1:]) / 2, margins[:1] - 1e-3, margins[-1:] + 1e-3]
    places = np.sort(np.concatenate(steps))
    values = np.array([(own >= place).mean() + (others < place).mean() for place in places])
    best = np.flatnonzero(values >= values.max() - 1e-12)
    return round(float(places[best[len(best) // 2]]), 4)
