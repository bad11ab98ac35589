"""The learned scorer: it learns, is calibrated, is the same every time, and survives being saved."""

import random
from pathlib import Path

import numpy as np
import pytest

from malmoi.core.errors import InvalidInput
from malmoi.factory.corpus.documents import Document
from malmoi.factory.corpus.quality import (
    QualityScorer,
    QualitySettings,
    QualityThreshold,
    ScoreQuality,
    bucket,
    features,
    measure,
    train_scorer,
)

GOOD = [
    "낱말",
    "뜻을",
    "풀이하고",
    "보기를",
    "들어",
    "쓰임을",
    "밝힌",
    "글은",
    "배우는",
    "이에게",
    "도움이",
    "된다",
]
BAD = [
    "지금",
    "바로",
    "클릭",
    "최저가",
    "특가",
    "이벤트",
    "대박",
    "쿠폰",
    "무료",
    "상담",
    "전화",
    "주세요",
    "선착순",
]
SMALL = QualitySettings(bits=14, epochs=3)


def texts(words: list[str], others: list[str], count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return [
        " ".join(rng.choice(words if rng.random() < 0.8 else others) for _ in range(20)) for _ in range(count)
    ]


@pytest.fixture(scope="module")
def scorer() -> QualityScorer:
    return train_scorer(texts(GOOD, BAD, 300, 1), texts(BAD, GOOD, 150, 2), seed=3, settings=SMALL)


def test_it_learns_and_says_how_well(scorer: QualityScorer) -> None:
    assert scorer.report.accuracy >= 0.95
    assert scorer.report.auc >= 0.98
    assert scorer.report.calibration_error <= 0.15
    assert (scorer.report.good, scorer.report.bad, scorer.report.measured) == (300, 150, 45)
    assert scorer.score(" ".join(GOOD)) > 0.8
    assert scorer.score(" ".join(BAD)) < 0.2
    assert scorer.score("") == 0.0


def test_labels_that_mean_nothing_are_not_learned() -> None:
    same = texts(GOOD, BAD, 400, 5)
    scorer = train_scorer(same[:200], same[200:], seed=1, settings=SMALL)
    assert scorer.report.accuracy < 0.75


def test_the_same_examples_and_seed_give_the_same_scorer(scorer: QualityScorer, tmp_path: Path) -> None:
    again = train_scorer(texts(GOOD, BAD, 300, 1), texts(BAD, GOOD, 150, 2), seed=3, settings=SMALL)
    assert np.array_equal(scorer.weights, again.weights)
    scorer.save(tmp_path / "a")
    again.save(tmp_path / "b")
    for name in ("quality.json", "quality.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    loaded = QualityScorer.load(tmp_path / "a")
    for text in texts(GOOD, BAD, 5, 9):
        assert loaded.score(text) == scorer.score(text)
    assert loaded.report == scorer.report


def test_a_damaged_scorer_is_named(scorer: QualityScorer, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="nowhere"):
        QualityScorer.load(tmp_path / "nowhere")
    scorer.save(tmp_path)
    (tmp_path / "quality.safetensors").write_bytes(b"\x80\x04pickle?")
    with pytest.raises(InvalidInput, match="no quality scorer"):
        QualityScorer.load(tmp_path)


def test_too_few_examples_are_an_error() -> None:
    with pytest.raises(InvalidInput, match="3 bad examples"):
        train_scorer(texts(GOOD, BAD, 30, 1), ["가나다", "라마바", "사아자", " "], seed=0)


def test_features_are_of_length_one_and_only_of_a_sample() -> None:
    buckets, values = features("말모이 사전 123", 16)
    assert np.all(np.diff(buckets) > 0)
    assert float(values @ values) == pytest.approx(1.0, abs=1e-5)
    assert np.array_equal(features("말모이  사전\n456", 16)[0], buckets)  # digits and spaces are alike
    assert features("가", 16)[0].size == 0
    assert features("가나다" * 1_000_000, 16)[0].size < 100


def test_figures_are_those_of_the_scores() -> None:
    scores = np.array([0.9, 0.9, 0.6, 0.4, 0.1, 0.1])
    labels = np.array([1.0, 1.0, 0.0, 1.0, 0.0, 0.0])
    report = measure(scores, labels, good=3, bad=3)
    assert report.accuracy == pytest.approx(2 / 3, abs=1e-4)
    assert report.auc == pytest.approx(8 / 9, abs=1e-4)


def test_steps_write_scores_and_drop_below_the_threshold(scorer: QualityScorer) -> None:
    assert [bucket(score) for score in (0.0, 0.17, 0.5, 0.99, 1.0)] == [0, 1, 3, 5, 5]
    bad = Document("i", " ".join(BAD), "s", "ko", "MIT", "o#1")
    scored, counts = ScoreQuality(scorer).change(bad)
    assert scored.quality == scorer.score(bad.text)
    assert sum(counts.values()) == 1
    assert QualityThreshold(0.5).judge(scored) == "low_quality"
    assert QualityThreshold(0.0).judge(scored) is None
    assert QualityThreshold(0.5, languages=("en",)).judge(scored) is None
    assert QualityThreshold(0.5).judge(bad) is None  # not scored
