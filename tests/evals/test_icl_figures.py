import numpy as np
import pytest

from malmoi.evals.icl.conditions import Condition, draw_demonstrations, kept
from malmoi.evals.icl.figures import Outcomes, accuracy, macro_f1, measure_sensitivity
from malmoi.tasks.base import Example

SHARES = np.array([0.0, 0.25, 0.5, 0.75, 1.0])


def outcomes(scores: list[list[float]], *, uniform: float, zero: float, items: int = 20) -> Outcomes:
    """Choices of which given shares are right: (seeds, shares)."""
    gold = np.zeros(items, dtype=np.int64)

    def wrong_after(score: float) -> np.ndarray:
        return (np.arange(items) >= round(score * items)).astype(np.int64)

    return Outcomes(
        gold=gold,
        shares=SHARES,
        chosen=np.array([[wrong_after(score) for score in of_seed] for of_seed in scores]),
        uniform=np.array([wrong_after(uniform)] * len(scores)),
        zero=wrong_after(zero),
    )


def test_the_line_of_yoo_et_al_is_found_again() -> None:
    found = measure_sensitivity([outcomes([[0.3, 0.4, 0.5, 0.6, 0.7]], uniform=0.5, zero=0.2)])
    assert found.slope.value == pytest.approx(0.4)
    assert found.intercept.value == pytest.approx(0.3)
    assert found.r2.value == pytest.approx(1.0)
    assert found.gain.value == pytest.approx(0.5)
    assert found.effect.value == pytest.approx(0.2)
    assert found.gler.value == pytest.approx(0.2 / 0.5)


def test_the_line_is_that_of_least_squares_over_all_seeds() -> None:
    scores = [[0.1, 0.3, 0.2, 0.6, 0.5], [0.2, 0.2, 0.5, 0.5, 0.9]]
    found = measure_sensitivity([outcomes(scores, uniform=0.4, zero=0.3)])
    slope, intercept = np.polyfit(np.tile(SHARES, 2), np.array(scores).reshape(-1), 1)
    assert found.slope.value == pytest.approx(slope)
    assert found.intercept.value == pytest.approx(intercept)
    flat = np.array(scores).reshape(-1)
    rest = flat - (intercept + slope * np.tile(SHARES, 2))
    assert found.r2.value == pytest.approx(1 - (rest @ rest) / ((flat - flat.mean()) @ (flat - flat.mean())))
    assert found.slope.low < found.slope.value < found.slope.high


@pytest.mark.parametrize(("right", "zero"), [(0.5, 0.5), (0.4, 0.6)], ids=["no-gain", "loss"])
def test_where_demonstrations_do_not_help_gler_is_not_defined(right: float, zero: float) -> None:
    found = measure_sensitivity([outcomes([[right] * 5] * 2, uniform=0.3, zero=zero)])
    assert found.gler.value is None
    assert "do not help" in found.gler.note
    assert found.gain.value == pytest.approx(right - zero)
    assert found.effect.value == pytest.approx(right - 0.3)
    assert found.slope.value == pytest.approx(0.0)
    assert found.r2.value is None  # nothing varies, so nothing is explained


def test_a_gler_that_is_seldom_defined_has_no_interval() -> None:
    found = measure_sensitivity([outcomes([[0.5, 0.5, 0.5, 0.5, 0.55]], uniform=0.5, zero=0.5)])
    assert found.gler.value == pytest.approx(1.0)
    assert found.gler.low is None
    assert "unstable" in found.gler.note


def test_datasets_are_pooled_by_their_points_and_mean_scores() -> None:
    steep = outcomes([[0.0, 0.25, 0.5, 0.75, 1.0]], uniform=0.5, zero=0.5)
    flat = outcomes([[0.5] * 5], uniform=0.5, zero=0.3)
    found = measure_sensitivity([steep, flat])
    assert found.slope.value == pytest.approx(0.5)
    assert found.correct.value == pytest.approx(0.75)
    assert found.gler.value == pytest.approx((0.75 - 0.5) / (0.75 - 0.4))


