"""Comparing two models: pairs, tests, Holm's adjustment, and the words."""

import math
from pathlib import Path

import numpy as np
import pytest

from eval_rows import choice_items, eval_result, task_result, write_report, written_items
from malmoi.core.errors import InvalidInput
from malmoi.evals.compare import Comparison, compare, compare_reports, difference, holm, mcnemar, unlike
from malmoi.evals.results import ItemResult


def test_mcnemar_equals_the_binomial_test() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(1, 9) == pytest.approx(2 * (1 + 10) / 2**10)
    assert mcnemar(9, 1) == mcnemar(1, 9)
    assert mcnemar(5, 5) == 1.0
    stats = pytest.importorskip("scipy.stats")
    assert mcnemar(700, 800) == pytest.approx(stats.binomtest(700, 1500).pvalue, rel=1e-9)
    assert mcnemar(10, 5000) >= 0.0


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_clear_difference_is_found_and_a_small_one_is_noise() -> None:
    weak, strong = choice_items(500, seed=1, right=0.5), choice_items(500, seed=2, right=0.75)
    found = difference("t", "accuracy", weak, strong)
    assert found.test == "mcnemar"
    assert found.p is not None
    assert found.p < 1e-6
    assert not found.is_noise
    assert found.difference == pytest.approx(found.second - found.first)  # type: ignore[operator]
    assert "second is better by" in found.sentence(("first", "second"))
    near = difference("t", "accuracy", weak, choice_items(500, seed=3, right=0.51))
    assert near.is_noise
    assert "inside the noise" in near.sentence(("first", "second"))


def test_pairing_narrows_the_interval() -> None:
    one = choice_items(400, seed=1, right=0.6)
    other = [
        item.model_copy(update={"grade": 1.0, "answer": item.gold}) if number % 25 == 0 else item
        for number, item in enumerate(one)
    ]
    found = difference("t", "accuracy", one, other)
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low < 0.04  # unpaired it would be about 0.13
    assert found.only_first == 0


@pytest.mark.parametrize("name", ["macro_f1", "accuracy_by_character"])
def test_other_metrics_are_permuted(name: str) -> None:
    weak, strong = choice_items(300, seed=1, right=0.5), choice_items(300, seed=2, right=0.8)
    if name != "macro_f1":
        weak = [item.model_copy(update={"grades": {name: item.grade}}) for item in weak]
        strong = [item.model_copy(update={"grades": {name: item.grade}}) for item in strong]
    found = difference("t", name, weak, strong)
    assert found.test == "permutation"
    assert found.p is not None
    assert found.p < 0.01
    same = difference("t", name, weak, weak)
    assert same.difference == 0
    assert same.p == 1.0
    assert same.is_noise


def test_permutation_and_mcnemar_agree() -> None:
    one, other = choice_items(300, seed=1, right=0.5), choice_items(300, seed=5, right=0.58)
    exact = difference("t", "accuracy", one, other).p
    halves = [[i.model_copy(update={"grade": i.grade * 0.5}) for i in side] for side in (one, other)]
    permuted = difference("t", "accuracy", *halves).p
    assert exact is not None
    assert permuted is not None
    assert permuted == pytest.approx(exact, abs=0.04)


def test_noise_is_rarely_called_real() -> None:
    """Of forty pairs of equal models about two may differ; Holm's adjustment would leave none."""
    called = sum(
        not difference(
            "t", "macro_f1", choice_items(80, seed=s), choice_items(80, seed=100 + s), resamples=200
        ).is_noise
        for s in range(40)
    )
    assert called <= 5


def reports(first: list[ItemResult], second: list[ItemResult], **values: object) -> Comparison:
    metrics = ("accuracy",) if first[0].choices else ("exact_match",)
    tasks = (task_result(first, metrics), task_result(second, metrics).model_copy(update=values))
    results = (eval_result([tasks[0]], model="a"), eval_result([tasks[1]], model="b"))
    return compare(results, (first, second), resamples=200)


def test_only_shared_items_count_and_the_order_does_not() -> None:
    one, other = choice_items(100, seed=1), choice_items(100, seed=2)
    whole = reports(one, other)
    assert reports(one, other[::-1]) == whole
    assert reports(one, other[:60]).differences[0].items == 60


@pytest.mark.parametrize(
    ("key", "value"),
    [("version", 2), ("split", "dev"), ("form", "letters"), ("shots", 5), ("data_sha256", {"f": "c" * 64})],
)
def test_unlike_runs_are_refused_with_the_reason(key: str, value: object) -> None:
    items = choice_items(50)
    task = task_result(items, ("accuracy",))
    assert unlike(task, task) == ""
    assert unlike(task, task.model_copy(update={key: value}))
    with pytest.raises(InvalidInput, match="no task that can be compared"):
        reports(items, items, **{key: value})


def test_two_reports(tmp_path: Path) -> None:
    folders = (
        write_report(tmp_path / "a", seed=1, right=0.5, model="weak"),
        write_report(tmp_path / "b", seed=2, right=0.8, model="strong"),
    )
    found = compare_reports(*folders)
    assert found == compare_reports(*folders)
    assert [one.task for one in found.main()] == ["kobest/boolq", "gsm8k/test"]
    boolq, gsm8k = found.main()
    assert boolq.adjusted is not None
    assert boolq.p is not None
    assert boolq.adjusted >= boolq.p
    assert not boolq.is_noise
    assert gsm8k.difference == 0
    assert gsm8k.is_noise
    told = found.as_json()
    assert told["differences"][0]["inside_the_noise"] is False


def test_a_figure_that_one_model_lacks_is_not_compared() -> None:
    one = written_items(30)
    other = [item.model_copy(update={"answer": "모름"}) for item in one]
    found = difference("t", "pearson", one, other)
    assert found.difference is None
    assert found.is_noise
    assert math.isfinite(found.first or math.nan)
    assert "not defined" in found.sentence(("a", "b"))


def test_lower_is_better_for_some() -> None:
    random = np.random.default_rng(0)

    def coded(bits: float) -> list[ItemResult]:
        return [
            ItemResult(task="t", id=str(n), prompt="", answer="가나다", grade=0.0, logprobs=(-bits - noise,))
            for n, noise in enumerate(random.random(200))
        ]

    found = difference("t", "bits_per_byte", coded(9.0), coded(6.0))
    assert found.difference is not None
    assert found.difference < 0
    assert found.sentence(("first", "second")).startswith("second is better")
