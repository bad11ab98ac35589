"""Agreement against the worked examples of its literature, and against figures done by hand."""

import numpy as np
import pytest

from malmoi.core.agreement import (
    Level,
    Weights,
    alpha_interval,
    annotator_bias,
    krippendorff_alpha,
    weighted_kappa,
)

_ = float("nan")
# Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", section E: 4 observers, 12 units.
FOUR = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
        [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
    ]
)
# The same, section A: 2 observers, 10 units, binary.
BINARY = np.array([[0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]], dtype=float)
# The example of the encyclopedia: 3 observers, 15 units, most ratings missing.
THREE = np.array(
    [
        [_, _, _, _, _, 3, 4, 1, 2, 1, 1, 3, 3, _, 3],
        [1, _, 2, 1, 3, 3, 4, 3, _, _, _, _, _, _, _],
        [_, _, 2, 1, 3, 4, 4, _, 2, 1, 1, 3, 3, _, 4],
    ]
)


@pytest.mark.parametrize(
    ("ratings", "level", "alpha"),
    [
        (FOUR, "nominal", 0.743),
        (FOUR, "ordinal", 0.815),
        (FOUR, "interval", 0.849),
        (BINARY, "nominal", 0.095),
        (BINARY, "interval", 0.095),  # with two values all levels are one
        (THREE, "nominal", 0.691),
        (THREE, "interval", 0.811),
    ],
    ids=[
        "four-nominal",
        "four-ordinal",
        "four-interval",
        "binary",
        "binary-interval",
        "three",
        "three-interval",
    ],
)
def test_published_examples(ratings: np.ndarray, level: Level, alpha: float) -> None:
    assert krippendorff_alpha(ratings, level) == pytest.approx(alpha, abs=0.0005)


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
def test_alpha_by_pairs_one_by_one(level: Level) -> None:
    """The definition, without coincidence tables: mean differences within units and over all values."""
    ratings = np.random.default_rng(3).integers(0, 8, (3, 20)).astype(float)
    ratings[0, 3] = ratings[1, 3] = ratings[2, 9] = np.nan
    units = [[v for v in column if not np.isnan(v)] for column in ratings.T]
    units = [unit for unit in units if len(unit) > 1]
    values = [value for unit in units for value in unit]

    def difference(a: float, b: float) -> float:
        if level == "nominal":
            return float(a != b)
        if level == "interval":
            return (a - b) ** 2
        low, high = min(a, b), max(a, b)
        between = sum(low <= value <= high for value in values)
        return (between - (values.count(low) + values.count(high)) / 2) ** 2 if low != high else 0.0

    observed = sum(
        difference(a, b) / (len(unit) - 1)
        for unit in units
        for i, a in enumerate(unit)
        for j, b in enumerate(unit)
        if i != j
    ) / len(values)
    expected = sum(difference(a, b) for i, a in enumerate(values) for j, b in enumerate(values) if i != j) / (
        len(values) * (len(values) - 1)
    )
    assert krippendorff_alpha(ratings, level) == pytest.approx(1 - observed / expected)


def test_alpha_of_what_has_none() -> None:
    assert krippendorff_alpha(np.full((2, 3), np.nan)) is None
    assert krippendorff_alpha(np.array([[1.0, 2.0, _]])) is None  # nobody to compare with
    assert krippendorff_alpha(np.full((3, 4), 7.0)) is None  # no variation, so nothing by chance
    assert krippendorff_alpha(np.empty((0, 0))) is None


def test_perfect_and_opposite() -> None:
    same = np.array([[0, 1, 2, 3], [0, 1, 2, 3]], dtype=float)
    assert krippendorff_alpha(same) == pytest.approx(1)
    opposite = np.array([[0, 7, 0, 7], [7, 0, 7, 0]], dtype=float)
    found = krippendorff_alpha(opposite, "interval")
    assert found is not None
    assert found < 0


def test_chance_gives_about_zero() -> None:
    noise = np.random.default_rng(0).integers(0, 8, (3, 3000)).astype(float)
    assert krippendorff_alpha(noise) == pytest.approx(0, abs=0.03)


