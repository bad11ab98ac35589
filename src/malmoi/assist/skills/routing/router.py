"""Which operation of the switched-on skills a query is for, or none; without a language model.

A query is compared with the examples of every operation (sentence vectors, and n-grams of characters), with
what the operation says it does, and with queries that are for none. A small fitted model turns these
likenesses into a probability; the best operation is chosen if its probability reaches the threshold. What a
person has corrected is one more example, and counts at once.
"""

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from malmoi.assist.skills.loading import LoadedSkill
from malmoi.assist.skills.routing.index import Demonstration, Embed, Index, Label, Likeness, build_index
from malmoi.assist.skills.routing.weighing import FEATURES, Weights, load_weights
from malmoi.core.errors import Conflict

_MAX_INDEXES = 32
_SHORT = 40  # characters; a longer query says itself what it is about
_FOLLOWING = 0.9  # how much less a query counts that is understood only with the one before
_LONGEST = 2000


@dataclass(frozen=True, slots=True)
class Choice:
    """An operation that a query may be for.

    Attributes:
        skill: its skill.
        operation: its name.
        score: the probability that it fits.
        nearest: the example that is nearest.
        features: by name, what the score is made of.
    """

    skill: str
    operation: str
    score: float
    nearest: str
    features: dict[str, float]


