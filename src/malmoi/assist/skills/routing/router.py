"""Which operation of the switched-on skills a query is for, or none; without a language model.

A query is compared with the examples of every operation and with queries that are for none, by sentence
vectors and by n-grams of characters. Kernel ridge regression on these likenesses says how far each skill is
above none, and how the operations of a skill stand to each other; a skill is chosen if its probability
reaches the threshold. Where no operation has a clear lead, the routing says so (`is_sure`), and whoever has a
language model may ask it. What a person has corrected is one more example, and counts at once.
"""

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from malmoi.assist.skills.loading import LoadedSkill
from malmoi.assist.skills.routing.index import Demonstration, Embed, Index, Label, Scores, build_index
from malmoi.assist.skills.routing.weighing import Weights, load_weights
from malmoi.core.errors import Conflict

_MAX_INDEXES = 16
_SHOWN = 6  # choices in the trace
_SHORT = 40  # characters; a longer query says itself what it is about
_FOLLOWING = 0.9  # how much less a query counts that is understood only with the one before
_NOW = 0.75  # how much of the choice among operations a query has that is understood with the one before
_LONGEST = 2000
_CLEAR = 0.8  # probability of the skill from which a part of a query stands for itself


@dataclass(frozen=True, slots=True)
class Choice:
    """An operation that a query may be for.

    Attributes:
        skill: its skill.
        operation: its name.
        score: the probability that its skill is meant.
        share: that of the skill's operations it is this one.
        nearest: the example of it that is nearest.
    """

    skill: str
    operation: str
    score: float
    share: float
    nearest: str


