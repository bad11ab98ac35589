"""What queries are compared with: the examples of operations, their descriptions, and queries for none."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from malmoi.assist.skills.loading import LoadedSkill
from malmoi.assist.skills.routing.ngrams import gram_counts, rarity, unit
from malmoi.assist.skills.routing.weighing import Weights, load_weights

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
class Scores:
    """What an index says of one query.

    Attributes:
        skills: by name, how far the skill is above none.
        operations: a score for each; they compare within one skill.
        likeness: of the query with each example.
    """

    skills: dict[str, float]
    operations: dict[Label, float]
    likeness: NDArray[np.float32]


@dataclass(slots=True)
class Index:
    """Examples, and what is learned from them: kernel ridge regression onto skills, none, and operations.

    The kernel is a weighted sum of two likenesses: the cosine of sentence vectors, and that of n-grams
    (Saunders et al. 1998, "Ridge regression learning algorithm in dual variables").
    """

    demonstrations: list[Demonstration]
    labels: list[Label]
    names: list[str]
    weights: Weights
    mean: NDArray[np.float32]
    vectors: NDArray[np.float32]
    letters: NDArray[np.float32]
    rare: NDArray[np.float32]
    inverse: NDArray[np.float64]
    goals: NDArray[np.float64]

    def kernel(self, vector: NDArray[np.float32], text: str) -> NDArray[np.float32]:
        """The likeness of a query with each example."""
        letters = unit(gram_counts([text]) * self.rare)[0]
        sense = np.maximum(self.vectors @ unit((vector - self.mean)[None])[0], 0)
        likeness: NDArray[np.float32] = self.weights.sense * sense + (1 - self.weights.sense) * (
            self.letters @ letters
        )
        return likeness

    def score(self, vector: NDArray[np.float32], text: str) -> Scores:
        """What a query is for."""
        likeness = self.kernel(vector, text)
        return self.told(likeness @ (self.inverse @ self.goals), likeness)

    def left_out(self) -> list[Scores]:
        """For each example, what is said of it when it is not among the examples (in closed form)."""
        solved = self.inverse @ self.goals
        rows = self.goals - solved / np.diag(self.inverse)[:, None]
        nothing = np.zeros(len(self.demonstrations), dtype=np.float32)
        return [self.told(row, nothing) for row in rows]

    def told(self, row: NDArray[np.float64], likeness: NDArray[np.float32]) -> Scores:
        """A row of outputs: skills, none, operations."""
        count = len(self.names)
        skills = {name: float(row[number] - row[count]) for number, name in enumerate(self.names)}
        operations = {label: float(row[count + 1 + number]) for number, label in enumerate(self.labels)}
        return Scores(skills, operations, likeness)


async def build_index(
    skills: Sequence[LoadedSkill],
    embed: Embed,
    *,
    weights: Weights | None = None,
    demonstrations: Sequence[Demonstration] = (),
) -> Index:
    """The index of some skills.

    Args:
        skills: all that a query may be for.
        embed: unit-length vectors of texts.
        weights: of the kernel; None: those that were fitted for the encoder.
        demonstrations: further examples, also of queries for none; those of other skills are left out.
    """
    names = [one.name for one in skills]
    labels = [Label(one.name, operation.name) for one in skills for operation in one.operations]
    known = set(labels)
    shown = [
        Demonstration(example.query, one.name, example.operation or "", example.arguments)
        for one in skills
        for example in one.skill.manifest.examples
    ]
    # What an operation says of itself is an example as well, of the words that it uses.
    shown += [
        Demonstration(title, one.name, operation.name)
        for one in skills
        for operation in one.operations
        for title in dict.fromkeys([*operation.title.values(), operation.description[:300]])
        if title
    ]
    shown += [one for one in demonstrations if not one.skill or one.skill in names]
    shown += [Demonstration(text) for text in none_queries()]
    shown = [one for one in shown if not one.operation or Label(one.skill, one.operation) in known]
    return await index_of(shown, names, labels, embed, weights=weights)


async def index_of(
    shown: list[Demonstration],
    names: list[str],
    labels: list[Label],
    embed: Embed,
    *,
    weights: Weights | None = None,
) -> Index:
    """The index of some examples.

    Args:
        shown: examples; those for none have no name.
        names: what an example may be for.
        labels: what examples may be for within a name; may be empty.
        embed: unit-length vectors of texts.
        weights: of the kernel; None: those that were fitted for the encoder.
    """
    vectors = await embed([one.query for one in shown])
    chosen = weights if weights is not None else load_weights(vectors.shape[1])
    # Of very many examples it takes seconds, in which others are answered.
    return await asyncio.to_thread(_learned, shown, names, labels, vectors, chosen)


def _learned(
    shown: list[Demonstration],
    names: list[str],
    labels: list[Label],
    vectors: NDArray[np.float32],
    weights: Weights,
) -> Index:
    texts = [one.query for one in shown]
    mean = np.zeros_like(vectors[0])
    if weights.centred:
        mean = vectors.mean(axis=0)
        vectors = unit(vectors - mean)
    counts = gram_counts(texts)
    rare = rarity(counts)
    letters = unit(counts * rare)
    kernel = weights.sense * np.maximum(vectors @ vectors.T, 0) + (1 - weights.sense) * (letters @ letters.T)
    goals = np.zeros((len(shown), len(names) + 1 + len(labels)))
    for row, one in enumerate(shown):
        goals[row, names.index(one.skill) if one.skill else len(names)] = 1.0
        if one.operation:
            goals[row, len(names) + 1 + labels.index(Label(one.skill, one.operation))] = 1.0
    inverse = np.asarray(np.linalg.inv(_regular(kernel.astype(np.float64), weights.ridge)), dtype=np.float64)
    return Index(shown, labels, names, weights, mean, vectors, letters, rare, inverse, goals)


def _regular(kernel: NDArray[np.float64], ridge: float) -> NDArray[np.float64]:
    """The kernel with the ridge on its diagonal, and more of it where that does not make it positive.

    Likenesses below zero are taken for none; a kernel of very many examples has negative eigenvalues by that.
    """
    identity = np.eye(len(kernel))
    try:
        np.linalg.cholesky(kernel + ridge / 2 * identity)
    except np.linalg.LinAlgError:
        ridge -= float(np.linalg.eigvalsh(kernel)[0])
    regular: NDArray[np.float64] = kernel + ridge * identity
    return regular


def none_queries() -> list[str]:
    """Queries that are for no skill."""
    text = files(__package__).joinpath("none.txt").read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
