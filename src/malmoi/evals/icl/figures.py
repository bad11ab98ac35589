"""The figures of the study: sensitivity, GLER, demonstration gain, with bootstrap intervals.

    y = b0 + b1 s                                   ordinary least squares; sensitivity is b1
    GLER = (y_correct - y_random) / (y_correct - y_zero)
    gain = y_correct - y_zero

y is accuracy or macro-F1 over the items, s the share of demonstrations with the right label. GLER (the
ground-truth label effect ratio) is not defined where demonstrations do not help: y_correct <= y_zero.
After Yoo et al. (EMNLP 2022, arXiv 2205.12685), sections 3.2 and 3.3.

Letters: S seeds, A shares, N items, L labels, R resamples, P points of a regression.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STABLE = 0.95
"""Share of the resamples in which a figure must be defined, so that it gets an interval."""


class Figure(BaseModel):
    """A figure with its 95 % interval over seeds and items; None: not defined."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""


class Sensitivity(BaseModel):
    """All figures of one dataset (or of several together) at one number of demonstrations."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    slope: Figure
    """b1: what the right labels are worth; 0: the model does not look at them."""
    intercept: Figure
    """b0: the score where all labels are wrong."""
    r2: Figure
    """Share of the scores' variance that the line explains."""
    zero: Figure
    """Without demonstrations."""
    correct: Figure
    """With right labels."""
    random: Figure
    """With labels drawn uniformly."""
    gain: Figure
    """Right labels above no demonstrations."""
    effect: Figure
    """Right labels above random ones: the numerator of GLER."""
    gler: Figure
    """Share of the gain that is owed to right labels."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What a model chose on one dataset with k demonstrations.

    Attributes:
        gold: (N,) right labels.
        shares: (A,) shares of right labels, ascending.
        chosen: (S, A, N) its choices with those shares.
        uniform: (S, N) its choices with random labels.
        zero: (N,) its choices without demonstrations.
    """

    gold: Ints
    shares: Floats
    chosen: Ints
    uniform: Ints
    zero: Ints


@dataclass(frozen=True, slots=True)
class _Scores:
    """The scores of one dataset in R resamples; the first one is the sample itself."""

    shares: Floats  # (A,)
    weights: Floats  # (S, R) how often each seed was drawn
    chosen: Floats  # (S, A, R)
    uniform: Floats  # (R,)
    zero: Floats  # (R,)
    correct: Floats  # (R,) NaN where no share is 1


def accuracy(chosen: Ints, gold: Ints, weights: Floats) -> Floats:
    """Share of right choices.

    Args:
        chosen: (..., N) choices.
        gold: (N,) right ones.
        weights: (N, R) how often each item counts.

    Returns:
        (..., R).
    """
    scores: Floats = (chosen == gold) @ weights / weights.sum(axis=0)
    return scores


def macro_f1(chosen: Ints, gold: Ints, weights: Floats) -> Floats:
    """Mean F1 of the labels that are right or chosen anywhere; arguments and result as of `accuracy`."""
    labels = np.union1d(np.unique(chosen), gold)
    total = np.zeros((*chosen.shape[:-1], weights.shape[1]))
    present = np.zeros_like(total)
    for label in labels:
        said, true = chosen == label, gold == label
        hits = (said & true) @ weights
        seen = said @ weights + true @ weights  # 2 hits + misses + false alarms
        total += np.divide(2.0 * hits, seen, out=np.zeros_like(total), where=seen > 0)
        present += seen > 0
    return total / present


METRICS = {"accuracy": accuracy, "macro_f1": macro_f1}


def measure_sensitivity(
    datasets: Sequence[Outcomes], *, metric: str = "accuracy", resamples: int = 1000, seed: int = 0
) -> Sensitivity:
    """The figures of one dataset, or of several pooled: points fitted together, scores averaged.

    A resample draws seeds and items with replacement, in each dataset for itself; all conditions share them.

    Args:
        datasets: one or more.
        metric: `accuracy` or `macro_f1`.
        resamples: R.
        seed: of the resampling.
    """
    rng = np.random.default_rng(seed)
    scored = [_score(outcomes, metric, resamples, rng) for outcomes in datasets]
    slope, intercept, r2 = _fit(scored)
    zero, correct, uniform = (
        np.mean([getattr(scores, name) for scores in scored], axis=0)
        for name in ("zero", "correct", "uniform")
    )
    gain, effect = correct - zero, correct - uniform
    gler = np.divide(effect, gain, out=np.full_like(gain, np.nan), where=gain > 1e-12)
    why = "demonstrations do not help" if np.isfinite(gain[0]) else "no condition has all labels right"
    flat = "needs two shares of right labels" if not np.isfinite(slope[0]) else "all scores are the same"
    return Sensitivity(
        slope=_figure(slope, flat),
        intercept=_figure(intercept, flat),
        r2=_figure(r2, flat),
        zero=_figure(zero),
        correct=_figure(correct, why),
        random=_figure(uniform),
        gain=_figure(gain, why),
        effect=_figure(effect, why),
        gler=_figure(gler, why),
    )


