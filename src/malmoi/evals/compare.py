"""Two models on the same items: the difference, its interval, and whether it is more than noise.

The items are paired: the same draws of the bootstrap weigh both models, so that what makes an item hard for
both cancels. The test of a difference is McNemar's exact one where every grade is 0 or 1 (1947), and else a
permutation test that swaps the two answers to an item at random. Over several tasks the p-values are adjusted
as Holm does (1979), for among twenty tasks one will differ by chance.

R resamples, N items.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from malmoi.core import intervals
from malmoi.core.errors import InvalidInput
from malmoi.core.intervals import Array, Statistic
from malmoi.evals.metrics import metric
from malmoi.evals.results import EvalResult, ItemResult, TaskResult, read_items, read_result
from malmoi.evals.statistic import Metric

SURE = 0.05
"""A difference whose adjusted p-value is not below this is called noise."""
_PLAIN_RATES = frozenset({"accuracy", "mean", "exact_match", "pass_at_1"})


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric of one task, second model minus first.

    Attributes:
        first: the first model's figure.
        second: the second model's.
        difference: second minus first.
        low: of the 95 % interval of the difference.
        high: the same.
        p: how often so great a difference comes of noise alone; None where that cannot be said.
        adjusted: `p` after Holm's adjustment over the tasks; of main metrics alone.
        test: how `p` was found: `mcnemar` or `permutation`.
        items: how many both models answered.
    """

    task: str
    metric: str
    first: float | None
    second: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    adjusted: float | None
    test: str
    items: int
    only_first: int = 0
    only_second: int = 0
    lower_is_better: bool = False

    @property
    def is_noise(self) -> bool:
        """Whether the difference is no more than noise would make."""
        p = self.p if self.adjusted is None else self.adjusted
        if self.difference is None or p is None or self.low is None or self.high is None:
            return True
        return p >= SURE or self.low <= 0 <= self.high

    def sentence(self, names: tuple[str, str]) -> str:
        """What it comes to, in words."""
        if self.difference is None:
            return "The figure is not defined for both models."
        points = (
            f"{abs(self.difference) * 100:.1f} points" if self._is_share else f"{abs(self.difference):.3g}"
        )
        if self.is_noise:
            reach = "" if self.low is None or self.high is None else f" ({self.span})"
            return f"The difference of {points} is inside the noise{reach}."
        better = (self.difference > 0) != self.lower_is_better
        return f"{names[1] if better else names[0]} is better by {points} ({self.span})."

    @property
    def span(self) -> str:
        """The interval and the p-value, short."""
        assert self.low is not None, "only asked for where there is an interval"
        assert self.high is not None, "only asked for where there is an interval"
        scale, digits = (100, ".1f") if self._is_share else (1, ".3g")
        p = self.p if self.adjusted is None else self.adjusted
        said = "" if p is None else f", p {p:.2g}"
        return f"95 %: {self.low * scale:+{digits}} to {self.high * scale:+{digits}}{said}"

    @property
    def _is_share(self) -> bool:
        values = (self.first, self.second)
        return all(value is not None and -1 <= value <= 1 for value in values)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two results side by side.

    Attributes:
        names: the models.
        differences: of each task its metrics, the main one first.
        left_out: task -> why it cannot be compared.
    """

    names: tuple[str, str]
    suite: str
    differences: tuple[Difference, ...]
    left_out: Mapping[str, str]

    def main(self) -> list[Difference]:
        """The main metric of every task."""
        seen: dict[str, Difference] = {}
        for difference in self.differences:
            seen.setdefault(difference.task, difference)
        return list(seen.values())

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        rows = [asdict(one) | {"inside_the_noise": one.is_noise} for one in self.differences]
        left_out = dict(self.left_out)
        return {"models": self.names, "suite": self.suite, "differences": rows, "left_out": left_out}


def compare_reports(first: Path, second: Path, *, seed: int = 0, resamples: int = 2000) -> Comparison:
    """Compare two folders of results.

    Raises:
        NotFound: one of them holds no results.
        InvalidInput: they have no task in common that can be compared.
    """
    results = (read_result(first), read_result(second))
    items = (list(read_items(first)), list(read_items(second)))
    return compare(results, items, seed=seed, resamples=resamples)


def compare(
    results: tuple[EvalResult, EvalResult],
    items: tuple[Sequence[ItemResult], Sequence[ItemResult]],
    *,
    seed: int = 0,
    resamples: int = 2000,
) -> Comparison:
    """Compare two results with their items; the arguments are those of `compare_reports`."""
    grouped = (_by_task(items[0]), _by_task(items[1]))
    tasks = ({task.name: task for task in results[0].tasks}, {task.name: task for task in results[1].tasks})
    differences: list[Difference] = []
    left_out: dict[str, str] = {}
    for name, task in tasks[0].items():
        other = tasks[1].get(name)
        reason = "only the first model did it" if other is None else unlike(task, other)
        if reason or other is None:
            left_out[name] = reason
            continue
        shared = _paired(grouped[0].get(name, []), grouped[1].get(name, []))
        if len(shared[0]) < 2:
            left_out[name] = "they have fewer than two items in common"
            continue
        names = [figure.name for figure in task.metrics]
        differences += [difference(name, one, *shared, seed=seed, resamples=resamples) for one in names]
    left_out |= {name: "only the second model did it" for name in tasks[1] if name not in tasks[0]}
    if not differences:
        said = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise InvalidInput(
            f"the two results have no task that can be compared. {said}",
            fix="Run both models on one suite with the same protocol.",
        )
    models = (results[0].model_name, results[1].model_name)
    if models[0] == models[1]:
        models = (f"{models[0]} (first)", f"{models[1]} (second)")
    return Comparison(models, results[0].suite, _adjusted(differences), left_out)


def unlike(first: TaskResult, second: TaskResult) -> str:
    """Why two results of a task cannot stand side by side; empty: they can."""
    for field, title in (
        ("version", "versions"),
        ("split", "splits"),
        ("form", "forms"),
        ("shots", "numbers of solved examples"),
    ):
        one, other = getattr(first, field), getattr(second, field)
        if one != other:
            return f"they were run with different {title} ({one} and {other})"
    if first.data_sha256 and second.data_sha256:
        contents = [sorted(task.data_sha256.values()) for task in (first, second)]
        if contents[0] != contents[1]:
            return "their data files differ"
    return ""


def difference(
    task: str,
    name: str,
    first: Sequence[ItemResult],
    second: Sequence[ItemResult],
    *,
    seed: int = 0,
    resamples: int = 2000,
) -> Difference:
    """One metric of two models on the same items, in the same order."""
    one = metric(name, [*first, *second])
    values = (one(first), one(second))
    blank = Difference(task, name, *values, None, None, None, None, None, "", len(first),
                       lower_is_better=one.lower_is_better)  # fmt: skip
    statistics = (one.prepare(first), one.prepare(second))
    if values[0] is None or values[1] is None or statistics[0] is None or statistics[1] is None:
        return blank
    observed = values[1] - values[0]
    groups = [one.cluster(item) for item in first] if one.cluster is not None else None
    drawn = intervals.bootstrap(
        (statistics[0], statistics[1]), len(first), seed=seed, resamples=resamples, groups=groups
    )
    low, high = intervals.percentiles(drawn[1] - drawn[0]) or (None, None)
    known = replace(blank, difference=observed, low=low, high=high)
    if name in _PLAIN_RATES and all(item.grade in (0.0, 1.0) for item in (*first, *second)):
        rights = [[_right(item, name) for item in side] for side in (first, second)]
        wins = [sum(a and not b for a, b in zip(rights[x], rights[1 - x], strict=True)) for x in (0, 1)]
        return replace(known, p=mcnemar(*wins), test="mcnemar", only_first=wins[0], only_second=wins[1])
    p = permutation(one, first, second, observed, seed=seed, resamples=resamples, groups=groups)
    return replace(known, p=p, test="permutation")


def _right(item: ItemResult, name: str) -> bool:
    return (item.grades.get("exact_match", item.grade) if name == "exact_match" else item.grade) >= 1.0


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided p-value: of the items that one model alone has right, half would be the first's."""
    discordant = only_first + only_second
    least = min(only_first, only_second)
    if not discordant:
        return 1.0
    # In logarithms: 2^-n underflows beyond a thousand items.
    logs = [
        math.lgamma(discordant + 1) - math.lgamma(k + 1) - math.lgamma(discordant - k + 1)
        for k in range(least + 1)
    ]
    tail = math.fsum(math.exp(value - discordant * math.log(2)) for value in logs)
    return min(1.0, 2 * tail)


