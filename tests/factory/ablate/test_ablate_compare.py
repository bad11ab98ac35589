import pytest

from malmoi.factory.ablate.compare import compare


def rows(values: dict[str, dict[int, float]], lower: bool = True) -> dict[str, object]:
    found = compare(values, figure="bpb", baseline="base", lower_is_better=lower)
    return {row.variant: row for row in found}


def test_the_interval_is_students_for_paired_differences() -> None:
    """Differences -0.1, -0.2, -0.3: mean -0.2, deviation 0.1, so the half width is 4.303 * 0.1 / sqrt(3)."""
    values = {"base": {1: 2.0, 2: 2.0, 3: 2.0}, "new": {1: 1.9, 2: 1.8, 3: 1.7}}
    row = rows(values)["new"]
    assert row.mean == pytest.approx(1.8)
    assert row.spread == pytest.approx(0.1)
    assert row.change == pytest.approx(-10.0)
    half = 4.303 * 0.1 / 3**0.5 / 2.0 * 100
    assert row.interval == pytest.approx((-10.0 - half, -10.0 + half))
    assert row.verdict == "inside the noise"


def test_pairing_removes_what_the_seeds_share() -> None:
    """The seeds differ by more than the variants, but always in the same way."""
    values = {"base": {1: 1.0, 2: 2.0, 3: 3.0}, "new": {1: 0.95, 2: 1.949, 3: 2.951}}
    assert rows(values)["new"].verdict == "better"
    assert rows(values, lower=False)["new"].verdict == "worse"


def test_equal_differences_of_a_few_seeds_are_no_proof() -> None:
    values = {"base": {1: 0.42, 2: 0.44}, "new": {1: 0.41, 2: 0.43}}
    assert rows(values, lower=False)["new"].verdict == "inside the noise"


def test_one_seed_says_nothing_about_noise() -> None:
    row = rows({"base": {1: 1.0}, "new": {1: 0.5}})["new"]
    assert (row.interval, row.verdict, row.change) == (None, "one seed: unknown", -50.0)


def test_the_baseline_is_compared_with_nothing() -> None:
    assert rows({"base": {1: 1.0, 2: 1.1}, "new": {1: 1.0, 2: 1.1}})["base"].verdict == "baseline"
