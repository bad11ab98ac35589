"""Paired comparison of variants over seeds, and whether a difference is more than noise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev
from typing import Literal

Verdict = Literal["better", "worse", "inside the noise", "one seed: unknown", "baseline"]

# Two-sided 95 % points of Student's t for 1 to 30 degrees of freedom (Fisher and Yates 1938, table III).
_T95 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
_T95_LIMIT = 1.960


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure of one variant over all seeds.

    `change` is the mean of the paired differences to the baseline in percent of the baseline's mean, with
    its 95 % interval; None where there is only one seed.
    """

    variant: str
    figure: str
    mean: float
    spread: float
    """Standard deviation over the seeds; 0 for one seed."""
    change: float
    interval: tuple[float, float] | None
    verdict: Verdict


def compare(
    values: Mapping[str, Mapping[int, float]], *, figure: str, baseline: str, lower_is_better: bool
) -> list[Comparison]:
    """Compare variants with the baseline, seed by seed.

    Args:
        values: variant -> seed -> figure; every variant has the baseline's seeds.
        figure: its name.
        baseline: the variant to compare with.
        lower_is_better: whether a smaller figure is the better one.
    """
    reference = values[baseline]
    level = fmean(reference.values())
    rows = []
    for variant, by_seed in values.items():
        seen = [by_seed[seed] for seed in reference]
        differences = [by_seed[seed] - reference[seed] for seed in reference]
        change, interval = _interval(differences)
        depends_on_seed = len({*seen}) > 1 or len({*reference.values()}) > 1
        verdict = (
            _verdict(change, interval, lower_is_better, depends_on_seed)
            if variant != baseline
            else "baseline"
        )
        scale = 100.0 / abs(level) if level else 0.0
        rows.append(
            Comparison(
                variant=variant,
                figure=figure,
                mean=fmean(seen),
                spread=stdev(seen) if len(seen) > 1 else 0.0,
                change=change * scale,
                interval=(interval[0] * scale, interval[1] * scale) if interval else None,
                verdict=verdict,
            )
        )
    return rows


def _interval(differences: Sequence[float]) -> tuple[float, tuple[float, float] | None]:
    mean = fmean(differences)
    if len(differences) < 2:
        return mean, None
    freedom = len(differences) - 1
    t = _T95[freedom - 1] if freedom <= len(_T95) else _T95_LIMIT
    half = t * stdev(differences) / sqrt(len(differences))
    return mean, (mean - half, mean + half)


_NO_SPREAD = 1e-9


def _verdict(
    change: float, interval: tuple[float, float] | None, lower_is_better: bool, depends_on_seed: bool
) -> Verdict:
    if interval is None:
        return "one seed: unknown"
    # Scores are counts of items: where they go with the seed, a few seeds may yet all differ by the same
    # count, which is no sign of precision.
    by_chance = depends_on_seed and interval[1] - interval[0] < _NO_SPREAD
    if interval[0] <= 0.0 <= interval[1] or by_chance:
        return "inside the noise"
    return "better" if (change < 0.0) == lower_is_better else "worse"