def test_the_interval_holds_the_figure_and_narrows_with_units() -> None:
    random = np.random.default_rng(1)
    truth = random.integers(0, 8, 400).astype(float)
    ratings = np.clip(truth + random.integers(-1, 2, (2, 400)), 0, 7)
    few, many = alpha_interval(ratings[:, :30]), alpha_interval(ratings)
    for found in (few, many):
        assert found.value is not None
        assert found.low is not None
        assert found.high is not None
        assert found.low < found.value < found.high
    assert many.high - many.low < (few.high - few.low) / 2  # type: ignore[operator]
    assert (few.units, many.units) == (30, 400)
    assert alpha_interval(ratings) == many  # the same draws each time


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(7)
    everything = random.integers(0, 8, 20_000).astype(float)
    population = np.clip(everything + random.integers(-2, 3, (2, 20_000)), 0, 7)
    truth = krippendorff_alpha(population)
    assert truth is not None
    hits = 0
    for trial in range(100):
        drawn = population[:, random.integers(0, 20_000, 80)]
        found = alpha_interval(drawn, seed=trial, resamples=200)
        hits += found.low is not None and found.high is not None and found.low <= truth <= found.high
    assert 85 <= hits <= 100


def table(counts: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Two annotators' ratings from a table of how often they gave which pair."""
    pairs = [(i, j) for i, row in enumerate(counts) for j, count in enumerate(row) for _ in range(count)]
    a, b = np.array(pairs, dtype=float).T
    return a, b


@pytest.mark.parametrize(
    ("counts", "weights", "kappa"),
    [
        ([[20, 5], [10, 15]], "none", 0.4),  # the usual example: 0.7 observed, 0.5 expected
        ([[45, 15], [25, 15]], "none", 0.1304),
        ([[25, 35], [5, 35]], "none", 0.2593),
        # Fleiss 1981, table 13.1: psychotic, neurotic, organic.
        ([[75, 1, 4], [5, 4, 1], [0, 0, 10]], "none", 0.676),
        # By hand: one gave 0 0 1 2, the other 0 1 2 2; observed 2/4. All sixteen pairs of a rating of the one
        # with a rating of the other differ by 5 + 5 + 3 + 3 in sum, and by 9 + 9 + 3 + 5 in squares.
        ([[1, 1, 0], [0, 0, 1], [0, 0, 1]], "linear", 1 - (2 / 4) / (16 / 16)),
        ([[1, 1, 0], [0, 0, 1], [0, 0, 1]], "quadratic", 1 - (2 / 4) / (26 / 16)),
    ],
    ids=["usual", "low", "lower", "fleiss", "linear", "quadratic"],
)
def test_kappa(counts: list[list[int]], weights: Weights, kappa: float) -> None:
    assert weighted_kappa(*table(counts), weights) == pytest.approx(kappa, abs=0.0005)


def test_quadratic_kappa_is_the_concordance_of_two_variables() -> None:
    """With quadratic weights kappa equals 2 cov / (var + var + (mean - mean)^2)."""
    random = np.random.default_rng(5)
    a = random.integers(0, 8, 60).astype(float)
    b = np.clip(a + random.integers(-2, 4, 60), 0, 7)
    expected = 2 * np.cov(a, b, bias=True)[0, 1] / (a.var() + b.var() + (a.mean() - b.mean()) ** 2)
    assert weighted_kappa(a, b) == pytest.approx(expected)


def test_kappa_counts_shared_units_only() -> None:
    assert weighted_kappa(np.array([1, 2, _]), np.array([1, 2, 5.0])) == pytest.approx(1)
    assert weighted_kappa(np.array([1, _]), np.array([_, 2])) is None
    assert weighted_kappa(np.array([3.0, 3.0]), np.array([3.0, 3.0])) is None


def test_bias_against_the_others() -> None:
    ratings = np.array([[4, 4, 4, _], [2, 3, 1, 5], [3, 3, 1, _]], dtype=float)
    harsh, mild, third = annotator_bias(ratings)
    assert harsh.mean == pytest.approx(np.mean([4 - 2.5, 4 - 3, 4 - 1]))
    assert mild.mean == pytest.approx(np.mean([2 - 3.5, 3 - 3.5, 1 - 2.5]))
    assert (mild.units, third.units) == (3, 3)  # the fourth unit has one rating only
    assert harsh.low is not None
    assert harsh.low <= harsh.mean <= harsh.high  # type: ignore[operator]


def test_a_known_bias_is_found() -> None:
    random = np.random.default_rng(2)
    truth = random.normal(4, 1, 500)
    ratings = truth + random.normal(0, 0.5, (3, 500)) + np.array([[0.6], [0.0], [-0.6]])
    found = annotator_bias(ratings)
    assert [bias.mean for bias in found] == [pytest.approx(e, abs=0.1) for e in (0.9, 0.0, -0.9)]
    assert all(bias.low < bias.mean < bias.high for bias in found)  # type: ignore[operator]


def test_bias_of_somebody_alone() -> None:
    [found] = annotator_bias(np.array([[1.0, 2.0]]))
    assert (found.mean, found.units) == (None, 0)