@dataclass(frozen=True, slots=True)
class Routing:
    """Where a query goes.

    Attributes:
        choice: the operation; None: none.
        threshold: that its score had to reach.
        choices: the best ones, best first, for the trace.
        query: the text that was compared; with what was said before where that was needed.
        demonstrations: the nearest examples of the chosen operation that have arguments, nearest first.
    """

    choice: Choice | None
    threshold: float
    choices: tuple[Choice, ...]
    query: str
    demonstrations: tuple[Demonstration, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values, for the trace."""
        return {
            "skill": self.choice.skill if self.choice else None,
            "operation": self.choice.operation if self.choice else None,
            "threshold": round(self.threshold, 4),
            "query": self.query,
            "choices": [
                {
                    "skill": one.skill,
                    "operation": one.operation,
                    "score": round(one.score, 4),
                    "nearest": one.nearest,
                    "features": {name: round(value, 4) for name, value in one.features.items()},
                }
                for one in self.choices
            ],
        }


@dataclass(frozen=True, slots=True)
class Before:
    """A query that was answered before in the same conversation; `skill` is empty where none was called."""

    query: str
    skill: str = ""
    operation: str = ""


class Router:
    """Routes queries. Safe for concurrent use within one event loop.

    Args:
        embed: unit-length vectors of texts.
        weights: none: those of this package.
    """

    def __init__(self, embed: Embed, *, weights: Weights | None = None) -> None:
        self._embed = embed
        self._weights = weights if weights is not None else load_weights()
        lines = files(__package__).joinpath("back.txt").read_text(encoding="utf-8").splitlines()
        words = "|".join(line for line in lines if line and not line.startswith("#"))
        self._points_back = re.compile(words, re.IGNORECASE)
        self._indexes: OrderedDict[Any, Index] = OrderedDict()

    async def route(
        self,
        query: str,
        skills: Sequence[LoadedSkill],
        *,
        demonstrations: Sequence[Demonstration] = (),
        before: Sequence[Before] = (),
    ) -> Routing:
        """The operation that a query is for.

        Args:
            query: what the person says.
            skills: that are switched on; none: the query is for none.
            demonstrations: what people have shown, for all skills.
            before: earlier queries of the conversation, oldest first.
        """
        threshold = self._weights.threshold
        text = query.strip()[:_LONGEST]
        if not skills or not text:
            return Routing(None, threshold, (), text)
        index = await self.index(skills, demonstrations)
        previous = before[-1] if before else None
        follows = previous is not None and previous.skill in {one.name for one in skills}
        texts = [text]
        if follows and previous is not None and (len(text) <= _SHORT or self._points_back.search(text)):
            texts.append(f"{previous.query.strip()[:_LONGEST]}\n{text}")
        vectors = await self._embed(texts)
        found = [self._score(index, text, vectors[0])]
        if len(texts) > 1 and previous is not None:
            # Only the skill that was just used may be meant by what is understood from before.
            found.append(
                {
                    label: (probability * _FOLLOWING if label.skill == previous.skill else 0.0, likeness)
                    for label, (probability, likeness) in self._score(index, texts[1], vectors[1]).items()
                }
            )
        ranked = sorted(
            (
                (probability, number, label, likeness)
                for number, scored in enumerate(found)
                for label, (probability, likeness) in scored.items()
            ),
            key=lambda one: (-one[0], one[1], one[2].skill, one[2].operation),
        )
        best: dict[Label, tuple[float, int, Likeness]] = {}
        for probability, number, label, likeness in ranked:
            best.setdefault(label, (probability, number, likeness))
        choices = tuple(
            _choice(index, label, probability, likeness)
            for label, (probability, _, likeness) in list(best.items())[:5]
        )
        label, (probability, number, _) = next(iter(best.items()))
        # A query that a person has shown to be for none stays so.
        chosen = choices[0] if probability >= threshold and not _shown_none(index, text) else None
        nearest = _demonstrations(index, label, vectors[number]) if chosen is not None else ()
        return Routing(chosen, threshold, choices, texts[number], nearest)

    async def index(self, skills: Sequence[LoadedSkill], demonstrations: Sequence[Demonstration]) -> Index:
        """The index of some skills; kept as long as nothing changes."""
        key = (
            tuple((one.name, one.skill.manifest.version, id(one)) for one in skills),
            tuple((one.query, one.skill, one.operation, repr(one.arguments)) for one in demonstrations),
        )
        if key not in self._indexes:
            self._indexes[key] = await build_index(skills, self._embed, demonstrations=demonstrations)
            while len(self._indexes) > _MAX_INDEXES:
                self._indexes.popitem(last=False)
        self._indexes.move_to_end(key)
        return self._indexes[key]

    def _score(
        self, index: Index, text: str, vector: NDArray[np.float32]
    ) -> dict[Label, tuple[float, Likeness]]:
        return {
            label: (self._weights.probability(likeness.features), likeness)
            for label, likeness in index.compare(vector, text).items()
        }


def choose_skills(skills: Sequence[LoadedSkill], *, most: int = 2) -> None:
    """Whether skills may be switched on together.

    Raises:
        Conflict: there are too many, or two of one domain.
    """
    if len(skills) > most:
        raise Conflict(f"{len(skills)} skills are switched on; at most {most} work together.")
    domains: dict[str, str] = {}
    for one in skills:
        domain = one.skill.manifest.domain
        if domain in domains:
            raise Conflict(
                f"{domains[domain]!r} and {one.name!r} are both for {domain!r}.",
                fix="Switch one of them off.",
            )
        domains[domain] = one.name


def _choice(index: Index, label: Label, probability: float, likeness: Likeness) -> Choice:
    nearest = index.demonstrations[likeness.nearest].query if likeness.nearest is not None else ""
    features = dict(zip(FEATURES, likeness.features, strict=True))
    return Choice(label.skill, label.operation, probability, nearest, features)


def _shown_none(index: Index, text: str) -> bool:
    plain = " ".join(text.split()).casefold()
    return any(
        " ".join(index.demonstrations[row].query.split()).casefold() == plain for row in index.none_rows
    )


def _demonstrations(
    index: Index, label: Label, vector: NDArray[np.float32], most: int = 3
) -> tuple[Demonstration, ...]:
    rows = [
        row
        for row in index.rows[label]
        if index.demonstrations[row].arguments is not None
        and index.demonstrations[row].operation == label.operation
    ]
    near = sorted(rows, key=lambda row: -float(index.vectors[row] @ vector))
    return tuple(index.demonstrations[row] for row in near[:most])
