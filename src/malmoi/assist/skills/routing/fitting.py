"""Fit the numbers of the router on the examples of manifests, each left out in its turn.

Pairs of skills are switched on at random. Each example of theirs is judged by an index that does not have it
(for ridge regression that has a closed form), and so is each query for none; examples of skills that are off
must find none. By these margins a logistic curve is fitted, in which both kinds count the same in sum, and a
query of a skill that is off half as much: it speaks of something that could well be asked of a skill. The
threshold is the lowest that few queries for none reach. `sure` is the smallest share above which nine of ten
operations are right.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from malmoi.assist.skills.loading import LoadedSkill
from malmoi.assist.skills.routing.index import Embed, Label, build_index
from malmoi.assist.skills.routing.weighing import Weights

_OFF = 0.5
_ROUNDS = 50
_RIGHT = 0.9
_FOR_NOTHING = 0.015  # of the queries for none


async def fit_router(
    skills: Sequence[LoadedSkill],
    embed: Embed,
    *,
    pairs: int = 12,
    seed: int = 7,
    weights: Weights | None = None,
) -> Weights:
    """The slope, the offset and `sure`, with the figures they were fitted on.

    Args:
        skills: with examples that name their operation; at least two.
        embed: unit-length vectors of texts.
        pairs: how many pairs of skills are switched on.
        seed: of the choice.
        weights: of the kernel.
    """
    start = weights if weights is not None else Weights()
    rng = np.random.default_rng(seed)
    margins: dict[str, list[float]] = {"on": [], "none": [], "off": []}
    right_skill: list[bool] = []
    shares: list[tuple[float, bool]] = []
    for _ in range(pairs):
        on = [skills[int(number)] for number in rng.choice(len(skills), size=2, replace=False)]
        index = await build_index(on, embed, weights=start)
        asked = {example.query for one in on for example in one.skill.manifest.examples}
        for one, scores in zip(index.demonstrations, index.left_out(), strict=True):
            best = max(scores.skills, key=lambda name: scores.skills[name])
            if not one.skill:
                margins["none"].append(scores.skills[best])
            elif one.operation and one.query in asked:  # titles and descriptions are no queries
                margins["on"].append(scores.skills[best])
                right_skill.append(best == one.skill)
                shares.append(_share(scores.operations, Label(one.skill, one.operation), start))
        for other in (one for one in skills if one not in on):
            queries = [example.query for example in other.skill.manifest.examples]
            for query, vector in zip(queries, await embed(queries), strict=True):
                margins["off"].append(max(index.score(vector, query).skills.values()))
    slope, offset = _logistic(margins)
    fitted = replace(start, slope=round(slope, 3), offset=round(offset, 3), sure=_sure(shares))
    fitted = replace(fitted, threshold=_threshold(fitted, margins["none"]))

    def called(kind: str) -> float:
        told = [fitted.probability(margin) >= fitted.threshold for margin in margins[kind]]
        return round(sum(told) / max(len(told), 1), 4)

    told = {
        "skills": sorted(one.name for one in skills),
        "called_when_on": called("on"),
        "right_skill": round(sum(right_skill) / len(right_skill), 4),
        "right_operation_of_the_skill": round(sum(right for _, right in shares) / len(shares), 4),
        "called_for_none": called("none"),
        "called_for_a_skill_that_is_off": called("off"),
    }
    return replace(fitted, told=told)


def _threshold(weights: Weights, none: Sequence[float]) -> float:
    """The lowest threshold that a query for none seldom reaches."""
    for threshold in np.linspace(0.25, 0.9, 131):
        reached = sum(weights.probability(margin) >= threshold for margin in none)
        if reached / max(len(none), 1) <= _FOR_NOTHING:
            return round(float(threshold), 3)
    return weights.threshold


def _share(scores: dict[Label, float], right: Label, weights: Weights) -> tuple[float, bool]:
    """The share of the best operation of a skill, and whether it is the right one."""
    labels = [label for label in scores if label.skill == right.skill]
    values = np.array([scores[label] for label in labels])
    powers = np.exp((values - values.max()) * weights.slope)
    best = int(np.argmax(values))
    return float(powers[best] / powers.sum()), labels[best] == right


def _sure(shares: Sequence[tuple[float, bool]]) -> float:
    for threshold in np.linspace(0.2, 0.95, 76):
        above = [right for share, right in shares if share >= threshold]
        if above and sum(above) / len(above) >= _RIGHT:
            return round(float(threshold), 2)
    return 0.95


def _logistic(margins: dict[str, list[float]]) -> tuple[float, float]:
    """Newton's method for a curve of two numbers."""
    x: NDArray[np.float64] = np.array([*margins["on"], *margins["none"], *margins["off"]])
    y = np.array([1.0] * len(margins["on"]) + [0.0] * (len(x) - len(margins["on"])))
    counts = [len(margins[kind]) for kind in ("on", "none", "off")]
    parts = [1.0, 1.0 - _OFF, _OFF]
    weight = np.concatenate([np.full(n, part / max(n, 1)) for n, part in zip(counts, parts, strict=True)])
    design = np.stack([x, np.ones_like(x)], axis=1)
    beta = np.zeros(2)
    for _ in range(_ROUNDS):
        p = 1 / (1 + np.exp(-np.clip(design @ beta, -60, 60)))
        gradient = design.T @ (weight * (y - p)) - 1e-6 * beta
        curve = (design * (weight * p * (1 - p))[:, None]).T @ design + 1e-6 * np.eye(2)
        beta = beta + np.linalg.solve(curve, gradient)
    return float(beta[0]), float(beta[1])
