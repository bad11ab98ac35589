import json
from pathlib import Path

import numpy as np
import pytest
from icl_engines import ToyEngine, copy_majority, copy_nearest, know_already, learn_mapping

from malmoi.core.errors import ContextOverflow
from malmoi.core.stage import SilentProgress
from malmoi.engine.base import Engine, Score
from malmoi.evals.harness.ledger import Ledger
from malmoi.evals.icl.datasets import LabelSet
from malmoi.evals.icl.figures import Sensitivity
from malmoi.evals.icl.ledger import ScoreLedger
from malmoi.evals.icl.study import LabelStudy, run_labels
from malmoi.evals.icl.summary import POOLED, build_rows
from malmoi.evals.icl.wording import Wording, build_pair
from malmoi.tasks.base import Example

RIGHT = {"red": "warm", "blue": "cold"}
MINIMAL = Wording(question="")
STUDY = LabelStudy(datasets=("toy",), shots=(9,), methods=("direct",), calibrate=False)


def example(number: int, word: str) -> Example:
    return Example(str(number), f"{word}{number}", ("cold", "warm"), RIGHT[word])


def toy(items: list[Example], pool: list[Example], name: str = "toy") -> LabelSet:
    return LabelSet(name, "Warm or cold?", "CC0-1.0", "test", MINIMAL, tuple(items), tuple(pool))


def mixed() -> LabelSet:
    words = ("red", "blue")
    return toy(
        [example(n, words[n % 2]) for n in range(40)], [example(n, words[n % 2]) for n in range(100, 200)]
    )


def scores_in(path: Path) -> ScoreLedger:
    return ScoreLedger(Ledger(path), model="toy")


async def measure(
    folder: Path, label_set: LabelSet, engine: object, study: LabelStudy = STUDY
) -> dict[str, Sensitivity]:
    """Inference -> figures."""
    assert isinstance(engine, ToyEngine)
    ledger = scores_in(folder / "scores.jsonl")
    choices, skipped = await run_labels(study, [label_set], as_engine(engine), ledger, SilentProgress())
    assert not skipped
    rows = build_rows(study, [label_set], choices, resamples=200)
    return {row.inference: row.figures for row in rows if row.metric == "accuracy"}


def as_engine(engine: object) -> Engine:
    return engine  # type: ignore[return-value]  # it only scores


async def test_who_copies_the_majority_label_steps_up_where_most_are_right(tmp_path: Path) -> None:
    # Items and demonstrations are all red: the majority label is right as soon as more than half are.
    reds = toy([example(n, "red") for n in range(20)], [example(n, "red") for n in range(100, 160)])
    found = (await measure(tmp_path, reds, ToyEngine(copy_majority)))["direct"]
    shares = np.array([0, 2, 5, 7, 9]) / 9  # round(a k) of nine
    analytic = np.polyfit(shares, shares > 0.5, 1)
    assert found.slope.value == pytest.approx(analytic[0])
    assert found.intercept.value == pytest.approx(analytic[1])
    assert found.correct.value == 1.0


async def test_who_copies_the_label_of_the_same_question_has_slope_one(tmp_path: Path) -> None:
    # Every item is a demonstration too; two labels, so what is not right is wrong: y = s.
    both = [example(n, ("red", "blue")[n % 2]) for n in range(10)]
    study = STUDY.model_copy(update={"shots": (10,), "correct": (0, 20, 40, 60, 80, 100)})
    found = (await measure(tmp_path, toy(both, both), ToyEngine(copy_nearest), study))["direct"]
    assert found.slope.value == pytest.approx(1.0)
    assert found.intercept.value == pytest.approx(0.0, abs=1e-12)
    assert found.r2.value == pytest.approx(1.0)


async def test_who_ignores_demonstrations_has_no_slope_and_no_gler(tmp_path: Path) -> None:
    found = (await measure(tmp_path, mixed(), ToyEngine(know_already(RIGHT))))["direct"]
    assert (found.slope.value, found.slope.low, found.slope.high) == pytest.approx((0.0, 0.0, 0.0), abs=1e-12)
    assert found.gler.value is None
    assert found.zero.value == found.correct.value == found.random.value == 1.0


async def test_who_learns_the_mapping_gains_all_and_owes_it_to_right_labels(tmp_path: Path) -> None:
    study = STUDY.model_copy(update={"shots": (16,), "balanced": True, "seeds": tuple(range(1, 31))})
    found = (await measure(tmp_path, mixed(), ToyEngine(learn_mapping), study))["direct"]
    assert found.correct.value == 1.0
    assert found.zero.value == pytest.approx(0.5)
    # Eight of each kind: with every label wrong it learns the mapping the other way round, from .75 on it is
    # right: 0, 0, a half, 1, 1.
    assert found.slope.value == pytest.approx(1.2, abs=0.05)
    assert found.gler.value == pytest.approx(
        1.0, abs=0.15
    )  # random labels are worth nothing: (1 - .5) / (1 - .5)
    assert found.slope.low > 0.5


async def test_calibration_takes_a_planted_bias_away(tmp_path: Path) -> None:
    def biased(read: tuple[list[tuple[str, str]], str, str]) -> float:
        return know_already(RIGHT)(read) * (0.9 if read[2] == "cold" else 0.1)

    study = STUDY.model_copy(update={"calibrate": True})
    found = await measure(tmp_path, mixed(), ToyEngine(biased), study)
    assert found["direct"].correct.value == pytest.approx(0.5)  # always cold
    assert found["direct, calibrated"].correct.value == 1.0


