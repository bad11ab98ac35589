"""Figures, decisions and fits of classifiers against answers that are known."""

import numpy as np
import pytest

from malmoi.evals.safety.decide import find_decision, find_thresholds, measured_point
from malmoi.evals.safety.figures import (
    average_precision,
    describe,
    difference,
    macro_f1,
    precision_curve,
    reliability,
)
from malmoi.evals.safety.perturb import TRICKS, perturb
from malmoi.evals.safety.softmax import balanced_weights, fit_mix, fit_softmax

pytest.importorskip("scipy")


def test_macro_f1_and_average_precision_by_hand() -> None:
    gold = np.array([0, 0, 0, 1, 1])
    chosen = np.array([0, 0, 1, 1, 0])
    assert macro_f1(chosen, gold, 2) == pytest.approx((2 / 3 + 1 / 2) / 2)
    scores = np.array([0.9, 0.8, 0.7, 0.1])
    positive = np.array([True, False, True, False])
    ones = np.ones((1, 4))
    assert average_precision(scores, positive)(ones)[0] == pytest.approx((1 + 2 / 3) / 2)
    # Equal scores share one place: nothing is told apart, so that chance is what is left.
    assert average_precision(np.zeros(4), positive)(ones)[0] == pytest.approx(0.5)
    # A text that is drawn twice counts twice.
    drawn = average_precision(scores, positive)(np.array([[1.0, 1, 2, 0]]))[0]
    assert drawn == pytest.approx((1 + 2 * 3 / 4) / 3)


