"""Fit the weights of the router on the examples of manifests, each left out in its turn.

Pairs of skills (and single ones) are switched on at random. The examples of these are queries that must find
their operation, each compared with all examples but itself. The examples of skills that are off, and queries
for none (each left out of what it is compared with), are queries for which the best operation is wrong. A
logistic regression is fitted on the best operation of each query by Newton's method with a small penalty;
the threshold is the one that makes the fewest faults, where calling a skill for nothing counts twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from malmoi.assist.skills.loading import LoadedSkill
from malmoi.assist.skills.routing.index import Embed, Index, Label, build_index
from malmoi.assist.skills.routing.weighing import FEATURES, Weights

_PENALTY = 1.0
_ROUNDS = 50
_COST_OF_NOTHING = 2.0  # a skill that is called for nothing, against a query that finds none


@dataclass(frozen=True, slots=True)
class Row:
    """A query and one operation: their likenesses, and whether the operation is what the query is for."""

    features: tuple[float, ...]
    fits: bool
    weight: float = 1.0


async def fit_router(
    skills: Sequence[LoadedSkill], embed: Embed, *, pairs: int = 12, seed: int = 7
) -> Weights:
    """Weights fitted on the examples of some skills.

    Args:
        skills: with examples that name their operation.
        embed: unit-length vectors of texts.
        pairs: how many pairs of skills are switched on.
        seed: of the choice.
    """
    rng = np.random.default_rng(seed)
    sets = [[one] for one in skills]
    for _ in range(pairs):
        chosen = rng.choice(len(skills), size=min(2, len(skills)), replace=False)
        sets.append([skills[int(number)] for number in chosen])
    vectors_of = {
        one.name: await embed([example.query for example in one.skill.manifest.examples]) for one in skills
    }
    rows: list[Row] = []
    for on in sets:
        index = await build_index(on, embed)
        rows += _own(index)
        for other in skills:
            if other not in on:
                rows += _foreign(index, other, vectors_of[other.name])
    bias, weights = _logistic(rows)
    fitted = Weights(bias, weights, 0.5, {})
    threshold, faults = _threshold(fitted, rows)
    told = {
        "skills": sorted(one.name for one in skills),
        "rows": len(rows),
        "positive": sum(row.fits for row in rows),
        "faults_at_threshold": round(faults, 4),
        "embedder": "use",
    }
    return Weights(bias, weights, threshold, told)


def _own(index: Index) -> list[Row]:
    """Each example against all the others: its own operation fits, and the best of the others does not."""
    rows: list[Row] = []
    for number, one in enumerate(index.demonstrations):
        if one.skill and not one.operation:
            continue
        found = index.compare(index.vectors[number], one.query, without=number)
        own = Label(one.skill, one.operation)
        if one.skill:
            rows.append(Row(found[own].features, True))
        wrong = [likeness.features for label, likeness in found.items() if label != own]
        if wrong:
            rows.append(Row(max(wrong, key=_rough), False))
    return rows


def _foreign(index: Index, other: LoadedSkill, vectors: NDArray[np.float32]) -> list[Row]:
    """Examples of a skill that is off: nothing fits."""
    rows: list[Row] = []
    for example, vector in zip(other.skill.manifest.examples, vectors, strict=True):
        found = index.compare(vector, example.query)
        rows.append(Row(max((one.features for one in found.values()), key=_rough), False))
    return rows


def _rough(features: tuple[float, ...]) -> float:
    """Which of several wrong operations looks best, before there are weights."""
    return features[0] + features[3] + features[4]


def _logistic(rows: Sequence[Row]) -> tuple[float, dict[str, float]]:
    x = np.array([[1.0, *row.features] for row in rows])
    y = np.array([row.fits for row in rows], dtype=float)
    # Both kinds count the same in sum: how many wrong ones there are is chance.
    weight = np.where(y == 1, 0.5 / max(y.sum(), 1), 0.5 / max((1 - y).sum(), 1)) * len(rows)
    penalty = np.eye(x.shape[1]) * _PENALTY
    penalty[0, 0] = 1e-6
    beta = np.zeros(x.shape[1])
    for _ in range(_ROUNDS):
        p = 1 / (1 + np.exp(-np.clip(x @ beta, -60, 60)))
        gradient = x.T @ (weight * (y - p)) - penalty @ beta
        curve = (x * (weight * p * (1 - p))[:, None]).T @ x + penalty
        step = np.linalg.solve(curve, gradient)
        beta = beta + step
        if np.abs(step).max() < 1e-8:
            break
    return float(beta[0]), {name: float(value) for name, value in zip(FEATURES, beta[1:], strict=True)}


def _threshold(weights: Weights, rows: Sequence[Row]) -> tuple[float, float]:
    """The threshold with the fewest faults, and their share; in the middle of the best ones."""
    scored = [(weights.probability(row.features), row.fits) for row in rows]
    right = [score for score, fits in scored if fits]
    wrong = [score for score, fits in scored if not fits]
    best: list[float] = []
    fewest = float("inf")
    for threshold in np.linspace(0.2, 0.9, 141):
        missed = sum(score < threshold for score in right) / max(len(right), 1)
        called = sum(score >= threshold for score in wrong) / max(len(wrong), 1)
        faults = (missed + _COST_OF_NOTHING * called) / (1 + _COST_OF_NOTHING)
        if faults < fewest - 1e-12:
            best, fewest = [float(threshold)], faults
        elif faults <= fewest + 1e-12:
            best.append(float(threshold))
    return best[len(best) // 2], fewest
