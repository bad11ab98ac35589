"""From ranks to what people read: HR@k, NDCG@k and MRR of groups of cases, and comparisons of models.

C cases.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from malmoi.core.intervals import Array, draw_weights, percentiles
from malmoi.users.cases import Cases
from malmoi.users.logs import Logs
from malmoi.users.ranking import Comparison, Ranks, gains, hits


class Figure(BaseModel):
    """A mean over cases with its 95 % interval."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    value: float
    low: float
    high: float


class GroupFigures(BaseModel):
    """Of one model on one group of cases."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    cases: int
    users: int
    hit_rate: Figure
    ndcg: Figure
    mrr: Figure


class ModelFigures(BaseModel):
    """One model: its figures by group; `seconds` is what ranking all cases took."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    kind: str
    artifact: str | None
    seconds: float
    fit_seconds: float | None = None
    groups: dict[str, GroupFigures]


class Compared(BaseModel):
    """NDCG@k of `better` minus that of `worse` on the same cases, drawn by user."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    a: str
    b: str
    difference: float
    low: float
    high: float
    verdict: str


class Results(BaseModel):
    """Of one evaluation."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    logs: str
    split: dict[str, object]
    protocol: str
    k: int
    items: int
    cases: int
    users: int
    seed: int
    models: tuple[ModelFigures, ...]
    comparisons: tuple[Compared, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Groups:
    """Cases that are looked at apart: name -> which, (C,) bool."""

    masks: Mapping[str, NDArray[np.bool_]]


def find_groups(cases: Cases, train: Logs, few: int) -> Groups:
    """All cases, and those with cold users or items, where there are any.

    Args:
        cases: what is asked.
        train: what models were fitted on.
        few: histories of so many events or fewer are short.
    """
    lengths = cases.at - cases.logs.offsets[cases.user]
    active = {user for user, length in zip(train.users, train.lengths, strict=True) if length}
    seen = np.zeros(len(train.items), dtype=bool)
    seen[np.asarray(train.events)] = True
    found = {
        "all": np.ones(len(cases), dtype=bool),
        "new users": np.array([cases.logs.users[user] not in active for user in cases.user], dtype=bool),
        f"histories of at most {few}": lengths <= few,
        "new items": ~seen[cases.truth],
    }
    return Groups({name: mask for name, mask in found.items() if name == "all" or mask.any()})


def measure_all(
    ranks: Sequence[Ranks],
    users: NDArray[np.int64],
    groups: Groups,
    *,
    k: int,
    seed: int,
    resamples: int,
) -> list[dict[str, GroupFigures]]:
    """The figures of every model by group, over the same resamples."""
    found: list[dict[str, GroupFigures]] = [{} for _ in ranks]
    for name, mask in groups.masks.items():
        people = users[mask]
        columns = [
            column for own in ranks for column in (hits(own[mask], k), gains(own[mask], k), 1 / own[mask])
        ]
        values = np.stack(columns, axis=1)  # (cases, 3 x models)
        drawn = _draw_means(values, people, seed, resamples)
        figures = [
            Figure(value=float(value), low=low, high=high)
            for value, (low, high) in zip(values.mean(axis=0), _ends(drawn, values), strict=True)
        ]
        for number, own in enumerate(found):
            hit, gain, reciprocal = figures[3 * number : 3 * number + 3]
            own[name] = GroupFigures(
                cases=int(mask.sum()),
                users=len(np.unique(people)),
                hit_rate=hit,
                ndcg=gain,
                mrr=reciprocal,
            )
    return found


def compare_all(
    names: Sequence[str],
    ranks: Sequence[Ranks],
    users: NDArray[np.int64],
    *,
    k: int,
    seed: int,
    resamples: int,
) -> list[Compared]:
    """Every pair once, in the order of names; the figures are those of `ranking.compare`."""
    pairs = list(combinations(range(len(names)), 2))
    if not pairs:
        return []
    gained = np.stack([gains(own, k) for own in ranks], axis=1)
    better = np.stack([gained[:, a] - gained[:, b] for a, b in pairs], axis=1)
    ends = _ends(_draw_means(better, users, seed, resamples), better)
    found = []
    for (a, b), difference, (low, high) in zip(pairs, better.mean(axis=0), ends, strict=True):
        one = Comparison(float(difference), low, high, len(better), len(np.unique(users)))
        found.append(
            Compared(
                a=names[a], b=names[b], difference=one.difference, low=low, high=high, verdict=one.verdict
            )
        )
    return found


def _draw_means(values: Array, users: NDArray[np.int64], seed: int, resamples: int) -> Array:
    """Means of each column over every resample of users, (resamples, columns)."""
    blocks = draw_weights(len(values), seed=seed, resamples=resamples, groups=users)
    return np.concatenate([weights @ values / weights.sum(axis=1, keepdims=True) for weights in blocks])


def _ends(drawn: Array, values: Array) -> list[tuple[float, float]]:
    """The 95 % interval of each column; all that was seen, where one case draws nothing else."""
    return [
        percentiles(drawn[:, column]) or (float(values[:, column].min()), float(values[:, column].max()))
        for column in range(values.shape[1])
    ]