def test_the_interval_covers_what_resampling_by_hand_gives() -> None:
    rng = np.random.default_rng(3)
    shape = (4, 5, 60)
    right = rng.random(shape) < (0.3 + 0.4 * SHARES)[None, :, None]
    data = Outcomes(
        gold=np.ones(60, dtype=np.int64),
        shares=SHARES,
        chosen=right.astype(np.int64),
        uniform=(rng.random((4, 60)) < 0.5).astype(np.int64),
        zero=(rng.random(60) < 0.4).astype(np.int64),
    )
    slopes = []
    for _ in range(800):
        seeds, items = rng.integers(4, size=4), rng.integers(60, size=60)
        y = right[seeds][:, :, items].mean(axis=2)
        slopes.append(np.polyfit(np.tile(SHARES, 4), y.reshape(-1), 1)[0])
    found = measure_sensitivity([data]).slope
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(slopes, (0.025, 0.975))), abs=0.02)


def test_macro_f1_is_that_of_a_confusion_by_hand() -> None:
    gold, chosen = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 0, 0])
    once = np.ones((6, 1))
    # class 0: 2 hits of 4 said, 3 true; class 1: 1 of 2 and 2; class 2 is never said.
    assert macro_f1(chosen, gold, once)[0] == pytest.approx((4 / 7 + 2 / 4 + 0.0) / 3)
    assert accuracy(chosen, gold, once)[0] == pytest.approx(0.5)
    twice = np.array([[2.0], [0], [1], [1], [1], [1]])
    again = np.repeat(np.arange(6), [2, 0, 1, 1, 1, 1])
    assert macro_f1(chosen, gold, twice)[0] == pytest.approx(macro_f1(chosen[again], gold[again], once)[0])


POOL = [Example(str(n), f"q{n}", ("a", "b", "c"), "abc"[n % 3 if n < 30 else 0]) for n in range(60)]


@pytest.mark.parametrize(
    ("percent", "k", "right"), [(0, 4, 0), (25, 4, 1), (50, 5, 3), (75, 6, 5), (100, 7, 7)]
)
def test_as_many_labels_are_kept_as_were_asked_for(percent: int, k: int, right: int) -> None:
    drawn = draw_demonstrations(POOL, k, seed=1, name="x", balanced=False)
    labels = drawn.labels(Condition("correct", percent))
    assert kept(percent, k) == right
    same = [e.choices[label] == e.answer for e, label in zip(drawn.examples, labels, strict=True)]
    assert sum(same) == right


def test_conditions_differ_in_no_more_than_they_must() -> None:
    drawn = draw_demonstrations(POOL, 8, seed=4, name="x", balanced=False)
    less, more = (drawn.labels(Condition("correct", percent)) for percent in (75, 25))
    gold = drawn.labels(Condition("correct", 100))
    lost = [place for place in range(8) if less[place] != gold[place]]
    assert all(more[place] == less[place] for place in lost)
    fewer = draw_demonstrations(POOL, 4, seed=4, name="x", balanced=False)
    assert fewer.examples == drawn.examples[:4]
    assert draw_demonstrations(POOL, 8, seed=5, name="x", balanced=False).examples != drawn.examples


def test_random_labels_are_uniform_and_wrong_ones_are_any_of_the_others() -> None:
    uniform, wrong = np.zeros(3), np.zeros(3)
    for seed in range(300):
        drawn = draw_demonstrations(POOL[:3], 3, seed=seed, name="x", balanced=False)
        for example, other, label in zip(drawn.examples, drawn.wrong, drawn.uniform, strict=True):
            assert example.choices[other] != example.answer
            wrong[other] += 1
            uniform[label] += 1
    assert uniform / 900 == pytest.approx([1 / 3] * 3, abs=0.05)
    assert wrong / 900 == pytest.approx([1 / 3] * 3, abs=0.05)


def test_balanced_demonstrations_have_each_label_as_often() -> None:
    drawn = draw_demonstrations(POOL, 6, seed=2, name="x", balanced=True)
    assert sorted(e.answer for e in drawn.examples) == ["a", "a", "b", "b", "c", "c"]