def test_describe_has_intervals_around_the_figure() -> None:
    rng = np.random.default_rng(0)
    gold = rng.integers(0, 2, 300)
    first = np.clip(0.5 + 0.25 * (1 - 2 * gold) + rng.normal(0, 0.2, 300), 0.01, 0.99)
    chances = np.stack([first, 1 - first], axis=1)
    groups = [str(number // 2) for number in range(300)]
    figures = describe(chances, gold, ("a", "b"), (1.0, 1.0), groups, resamples=200)
    for name in ("macro_f1", "balanced_accuracy", "accuracy", "auprc_a", "auprc_b"):
        value, low, high = figures[name]
        assert low < value < high
        assert 0.8 < value < 1.0
    assert sum(map(sum, figures["confusion"])) == figures["texts"] == 300
    assert figures == describe(chances, gold, ("a", "b"), (1.0, 1.0), groups, resamples=200)
    same = difference(chances.argmax(axis=1), chances.argmax(axis=1), gold, 2, groups)
    assert same == [0.0, 0.0, 0.0]
    better = difference(gold, 1 - gold, gold, 2, groups)
    assert better == [1.0, 1.0, 1.0]


def test_tables_of_reliability_and_precision() -> None:
    scores = np.array([0.05, 0.05, 0.95, 0.95])
    positive = np.array([False, True, True, True])
    rows = reliability(scores, positive)
    assert [(row["score"], row["share"], row["texts"]) for row in rows] == [(0.05, 0.5, 2), (0.95, 1.0, 2)]
    assert precision_curve(scores, positive) == [[0.6667, 1.0], [1.0, 0.75]]


def test_a_rare_label_is_given_its_due() -> None:
    rng = np.random.default_rng(1)
    gold = (rng.random(2000) < 0.05).astype(int)
    logit = np.log(0.05 / 0.95) + np.where(gold, 2.0, 0.0) + rng.normal(0, 1, 2000)
    risk = 1 / (1 + np.exp(-logit))
    chances = np.stack([1 - risk, risk], axis=1)
    factors = find_decision(chances, gold)
    assert factors[1] > 1.2
    tuned = macro_f1((chances * factors).argmax(axis=1), gold, 2)
    assert tuned > macro_f1(chances.argmax(axis=1), gold, 2) + 0.02


def test_thresholds_keep_what_they_state() -> None:
    rng = np.random.default_rng(2)
    risky = rng.random(3000) < 0.4
    risk = np.clip(np.where(risky, 0.7, 0.3) + rng.normal(0, 0.15, 3000), 0, 1)
    thresholds = find_thresholds(risk, risky)
    assert set(thresholds) == {
        "false_positives_0.01",
        "false_positives_0.05",
        "false_positives_0.1",
        "precision_0.9",
        "precision_0.8",
    }
    for name, threshold in thresholds.items():
        point = measured_point(name, ("b",), threshold, risk, risky)
        stated = float(name.rpartition("_")[2])
        if name.startswith("precision"):
            assert point.precision is not None
            assert point.precision >= stated - 1e-4
        else:
            assert stated - 0.002 < point.false_positive_rate <= stated
    nothing = find_thresholds(np.full(50, 0.5), np.arange(50) % 2 == 0)
    assert nothing == {}, "no threshold keeps what cannot be told apart"


def test_regression_finds_the_weights_it_was_made_with() -> None:
    from scipy.sparse import csr_matrix

    rng = np.random.default_rng(3)
    inputs = rng.normal(0, 1, (4000, 3)).astype(np.float32)
    true = np.array([1.5, -1.0, 0.0])
    gold = (rng.random(4000) < 1 / (1 + np.exp(-(inputs @ true + 0.5)))).astype(np.int64)
    even = np.ones(4000)
    kernel, bias = fit_softmax(inputs, gold, 2, strength=10.0, weights=even)
    assert np.allclose(kernel[:, 1] - kernel[:, 0], true, atol=0.15)
    assert bias[1] - bias[0] == pytest.approx(0.5, abs=0.12)
    sparse, _ = fit_softmax(csr_matrix(inputs), gold, 2, strength=10.0, weights=even)
    assert np.allclose(kernel, sparse, atol=1e-2)
    weights = balanced_weights(np.array([0, 0, 0, 1]), 2, 1.0)
    assert weights[3] == pytest.approx(3 * weights[0])


def test_the_mixture_trusts_who_knows_and_is_calibrated() -> None:
    rng = np.random.default_rng(4)
    logit = rng.normal(0, 2, 3000)
    gold = (rng.random(3000) < 1 / (1 + np.exp(-logit))).astype(np.int64)
    loud = 5 * np.stack([np.zeros(3000), logit], axis=1)
    noise = rng.normal(0, 3, (3000, 2))
    mix, shift = fit_mix([loud, noise], gold)
    assert mix[0] == pytest.approx(0.2, abs=0.03), "what is five times too sure is taken back"
    assert mix[1] < 0.03
    assert abs(shift[1] - shift[0]) < 0.15


@pytest.mark.parametrize("trick", list(TRICKS), ids=[name.replace(" ", "_") for name in TRICKS])
def test_tricks_change_texts_and_always_in_the_same_way(trick: str) -> None:
    text = "정말 나쁘다고 말하는 사람들이 거기에 모여서 떠들고 있었다고 하더라"
    assert perturb(text, trick) != text
    assert perturb(text, trick) == perturb(text, trick)
    assert perturb("abc 12", trick) == "abc 12"


def test_a_precision_that_flagging_everything_has_is_no_operating_point() -> None:
    risk = np.linspace(0.99, 0.01, 200)
    assert "precision_0.8" not in find_thresholds(risk, np.arange(200) < 185)
    assert "precision_0.9" not in find_thresholds(risk, np.arange(200) < 185)
    found = find_thresholds(risk, np.arange(200) < 170)
    assert "precision_0.8" not in found
    assert found["precision_0.9"] == pytest.approx(risk[187])


def test_a_precision_that_hardly_a_text_reaches_is_no_operating_point() -> None:
    rng = np.random.default_rng(0)
    risky = rng.random(2000) < 0.5
    risk = rng.random(2000) * 0.9
    lucky = np.flatnonzero(risky)
    risk[lucky[:30]] = 0.95
    assert not {"precision_0.8", "precision_0.9"} & set(find_thresholds(risk, risky))
    risk[lucky[:80]] = 0.95
    assert find_thresholds(risk, risky)["precision_0.9"] <= 0.95