async def test_the_channel_is_bayes_without_the_prior(tmp_path: Path) -> None:
    # P(x, y): blue is mostly warm for lack of cold days; the channel asks which label makes blue likelier.
    joint = {("red", "warm"): 0.60, ("blue", "warm"): 0.20, ("red", "cold"): 0.05, ("blue", "cold"): 0.15}
    words, names = ("red", "blue"), ("warm", "cold")

    def posterior(read: tuple[list[tuple[str, str]], str, str]) -> float:
        word = read[1].rstrip("0123456789")
        return joint.get((word, read[2]), 0.5) / sum(joint.get((word, name), 0.5) for name in names)

    def likelihood(read: tuple[list[tuple[str, str]], str, str]) -> float:
        word = read[1].rstrip("0123456789")
        return joint.get((word, read[2]), 0.5) / sum(joint[other, read[2]] for other in words)

    direct = await measure(tmp_path / "direct", mixed(), ToyEngine(posterior))
    study = STUDY.model_copy(update={"methods": ("channel",)})
    channel = await measure(tmp_path / "channel", mixed(), ToyEngine(likelihood, channel=True), study)
    # By Bayes P(x|y) = P(y|x) P(x) / P(y): .8 > .2 given red, and .43 > .25 that cold makes blue.
    assert channel["channel"].correct.value == 1.0
    assert direct["direct"].correct.value == pytest.approx(0.5)  # P(warm | blue) = .57


async def test_a_stopped_study_goes_on_without_asking_again(tmp_path: Path) -> None:
    class Failing(ToyEngine):
        async def score(self, pairs: list[tuple[str, str]]) -> list[Score]:  # type: ignore[override]
            if len(self.pairs) > 500:
                raise RuntimeError("killed")
            return await super().score(pairs)

    first, path = Failing(learn_mapping), tmp_path / "scores.jsonl"
    with pytest.raises(RuntimeError):
        await run_labels(STUDY, [mixed()], as_engine(first), scores_in(path), SilentProgress())
    with path.open("a") as file:
        file.write('{"key": "abc", "logp')  # a crash in the middle of a line
    second = ToyEngine(learn_mapping)
    ledger = scores_in(path)
    choices, _ = await run_labels(STUDY, [mixed()], as_engine(second), ledger, SilentProgress())
    assert not set(first.pairs) & set(second.pairs)
    assert len(set(second.pairs)) == len(second.pairs) == ledger.asked
    straight, _ = await run_labels(
        STUDY,
        [mixed()],
        as_engine(ToyEngine(learn_mapping)),
        scores_in(tmp_path / "n"),
        SilentProgress(),
    )
    assert choices == straight
    third = ToyEngine(learn_mapping)
    await run_labels(STUDY, [mixed()], as_engine(third), scores_in(path), SilentProgress())
    assert third.pairs == []
    await ScoreLedger(Ledger(path), model="another").score(as_engine(third), [second.pairs[0]])
    assert len(third.pairs) == 1  # what one model said is nothing about another


async def test_what_does_not_fit_is_left_out_and_said(tmp_path: Path) -> None:
    class Short(ToyEngine):
        async def score(self, pairs: list[tuple[str, str]]) -> list[Score]:  # type: ignore[override]
            for context, _ in pairs:
                if len(context) > 120:
                    raise ContextOverflow(len(context), 120)
            return await super().score(pairs)

    study = STUDY.model_copy(update={"shots": (2, 16)})
    ledger = scores_in(tmp_path / "scores.jsonl")
    choices, skipped = await run_labels(
        study, [mixed()], as_engine(Short(learn_mapping)), ledger, SilentProgress()
    )
    assert [(lost.dataset, lost.shots) for lost in skipped] == [("toy", 16)]
    rows = build_rows(study, [mixed()], choices, resamples=10)
    assert {row.shots for row in rows} == {2}


async def test_datasets_are_pooled_in_a_row_of_their_own(tmp_path: Path) -> None:
    sets = [mixed(), toy(list(mixed().items[:10]), list(mixed().pool), name="other")]
    ledger = scores_in(tmp_path / "scores.jsonl")
    engine = as_engine(ToyEngine(learn_mapping))
    choices, _ = await run_labels(STUDY, sets, engine, ledger, SilentProgress())
    rows = {
        row.dataset: row for row in build_rows(STUDY, sets, choices, resamples=50) if row.metric == "accuracy"
    }
    assert list(rows) == ["toy", "other", POOLED]
    assert rows[POOLED].items == 50
    slopes = [rows[name].figures.slope.value for name in ("toy", "other")]
    assert rows[POOLED].figures.slope.value == pytest.approx(np.mean(slopes))
    assert json.loads(rows["toy"].model_dump_json())["figures"]["slope"]["value"] == slopes[0]


VERBOSE = Wording(question="", label_prefix="감정:")


@pytest.mark.parametrize(
    ("wording", "method", "pair"),
    [
        (VERBOSE, "direct", ("가\n감정: 긍정\n\n나\n감정:", " 부정")),
        (VERBOSE, "channel", ("감정: 긍정\n가\n\n감정: 부정", "\n나")),
        (MINIMAL, "direct", ("가\n긍정\n\n나", "\n부정")),
        (Wording(question="", joiner=" "), "direct", ("가 긍정\n\n나", " 부정")),
    ],
    ids=["verbose-direct", "verbose-channel", "minimal-direct", "joined-direct"],
)
def test_prompts_are_as_the_wording_says(wording: Wording, method: str, pair: tuple[str, str]) -> None:
    assert build_pair(wording, method, [("가", "긍정")], "나", "부정") == pair  # type: ignore[arg-type]
