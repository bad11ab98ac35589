import numpy as np
import pytest

from malmoi.core.proportions import clustered_proportion, wilson_proportion


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [
        # Newcombe 1998, table I: the score method without continuity correction.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (10, 10, 0.7225, 1.0),
    ],
    ids=["81", "15", "0", "1", "all"],
)
def test_wilson(count: int, total: int, low: float, high: float) -> None:
    found = wilson_proportion(count, total)
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_no_attempts() -> None:
    found = wilson_proportion(0, 0)
    assert (found.value, found.low, found.high) == (None, 0.0, 1.0)
    with pytest.raises(ValueError, match="3 of 2"):
        wilson_proportion(3, 2)


def test_clusters_of_one_are_about_as_sure_as_wilson() -> None:
    flags = [(int(n % 3 == 0), 1) for n in range(300)]
    loose, wilson = clustered_proportion(flags), wilson_proportion(100, 300)
    assert loose.low == pytest.approx(wilson.low, abs=0.01)
    assert loose.high == pytest.approx(wilson.high, abs=0.01)


def test_clusters_that_end_alike_are_less_sure() -> None:
    clusters = [(7 * (n % 2), 7) for n in range(20)]
    found, wilson = clustered_proportion(clusters), wilson_proportion(70, 140)
    assert found.value == 0.5
    assert found.high - found.low > 2 * (wilson.high - wilson.low)


def test_the_interval_covers_the_truth() -> None:
    random = np.random.default_rng(0)
    hits = 0
    for trial in range(200):
        rates = random.beta(2, 4, 40)  # mean 1/3
        clusters = [(int(random.binomial(5, rate)), 5) for rate in rates]
        found = clustered_proportion(clusters, seed=trial, resamples=300)
        hits += found.low <= 1 / 3 <= found.high
    assert 180 <= hits <= 198


@pytest.mark.parametrize("clusters", [[], [(0, 0)], [(2, 5)], [(0, 3), (0, 4)], [(3, 3), (4, 4)]])
def test_where_the_bootstrap_has_nothing_to_say(clusters: list[tuple[int, int]]) -> None:
    found = clustered_proportion(clusters)
    assert found == wilson_proportion(sum(c for c, _ in clusters), sum(t for _, t in clusters))
