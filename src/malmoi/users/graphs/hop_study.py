"""What drawing the hops is worth: one kind of model at several depths, fixed and sampled, by the same seeds.

Where a model with drawn hops can answer in several ways, each is run, and the one with the higher mean
validation accuracy stands for the depth; test accuracy chooses nothing.

The difference is paired by seed: sampled - fixed in points of test accuracy, with the 95 % interval of
Student's t over the seeds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from malmoi.core.errors import InvalidInput
from malmoi.core.stage import Progress, SilentProgress
from malmoi.core.store import Store
from malmoi.factory.ablate.compare import Verdict, compare
from malmoi.users.graphs.graph import Graph
from malmoi.users.graphs.hop_modes import HopInference
from malmoi.users.graphs.kinds import NodeSettings
from malmoi.users.graphs.runs import SeedRuns, run_seeds


@dataclass(frozen=True)
class HopRow:
    """One depth.

    Attributes:
        depth: K.
        fixed: runs with K hops at every step.
        sampled: runs with a drawn number of hops.
        difference: mean of sampled - fixed over the seeds, in points of accuracy.
        interval: of the difference, 95 %; None for one seed.
        verdict: whether sampling is better, worse or inside the noise.
        rejected: other ways to answer, which validated worse.
    """

    depth: int
    fixed: SeedRuns
    sampled: SeedRuns
    difference: float
    interval: tuple[float, float] | None
    verdict: Verdict
    rejected: tuple[SeedRuns, ...] = ()

    @property
    def inference(self) -> str:
        """How the model with drawn hops answers; empty where there is one way only."""
        return str(getattr(self.sampled.settings, "inference", ""))

    def to_json(self) -> dict[str, Any]:
        """The figures as JSON values."""
        return {
            "depth": self.depth,
            "fixed": {"mean": self.fixed.mean, "sd": self.fixed.spread, "seeds": self.fixed.accuracies},
            "sampled": {
                "mean": self.sampled.mean, "sd": self.sampled.spread, "seeds": self.sampled.accuracies
            },
            "difference": self.difference,
            "interval": self.interval,
            "verdict": self.verdict,
            "inference": self.inference,
            "rejected": [
                {"settings": runs.settings.model_dump(), "mean": runs.mean, "sd": runs.spread,
                 "validation": runs.validation}
                for runs in self.rejected
            ],
        }  # fmt: skip


def run_hop_study(
    kind: str,
    build: Callable[[Mapping[str, Any]], NodeSettings],
    graph: Graph,
    *,
    depths: Sequence[int],
    seeds: Sequence[int],
    store: Store,
    progress: Progress | None = None,
) -> list[HopRow]:
    """Run the grid of depths by {fixed, sampled}; finished seeds are not run again.

    Args:
        kind: a name in `kinds.KINDS`.
        build: settings with these fields changed.
        graph: to learn.
        depths: each K.
        seeds: the same for every cell.
        store: keeps what is done.
        progress: shows each seed.

    Raises:
        InvalidInput: there is no depth.
    """
    if not depths:
        raise InvalidInput("a study of hops needs depths.", field="depths", fix="Give some, such as 2,8,32.")
    progress = progress or SilentProgress()
    rows = []
    for depth in depths:
        progress.note(f"{kind}, K = {depth}")
        fixed, *sampled = (
            run_seeds(kind, build(cell), graph, seeds=seeds, store=store, progress=progress)
            for cell in ({"depth": depth, **change} for change in [{"hops": "fixed"}, *_ways(build)])
        )
        sampled.sort(key=lambda runs: -runs.validation)
        row = compare_hops(depth, fixed, sampled[0])
        rows.append(replace(row, rejected=tuple(sampled[1:])))
    return rows


def _ways(build: Callable[[Mapping[str, Any]], NodeSettings]) -> list[dict[str, Any]]:
    """The settings of every way in which a model with drawn hops can answer."""
    base = build({"hops": "sampled"})
    if "inference" not in type(base).model_fields or "inference" in base.model_fields_set:
        return [{"hops": "sampled"}]
    return [{"hops": "sampled", "inference": way} for way in get_args(HopInference)]


def compare_hops(depth: int, fixed: SeedRuns, sampled: SeedRuns) -> HopRow:
    """The paired comparison of one depth."""
    values = {
        name: {outcome.seed: 100 * outcome.test_accuracy for outcome in runs.outcomes}
        for name, runs in (("fixed", fixed), ("sampled", sampled))
    }
    found = compare(values, figure="accuracy", baseline="fixed", lower_is_better=False)[1]
    points = fixed.mean / 100  # the comparison gives percent of the baseline's mean
    interval = None
    if found.interval is not None:
        interval = (found.interval[0] * points, found.interval[1] * points)
    return HopRow(depth, fixed, sampled, found.change * points, interval, found.verdict)


def render_hops(rows: Sequence[HopRow]) -> str:
    """The study as a table for the terminal."""
    lines = [f"{'K':>4}  {'fixed':>14}  {'sampled':>14}  {'difference':>10}  {'95 % interval':>16}  verdict"]
    for row in rows:
        spread = f"{row.interval[0]:+.2f} to {row.interval[1]:+.2f}" if row.interval else "-"
        lines.append(
            f"{row.depth:>4}  {row.fixed.mean:6.2f} +- {row.fixed.spread:4.2f}  "
            f"{row.sampled.mean:6.2f} +- {row.sampled.spread:4.2f}  {row.difference:>+10.2f}  {spread:>16}  "
            f"sampled hops: {row.verdict}{f' ({row.inference})' if row.inference else ''}"
        )
    return "\n".join(lines)
