"""Fitting one question: which members are taken, how they are calibrated, and when the encoder is asked."""

import numpy as np
import pytest

from malmoi.evals.safety.question import FitSettings, Problem, fit_question, fits

scipy_sparse = pytest.importorskip("scipy.sparse")

SETTINGS = FitSettings(folds=3, steps=30)


def problem(size: int = 1500, *, harmless: str | None = "good") -> Problem:
    """N-grams that say a little, and vectors that say more."""
    rng = np.random.default_rng(4)
    gold = (rng.random(size) < 0.4).astype(np.int64)
    signs = (2 * gold - 1)[:, None]
    grams = (signs * 0.5 + rng.normal(0, 1, (size, 6))).astype(np.float32)
    vectors = (signs * 0.8 + rng.normal(0, 1, (size, 6))).astype(np.float32)
    return Problem(
        labels=("good", "bad"),
        harmless=harmless,
        gold=gold,
        fold=rng.integers(-1, 3, size),
        ngrams=scipy_sparse.csr_matrix(grams),
        floor=scipy_sparse.csr_matrix(grams[:, :3]),
        vectors=vectors,
    )


def test_an_encoder_that_helps_is_taken_and_spared_where_n_grams_suffice() -> None:
    steps = []
    fitted = fit_question(problem(), SETTINGS, lambda: steps.append(1))
    assert fitted.members == ("ngrams", "encoder")
    assert len(steps) == fits(True, SETTINGS)
    assert fitted.gate is not None
    assert 0.05 < fitted.gate.skipped < 0.9
    assert all(lost <= 0.01 for name, lost in fitted.gate.lost.items() if name != "macro_f1")
    tried = fitted.tried
    assert fitted.gate.lost["macro_f1"] <= (tried["ngrams + encoder"] - tried["ngrams"]) / 2 + 1e-3
    assert {"mix", "shift", "light_mix", "light_shift", "ngrams", "encoder"} <= set(fitted.tensors)
    again = fit_question(problem(), SETTINGS, lambda: None)
    assert again.gate == fitted.gate
    assert all(np.array_equal(array, again.tensors[name]) for name, array in fitted.tensors.items())


def test_an_encoder_that_does_not_help_enough_is_left_out() -> None:
    fitted = fit_question(problem(), SETTINGS.model_copy(update={"encoder_gain": 1.0}), lambda: None)
    assert fitted.members == ("ngrams",)
    assert fitted.gate is None
    assert "light_mix" not in fitted.tensors


def test_less_that_may_be_lost_spares_less() -> None:
    shares = []
    for most in (0.0, 0.05):
        gate = fit_question(problem(), SETTINGS.model_copy(update={"most_lost": most}), lambda: None).gate
        assert gate is not None
        shares.append(gate.skipped)
    assert shares[0] <= shares[1]
