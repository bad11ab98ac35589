"""The bound from which on the encoder is asked: what it may cost, and what it spares."""

import numpy as np
import pytest
from numpy.typing import NDArray

from malmoi.evals.safety.decide import find_thresholds
from malmoi.evals.safety.gate import find_gate, gated

pytest.importorskip("scipy")

Array = NDArray[np.float64]


def two_models(noise: float, size: int = 3000) -> tuple[Array, Array, NDArray[np.int64]]:
    """Probabilities of a cheap and a dear model that see the same truth, the dear one more clearly."""
    rng = np.random.default_rng(5)
    gold = (rng.random(size) < 0.4).astype(np.int64)
    signs = 2 * gold - 1

    def chances(spread: float) -> Array:
        risk = 1 / (1 + np.exp(-(1.5 * signs + rng.normal(0, spread, size))))
        return np.stack([1 - risk, risk], axis=1)

    return chances(noise), chances(0.7), gold


def test_the_bound_spares_texts_and_costs_no_more_recall_than_allowed() -> None:
    light, full, gold = two_models(1.0)
    gate = find_gate(light, full, gold, 0, 0.01)
    assert 0.2 < gate.skipped < 0.7
    assert gate.skipped == pytest.approx((1 - light[:, 0] < gate.bound).mean())
    risky = gold == 1
    before, chances = 1 - full[:, 0], gated(light, full, 0, gate.bound)
    found = find_thresholds(1 - chances[:, 0], risky)
    for name, threshold in find_thresholds(before, risky).items():
        lost = (before[risky] >= threshold).mean() - (1 - chances[risky, 0] >= found[name]).mean()
        assert lost <= 0.01 + 1e-9
        assert gate.lost[name] == pytest.approx(lost, abs=1e-4)
    assert find_gate(light, full, gold, 0, 0.01) == gate


def test_more_may_be_spared_where_more_may_be_lost() -> None:
    light, full, gold = two_models(1.0)
    shares = [find_gate(light, full, gold, 0, most).skipped for most in (0.0, 0.01, 0.1)]
    assert shares == sorted(shares)
    assert shares[0] < shares[-1]


def test_n_grams_that_know_nothing_spare_nothing() -> None:
    _, full, gold = two_models(1.0)
    blind = np.random.default_rng(0).dirichlet((5, 5), gold.size)
    gate = find_gate(blind, full, gold, 0, 0.01)
    assert gate.skipped <= 0.05
    assert all(lost <= 0.01 for name, lost in gate.lost.items() if name != "macro_f1")


def test_from_the_bound_on_the_full_mixture_speaks() -> None:
    light, full, _ = two_models(1.0, size=50)
    chances = gated(light, full, 0, 0.3)
    asks = 1 - light[:, 0] >= 0.3
    assert np.array_equal(chances[asks], full[asks])
    assert np.array_equal(chances[~asks], light[~asks])
    assert np.array_equal(gated(light, full, 0, 0.0), full)