def points_of(outcomes: Outcomes, metric: str) -> list[tuple[float, float]]:
    """Share of right labels and score, of each seed and share."""
    scores = METRICS[metric](outcomes.chosen, outcomes.gold, np.ones((len(outcomes.gold), 1)))[..., 0]
    return [
        (float(share), float(score))
        for of_seed in scores
        for share, score in zip(outcomes.shares, of_seed, strict=True)
    ]


def _score(outcomes: Outcomes, metric: str, resamples: int, rng: np.random.Generator) -> _Scores:
    num_seeds, num_items = outcomes.chosen.shape[0], outcomes.chosen.shape[2]
    items = _weights(num_items, resamples, rng)
    seeds = _weights(num_seeds, resamples, rng)
    score = METRICS[metric]
    chosen = score(outcomes.chosen, outcomes.gold, items)  # (S, A, R)
    whole = np.flatnonzero(np.isclose(outcomes.shares, 1.0))
    return _Scores(
        shares=outcomes.shares,
        weights=seeds,
        chosen=chosen,
        uniform=(score(outcomes.uniform, outcomes.gold, items) * seeds).sum(axis=0) / num_seeds,
        zero=score(outcomes.zero, outcomes.gold, items),
        correct=(chosen[:, whole[0]] * seeds).sum(axis=0) / num_seeds
        if whole.size
        else np.full(resamples + 1, np.nan),
    )


def _weights(count: int, resamples: int, rng: np.random.Generator) -> Floats:
    """(count, R + 1): the sample itself, then R draws with replacement."""
    drawn = rng.multinomial(count, np.full(count, 1.0 / count), size=resamples).T
    return np.concatenate([np.ones((count, 1)), drawn], axis=1)


def _fit(scored: Sequence[_Scores]) -> tuple[Floats, Floats, Floats]:
    """b1, b0 and R2 of the line through the points of all datasets: (R,) each."""
    x = np.concatenate([np.tile(scores.shares, scores.chosen.shape[0]) for scores in scored])  # (P,)
    y = np.concatenate([scores.chosen.reshape(-1, scores.chosen.shape[-1]) for scores in scored])  # (P, R)
    w = np.concatenate([np.repeat(scores.weights, len(scores.shares), axis=0) for scores in scored])  # (P, R)
    total = w.sum(axis=0)
    mean_x, mean_y = (x @ w) / total, (y * w).sum(axis=0) / total
    dx, dy = x[:, None] - mean_x, y - mean_y
    sxx, sxy, syy = (w * dx * dx).sum(axis=0), (w * dx * dy).sum(axis=0), (w * dy * dy).sum(axis=0)
    nothing = np.full_like(sxx, np.nan)
    slope = np.divide(sxy, sxx, out=nothing.copy(), where=sxx > 1e-12)
    r2 = np.divide(sxy * sxy, sxx * syy, out=nothing, where=(sxx > 1e-12) & (syy > 1e-12))
    return slope, mean_y - slope * mean_x, r2


def _figure(values: Floats, why: str = "") -> Figure:
    """A figure from its value in the sample (the first) and in the resamples."""
    value, drawn = values[0], values[1:]
    if not np.isfinite(value):
        return Figure(value=None, note=why)
    defined = drawn[np.isfinite(drawn)]
    if not drawn.size or len(defined) < STABLE * len(drawn):
        share = f"{len(defined) / len(drawn):.0%}" if drawn.size else "none"
        return Figure(value=float(value), note=f"unstable: defined in {share} of the resamples")
    low, high = np.quantile(defined, (0.025, 0.975))
    return Figure(value=float(value), low=float(low), high=float(high))
