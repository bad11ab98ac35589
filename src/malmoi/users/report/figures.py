"""From ranks to what people read: HR@k, NDCG@k and MRR of groups of cases, and comparisons of models.

C cases.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from malmoi.users.cases import Cases
from malmoi.users.logs import Logs
from malmoi.users.ranking import Ranks, compare, gains, hits, interval


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


def measure(
    ranks: Ranks, users: NDArray[np.int64], groups: Groups, *, k: int, seed: int, resamples: int
) -> dict[str, GroupFigures]:
    """The figures of one model by group."""
    measured = {}
    for name, mask in groups.masks.items():
        own, people = ranks[mask], users[mask]

        def figure(values: NDArray[np.float64], people: NDArray[np.int64] = people) -> Figure:
            low, high = interval(values, users=people, seed=seed, resamples=resamples)
            return Figure(value=float(values.mean()), low=low, high=high)

        measured[name] = GroupFigures(
            cases=int(mask.sum()),
            users=len(np.unique(people)),
            hit_rate=figure(hits(own, k)),
            ndcg=figure(gains(own, k)),
            mrr=figure(1 / own),
        )
    return measured


def compare_all(
    names: Sequence[str],
    ranks: Sequence[Ranks],
    users: NDArray[np.int64],
    *,
    k: int,
    seed: int,
    resamples: int,
) -> list[Compared]:
    """Every pair once, in the order of names."""
    found = []
    for a in range(len(names)):
        for b in range(a + 1, len(names)):
            one = compare(ranks[a], ranks[b], users=users, k=k, seed=seed, resamples=resamples)
            found.append(
                Compared(
                    a=names[a],
                    b=names[b],
                    difference=one.difference,
                    low=one.low,
                    high=one.high,
                    verdict=one.verdict,
                )
            )
    return found