def permutation(
    one: Metric,
    first: Sequence[ItemResult],
    second: Sequence[ItemResult],
    observed: float,
    *,
    seed: int,
    resamples: int,
    groups: Sequence[str] | None = None,
) -> float | None:
    """How often swapping the models' answers at random makes a difference as great as the observed one."""
    both: Statistic | None = one.prepare([*first, *second])
    if both is None:
        return None
    size = len(first)
    names = [str(n) for n in range(size)] if groups is None else list(groups)
    places = np.unique(np.array(names), return_inverse=True)[1].reshape(-1)
    random = np.random.default_rng([seed, size, 1])
    reached = defined = 0
    rows = max(1, min(resamples, intervals.BLOCK // (2 * size)))
    for start in range(0, resamples, rows):
        count = min(rows, resamples - start)
        swapped: Array = random.integers(0, 2, (count, places.max() + 1)).astype(np.float64)[:, places]
        kept = 1.0 - swapped
        found = both(np.hstack([swapped, kept])) - both(np.hstack([kept, swapped]))
        found = found[np.isfinite(found)]
        defined += len(found)
        reached += int((np.abs(found) >= abs(observed) - 1e-12).sum())
    return (reached + 1) / (defined + 1) if defined else None


def holm(values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment: the chance that any of these differences is called real by mistake."""
    adjusted = [0.0] * len(values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(values)), key=lambda at: values[at])):
        highest = max(highest, min(1.0, (len(values) - rank) * values[place]))
        adjusted[place] = highest
    return adjusted


def _adjusted(differences: Sequence[Difference]) -> tuple[Difference, ...]:
    """With Holm's adjustment over the main metrics of the tasks."""
    main: dict[str, int] = {}
    for number, one in enumerate(differences):
        main.setdefault(one.task, number)
    tested = [number for number in main.values() if differences[number].p is not None]
    values = holm([p for number in tested if (p := differences[number].p) is not None])
    known = dict(zip(tested, values, strict=True))
    return tuple(replace(one, adjusted=known.get(number)) for number, one in enumerate(differences))


def _by_task(items: Sequence[ItemResult]) -> dict[str, list[ItemResult]]:
    found: dict[str, list[ItemResult]] = {}
    for item in items:
        found.setdefault(item.task, []).append(item)
    return found


def _paired(
    first: Sequence[ItemResult], second: Sequence[ItemResult]
) -> tuple[list[ItemResult], list[ItemResult]]:
    """The items that both have, in the order of the first."""
    known = {item.id: item for item in second}
    shared = [item for item in first if item.id in known]
    return shared, [known[item.id] for item in shared]
