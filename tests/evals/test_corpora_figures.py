import numpy as np
import pytest

from malmoi.cli.evals.corpora import choose_mixes, parse_mix
from malmoi.core.errors import ConfigError, InvalidInput
from malmoi.evals.corpora.ranks import EVERY, rank_mixes, spearman
from malmoi.evals.corpora.results import (
    Figure,
    Mix,
    Score,
    beside_scores,
    compare_additions,
    figures_of,
    weights_of,
)
from malmoi.factory.ablate.study import StudySettings

SEEDS = (1, 2, 3)


def figure(mean: float, wobble: float = 0.0) -> Figure:
    values = {seed: mean + wobble * (seed - 2) for seed in SEEDS}
    return Figure(mean=mean, spread=wobble, by_seed=values)


def score(mean: float, *, wobble: float = 0.0, items: int = 400, chance: float = 0.5) -> Score:
    half = 1.96 * (mean * (1 - mean) / items + wobble**2 / 3) ** 0.5
    return Score(figure=figure(mean, wobble), chance=chance, items=items, low=mean - half, high=mean + half)


def mix(name: str, weights: dict[str, float], bits: float, accuracy: float, wobble: float = 0.01) -> Mix:
    return Mix(
        name=name,
        weights=weights,
        bits={"news": figure(bits, 0.001), "blog": figure(bits + 1.0, 0.001)},
        scores={"fewshot": {"copa": score(accuracy, wobble=wobble)}},
    )


@pytest.mark.parametrize(
    ("x", "y", "rho"),
    [
        ([1, 2, 3, 4], [10, 20, 30, 99], 1.0),
        ([1, 2, 3, 4], [4, 3, 2, 1], -1.0),
        ([1, 2, 3, 4, 5], [5, 6, 7, 8, 7], 0.8207826816681233),  # the textbook's tied ranks
        ([1, 1, 2, 3], [2, 1, 3, 3], 4 / 4.5),  # ranks 1.5 1.5 3 4 and 2 1 3.5 3.5
    ],
    ids=["rising", "falling", "tie", "two-ties"],
)
def test_rank_correlation_with_ties(x: list[float], y: list[float], rho: float) -> None:
    assert spearman(np.array(x, dtype=float), np.array(y, dtype=float)) == pytest.approx(rho)


def test_a_perfect_order_is_found_and_told_from_noise() -> None:
    falling = [mix(f"m{n}", {"news": 1.0}, 2.0 + 0.1 * n, 0.9 - 0.05 * n) for n in range(8)]
    ranks = {rank.source: rank for rank in rank_mixes(falling, resamples=300)}
    assert set(ranks) == {"news", "blog", EVERY}
    assert ranks[EVERY].rho == pytest.approx(-1.0)
    assert ranks[EVERY].high < -0.6
    assert not ranks[EVERY].is_noise
    rng = np.random.default_rng(5)
    order = rng.permutation(8)
    noise = [mix(f"m{n}", {"news": 1.0}, 2.0 + 0.1 * n, 0.5 + 0.01 * order[n], wobble=0.05) for n in range(8)]
    found = rank_mixes(noise, resamples=300)[0]
    assert found.is_noise
    assert found.low < found.rho < found.high


def test_too_few_mixes_and_equal_scores_have_no_correlation() -> None:
    three = [mix(f"m{n}", {"news": 1.0}, 2.0 + n, 0.5 + 0.1 * n) for n in range(3)]
    assert {rank.note for rank in rank_mixes(three)} == {"needs 4 mixes"}
    same = [mix(f"m{n}", {"news": 1.0}, 2.0 + n, 0.5, wobble=0.0) for n in range(5)]
    assert rank_mixes(same)[0].rho is None
    assert rank_mixes([]) == []


def test_a_score_is_noise_while_its_interval_holds_chance() -> None:
    assert score(0.54, items=400).verdict == "inside the noise"
    assert score(0.60, items=400).verdict == "above chance"
    assert score(0.60, items=400, wobble=0.15).verdict == "inside the noise"  # the seeds differ too much
    assert score(0.40, items=400).verdict == "below chance"


def test_sources_together_are_compared_with_the_best_of_them() -> None:
    mixes = [
        mix("news", {"news": 1.0}, 2.0, 0.52, wobble=0.002),
        mix("blog", {"blog": 1.0}, 2.0, 0.55, wobble=0.002),
        mix("both", {"news": 0.5, "blog": 0.5}, 2.0, 0.65, wobble=0.003),
        mix("odd", {"news": 0.5, "wiki": 0.5}, 2.0, 0.9),  # wiki was never alone
    ]
    (row,) = compare_additions(mixes)
    assert (row.mix, row.best) == ("both", "blog")
    assert row.difference == pytest.approx(0.10)
    # The paired differences are .099, .100, .101: t(2) = 4.303, s = .001.
    assert (row.low, row.high) == pytest.approx(
        (0.10 - 4.303 * 0.001 / 3**0.5, 0.10 + 4.303 * 0.001 / 3**0.5)
    )
    assert row.verdict == "better"


STUDY = StudySettings(
    title="t",
    recipe="r",
    repeat="pretrain",
    seeds=SEEDS,
    baseline="a",
    losses=("pretrain.bits_per_byte.source/news", "pretrain.bits_per_byte.all"),
    scores=(
        "fewshot.tasks.kobest/copa.accuracy",
        "zeroshot.tasks.kobest/copa.accuracy_by_byte",
        "fewshot.mean_accuracy",
    ),
    variants={
        "a": {"pretrain.weights.news": 3, "pretrain.weights.blog": 1, "pretrain.weights.wiki": 0},
        "b": {"pretrain.weights.blog": 2.0},
        "c": {"pretrain.model.depth": 2},
    },
)


def test_sources_tasks_and_shares_are_read_from_the_study() -> None:
    named = figures_of(STUDY)
    assert named.sources == ("news",)
    assert named.stages == {
        "fewshot": {"kobest/copa": "fewshot.tasks.kobest/copa.accuracy"},
        "zeroshot": {"kobest/copa by byte": "zeroshot.tasks.kobest/copa.accuracy_by_byte"},
    }
    assert beside_scores(STUDY)[2:] == (
        "zeroshot.tasks.kobest/copa.chance",
        "zeroshot.tasks.kobest/copa.items",
    )
    assert weights_of(STUDY, "a") == {"news": 0.75, "blog": 0.25}
    with pytest.raises(ConfigError, match=r"variants\.c: it has no weights"):
        weights_of(STUDY, "c")
    with pytest.raises(ConfigError, match="names no source"):
        figures_of(STUDY.model_copy(update={"losses": ("pretrain.bits_per_byte.all",)}))
    with pytest.raises(ConfigError, match="names no task"):
        figures_of(STUDY.model_copy(update={"scores": ()}))


def test_mixes_of_the_command_line_join_or_replace_those_of_the_study() -> None:
    chosen = choose_mixes(STUDY, ["mine=news:1,blog:3", "b=wiki"], "b")
    assert list(chosen.variants) == ["b", "mine"]
    assert weights_of(chosen, "mine") == {"news": 0.25, "blog": 0.75}
    assert weights_of(chosen, "b") == {"wiki": 1.0}
    assert chosen.baseline == "b"
    with pytest.raises(InvalidInput, match="only one mix"):
        choose_mixes(STUDY, [], "b")


@pytest.mark.parametrize(
    "text",
    ["mine", "=a:1", "mine=", "mine=a:x", "mine=a:-1", "mine=a:0", "MINE/..=a:1", "mine=:1", "mine=a:inf"],
)
def test_a_mix_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not a mix"):
        parse_mix(text)
