"""What queries are compared with: the examples of operations, their descriptions, and queries for none."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from malmoi.assist.skills.loading import LoadedSkill
from malmoi.assist.skills.routing.ngrams import Profile, Rarity, coverage, likeness

Embed: TypeAlias = Callable[[Sequence[str]], Awaitable[NDArray[np.float32]]]


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A query, and what it is for, as a person has shown it.

    Attributes:
        query: as it was written.
        skill: that it is for; empty: none.
        operation: that it is for; empty: any of the skill's.
        arguments: that the operation is called with; None: not said.
    """

    query: str
    skill: str = ""
    operation: str = ""
    arguments: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Label:
    """An operation of a skill."""

    skill: str
    operation: str


@dataclass(frozen=True, slots=True)
class Likeness:
    """How a query and an operation go together.

    Attributes:
        features: in the order of `weighing.FEATURES`.
        nearest: the example that is nearest, by number in the index; None: the operation has none.
    """

    features: tuple[float, ...]
    nearest: int | None


@dataclass(slots=True)
class Index:
    """Texts that queries are compared with; built once for a set of skills."""

    demonstrations: list[Demonstration]
    labels: list[Label]
    rows: dict[Label, list[int]]
    none_rows: list[int]
    vectors: NDArray[np.float32]
    described: NDArray[np.float32]
    rarity: Rarity
    profiles: list[Profile]
    vocabularies: dict[Label, dict[str, float]] = field(default_factory=dict)

    def compare(
        self, vector: NDArray[np.float32], text: str, *, without: int | None = None
    ) -> dict[Label, Likeness]:
        """How a query goes together with each operation.

        Args:
            vector: of the query.
            text: of the query.
            without: the number of an example that is left out, for fitting.
        """
        near = self.vectors @ vector
        profile = self.rarity.profile(text)
        alike = np.array([likeness(profile, one) for one in self.profiles], dtype=np.float32)
        if without is not None:
            near[without], alike[without] = -1.0, 0.0
        none_near = float(near[self.none_rows].max(initial=0.0))
        none_alike = float(alike[self.none_rows].max(initial=0.0))
        described = self.described @ vector
        found: dict[Label, Likeness] = {}
        for number, label in enumerate(self.labels):
            rows = [row for row in self.rows[label] if row != without]
            best = np.sort(near[rows])[::-1] if rows else np.zeros(1, dtype=np.float32)
            letters = float(alike[rows].max()) if rows else 0.0
            nearest = rows[int(np.argmax(near[rows] + alike[rows]))] if rows else None
            found[label] = Likeness(
                (
                    float(best[0]),
                    float(best[:3].mean()),
                    float(described[number]),
                    letters,
                    coverage(profile, self._vocabulary(label, without)),
                    float(best[0]) - none_near,
                    letters - none_alike,
                ),
                nearest,
            )
        return found

    def _vocabulary(self, label: Label, without: int | None) -> Mapping[str, float]:
        if without is None or without not in self.rows[label]:
            if label not in self.vocabularies:
                self.vocabularies[label] = _joined(self.profiles[row] for row in self.rows[label])
            return self.vocabularies[label]
        return _joined(self.profiles[row] for row in self.rows[label] if row != without)


async def build_index(
    skills: Sequence[LoadedSkill], embed: Embed, *, demonstrations: Sequence[Demonstration] = ()
) -> Index:
    """The index of some skills.

    Args:
        skills: all that a query may be for.
        embed: unit-length vectors of texts.
        demonstrations: further examples, also of queries for none; those of other skills are left out.
    """
    labels = [Label(one.name, operation.name) for one in skills for operation in one.operations]
    known = set(labels)
    shown = [
        Demonstration(example.query, one.name, example.operation or "", example.arguments)
        for one in skills
        for example in one.skill.manifest.examples
    ]
    names = {one.name for one in skills}
    shown += [one for one in demonstrations if not one.skill or one.skill in names]
    shown += [Demonstration(text) for text in none_queries()]
    shown = [one for one in shown if not one.operation or Label(one.skill, one.operation) in known]
    rows: dict[Label, list[int]] = {label: [] for label in labels}
    for number, one in enumerate(shown):
        for label in labels:
            if one.skill == label.skill and one.operation in ("", label.operation):
                rows[label].append(number)
    told = [_told(one, operation.name) for one in skills for operation in one.operations]
    texts = [one.query for one in shown]
    vectors = await embed([*texts, *told])
    rarity = Rarity(texts)
    return Index(
        demonstrations=shown,
        labels=labels,
        rows=rows,
        none_rows=[number for number, one in enumerate(shown) if not one.skill],
        vectors=vectors[: len(texts)],
        described=vectors[len(texts) :],
        rarity=rarity,
        profiles=[rarity.profile(text) for text in texts],
    )


def none_queries() -> list[str]:
    """Queries that are for no skill."""
    text = files(__package__).joinpath("none.txt").read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _told(skill: LoadedSkill, operation: str) -> str:
    """What an operation does, in every language that its skill speaks."""
    known = skill.operation(operation)
    people = [f"{text.name}: {text.description}" for text in skill.skill.manifest.people.values()]
    return "\n".join([*known.title.values(), known.description, *people])[:1000]


def _joined(profiles: Iterable[Profile]) -> dict[str, float]:
    vocabulary: dict[str, float] = {}
    for profile in profiles:
        vocabulary.update(profile)
    return vocabulary
