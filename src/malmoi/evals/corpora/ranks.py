"""Do mixes that foretell text better learn more from examples? Rank correlation, with its interval.

Spearman's rho between bits per byte and the score over the mixes. -1: the lower the bits, the higher the
score; about 0: perplexity says nothing about in-context learning, as Shin et al. (2022) report.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from malmoi.evals.corpora.results import Figure, Mix

Floats = NDArray[np.float64]

EVERY = "all sources"
"""Name of the mean over the sources."""
FEWEST = 4
"""Mixes that a correlation needs."""
STABLE = 0.95
"""Share of the resamples in which it must be defined."""


class Rank(BaseModel):
    """One correlation; rho None: not defined."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    source: str
    """Whose held-out text the bits are of."""
    stage: str
    task: str
    rho: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""

    @property
    def is_noise(self) -> bool:
        """Whether its interval holds 0, or there is none."""
        return self.low is None or self.high is None or self.low <= 0.0 <= self.high


def spearman(x: Floats, y: Floats) -> float:
    """Spearman's rho; equal values share the mean of their ranks. NaN where all of one side are equal."""
    a, b = (ranks - ranks.mean() for ranks in (_ranks(x), _ranks(y)))
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 0 else float("nan")


def _ranks(values: Floats) -> Floats:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends: Floats = np.cumsum(counts) - (counts - 1) / 2.0
    return ends[places.reshape(-1)]


def rank_mixes(mixes: Sequence[Mix], *, resamples: int = 1000, seed: int = 0) -> list[Rank]:
    """The correlation of every source's bits (and their mean) with every score, over the mixes.

    A resample draws mixes with replacement, and for each of them its seeds.

    Args:
        mixes: at least four for a figure.
        resamples: of the bootstrap.
        seed: of the resampling.
    """
    if not mixes:
        return []
    sources = list(mixes[0].bits)
    bits = {source: _by_seed([mix.bits[source] for mix in mixes]) for source in sources}
    bits[EVERY] = np.mean([bits[source] for source in sources], axis=0)
    rng = np.random.default_rng(seed)
    draws = _draws(len(mixes), next(iter(bits.values())).shape[1], resamples, rng)
    rows = []
    for stage, tasks in mixes[0].scores.items():
        for task in tasks:
            scores = _by_seed([mix.scores[stage][task].figure for mix in mixes])
            for source, values in bits.items():
                rho, low, high, note = _interval(values, scores, draws)
                rows.append(
                    Rank(source=source, stage=stage, task=task, rho=rho, low=low, high=high, note=note)
                )
    return rows


def _by_seed(figures: Sequence[Figure]) -> Floats:
    """(M, S) of M mixes and S seeds."""
    return np.array([list(figure.by_seed.values()) for figure in figures])


def _draws(
    mixes: int, seeds: int, resamples: int, rng: np.random.Generator
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Places of the mixes (M,) and of the seeds of each (M, S)."""
    return [
        (rng.integers(mixes, size=mixes), rng.integers(seeds, size=(mixes, seeds))) for _ in range(resamples)
    ]


def _interval(
    bits: Floats, scores: Floats, draws: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]
) -> tuple[float | None, float | None, float | None, str]:
    if len(bits) < FEWEST:
        return None, None, None, f"needs {FEWEST} mixes"
    rho = spearman(bits.mean(axis=1), scores.mean(axis=1))
    if not np.isfinite(rho):
        return None, None, None, "all mixes are the same"
    found = np.array(
        [
            # A model's bits and score belong together: both are drawn with the same seeds.
            spearman(bits[chosen[:, None], own].mean(axis=1), scores[chosen[:, None], own].mean(axis=1))
            for chosen, own in draws
        ]
    )
    found = found[np.isfinite(found)]
    if len(found) < STABLE * len(draws):
        return rho, None, None, "unstable: not defined in many resamples"
    low, high = np.quantile(found, (0.025, 0.975))
    return rho, float(low), float(high), ""