@dataclass(frozen=True, slots=True)
class Routing:
    """Where a query goes.

    Attributes:
        choice: the operation; None: none.
        threshold: that its score had to reach.
        is_sure: whether the operation has a clear lead over the others of its skill.
        choices: the best ones, best first, for the trace.
        query: the text that was compared; with what was said before where that was needed.
        demonstrations: the nearest examples of each operation of the chosen skill that have arguments,
            nearest first.
    """

    choice: Choice | None
    threshold: float
    choices: tuple[Choice, ...]
    query: str
    demonstrations: tuple[Demonstration, ...] = ()
    is_sure: bool = True

    @property
    def is_clear(self) -> bool:
        """Whether there is an operation, with a lead, of a skill that is meant almost certainly."""
        return self.choice is not None and self.is_sure and self.choice.score >= _CLEAR

    def to_json(self) -> dict[str, Any]:
        """Plain values, for the trace."""
        return {
            "skill": self.choice.skill if self.choice else None,
            "operation": self.choice.operation if self.choice else None,
            "threshold": round(self.threshold, 4),
            "is_sure": self.is_sure,
            "query": self.query,
            "choices": [
                {
                    "skill": one.skill,
                    "operation": one.operation,
                    "score": round(one.score, 4),
                    "share": round(one.share, 4),
                    "nearest": one.nearest,
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
        weights: none: those of this package, for the encoder.
    """

    def __init__(self, embed: Embed, *, weights: Weights | None = None) -> None:
        self._embed = embed
        self._weights = weights
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
        text = query.strip()[:_LONGEST]
        if not skills or not text:
            return Routing(None, load_weights().threshold, (), text)
        index = await self.index(skills, demonstrations)
        threshold = index.weights.threshold
        previous = before[-1] if before else None
        follows = previous is not None and previous.skill in {one.name for one in skills}
        texts = [text]
        if follows and previous is not None and (len(text) <= _SHORT or self._points_back.search(text)):
            texts.append(f"{previous.query.strip()[:_LONGEST]}\n{text}")
        vectors = await self._embed(texts)
        scored = index.score(vectors[0], text)
        number = 0
        if len(texts) > 1 and previous is not None:
            # Only the skill that was just used may be meant by what is understood from before.
            joint = index.score(vectors[1], texts[1])
            margin = joint.skills[previous.skill] * _FOLLOWING
            if margin > max(scored.skills.values()):
                # What was said before tells the skill; which operation, what is said now tells as well.
                operations = {
                    label: _NOW * scored.operations[label] + (1 - _NOW) * value
                    for label, value in joint.operations.items()
                }
                number = 1
                scored = replace(joint, skills={previous.skill: margin}, operations=operations)
        exact = _shown(index, text)
        choices = self._choices(index, scored, exact)
        best = choices[0]
        is_none = exact is not None and not exact.skill
        chosen = best if best.score >= threshold and not is_none else None
        nearest: tuple[Demonstration, ...] = ()
        if chosen is not None:
            labels = [label for label in index.labels if label.skill == chosen.skill]
            shown = (demonstrations_of(index, label, scored.likeness) for label in labels)
            nearest = tuple(one for some in shown for one in some)
        is_sure = best.share >= index.weights.sure
        return Routing(chosen, threshold, choices, texts[number], nearest, is_sure)

    def _choices(self, index: Index, scored: Scores, exact: Demonstration | None) -> tuple[Choice, ...]:
        """The operations of the best skill, and the best of the others; best first."""
        found: list[Choice] = []
        for skill, margin in scored.skills.items():
            labels = [label for label in index.labels if label.skill == skill]
            values = np.array([scored.operations[label] for label in labels])
            shares = np.exp((values - values.max(initial=0.0)) * index.weights.slope)
            shares = shares / max(shares.sum(), 1e-12)
            probability = index.weights.probability(margin)
            for label, share in zip(labels, shares.tolist(), strict=True):
                if exact is not None and exact.operation and exact.skill == skill:
                    share = 1.0 if exact.operation == label.operation else 0.0
                    probability = 1.0
                found.append(Choice(skill, label.operation, probability, share, ""))
        found.sort(key=lambda one: (-one.score, -one.share, one.skill, one.operation))
        return tuple(replace(one, nearest=_nearest(index, one, scored.likeness)) for one in found[:_SHOWN])

    async def index(self, skills: Sequence[LoadedSkill], demonstrations: Sequence[Demonstration]) -> Index:
        """The index of some skills; kept as long as nothing changes."""
        key = (
            tuple(skills),
            tuple((one.query, one.skill, one.operation, repr(one.arguments)) for one in demonstrations),
        )
        if key not in self._indexes:
            self._indexes[key] = await build_index(
                skills, self._embed, weights=self._weights, demonstrations=demonstrations
            )
            while len(self._indexes) > _MAX_INDEXES:
                self._indexes.popitem(last=False)
        self._indexes.move_to_end(key)
        return self._indexes[key]


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


def demonstrations_of(
    index: Index, label: Label, likeness: NDArray[np.float32], most: int = 3
) -> tuple[Demonstration, ...]:
    """The examples of an operation that have arguments, nearest first, and of equals the latest."""
    rows = [
        row
        for row, one in enumerate(index.demonstrations)
        if one.arguments is not None and (one.skill, one.operation) == (label.skill, label.operation)
    ]
    # What people have shown stands behind the skill's own examples: of equals the latest counts.
    nearest = sorted(rows, key=lambda row: (-round(float(likeness[row]), 5), -row))
    return tuple(index.demonstrations[row] for row in nearest[:most])


def _nearest(index: Index, choice: Choice, likeness: NDArray[np.float32]) -> str:
    rows = [
        row
        for row, one in enumerate(index.demonstrations)
        if one.skill == choice.skill and one.operation in ("", choice.operation)
    ]
    return index.demonstrations[max(rows, key=lambda row: likeness[row])].query if rows else ""


def _shown(index: Index, text: str) -> Demonstration | None:
    """What a person has shown for these very words; the latest counts."""
    plain = _plain(text)
    for one in reversed(index.demonstrations):
        if _plain(one.query) == plain:
            return one
    return None


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold().rstrip(".?!~ ")
