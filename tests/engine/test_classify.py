"""Classifiers at run time: files that are checked, probabilities that sum to one, tricks that are undone."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from malmoi.core.errors import InvalidInput, MalmoiError, ModelFileInvalid, NotFound
from malmoi.core.hangul.disguise import undisguise
from malmoi.engine.classify import TextClassifier, load_classifier
from malmoi.engine.classify.calibration import calibration_error, fit_platt, sigmoid, softmax
from malmoi.engine.classify.encoder import SIZE, SentenceEncoder
from malmoi.engine.classify.folder import (
    ClassifierFile,
    NgramSettings,
    PointFile,
    QuestionFile,
    write_classifier,
)
from malmoi.engine.classify.model import OVERLAP, PIECE, count_ngrams, cut
from malmoi.engine.classify.ngrams import codes_of, counted, hashed_ngrams, jamo_codes, surface
from malmoi.engine.classify.tensors import pack_tensors, read_tensors

SETTINGS = NgramSettings(bits=20, surface_orders=(2, 3), jamo_orders=(3, 4), words=True)
BAD, GOOD = "멍청이", "고마워"


class FakeEncoder(SentenceEncoder):
    """One number says whether the bad word is there, another whether the good one is."""

    def encode(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        vectors = np.zeros((len(texts), SIZE), dtype=np.float32)
        for row, text in enumerate(texts):
            vectors[row, 0], vectors[row, 1] = BAD in text, GOOD in text
        return vectors


def classifier_files(folder: Path, **changes: Any) -> Path:
    """A classifier for which the bad word is unsafe, and much of it rude."""
    buckets = np.unique(np.concatenate([count_ngrams(word, "", SETTINGS)[0] for word in (BAD, GOOD)]))
    bad = np.isin(buckets, count_ngrams(BAD, "", SETTINGS)[0])
    safe = np.where(bad, -4.0, 4.0)
    tensors: dict[str, Any] = {
        "buckets": buckets.astype(np.uint32),
        "idf": np.ones(buckets.size, dtype=np.float32),
        "safety/ngrams": np.stack([safe, -safe], axis=1).astype(np.float16),
        "safety/ngrams_bias": np.zeros(2, dtype=np.float32),
        "safety/mix": np.ones((1, 2), dtype=np.float32),
        "safety/shift": np.zeros(2, dtype=np.float32),
        "tone/encoder": np.concatenate([[[-5, 5], [5, -5]], np.zeros((SIZE - 2, 2))]).astype(np.float16),
        "tone/encoder_bias": np.zeros(2, dtype=np.float32),
        "tone/mix": np.ones((1, 2), dtype=np.float32),
        "tone/shift": np.zeros(2, dtype=np.float32),
    }
    about = ClassifierFile(
        name="test",
        version="0",
        seed=0,
        ngrams=SETTINGS,
        questions=(
            QuestionFile(
                name="safety",
                title="Is it safe?",
                labels=("safe", "unsafe"),
                harmless="safe",
                decision=(1.0, 1.0),
                members=("ngrams",),
                points=(
                    PointFile(
                        name="precision_0.9",
                        flagged=("unsafe",),
                        threshold=0.8,
                        precision=0.9,
                        recall=0.5,
                        false_positive_rate=0.1,
                    ),
                ),
            ),
            QuestionFile(
                name="tone",
                title="Is it polite?",
                labels=("polite", "rude"),
                harmless="polite",
                decision=(1.0, 2.0),
                members=("encoder",),
            ),
        ),
    )
    write_classifier(folder, about, tensors | changes)
    return folder


def test_a_classifier_is_read_and_answers_both_questions(tmp_path: Path) -> None:
    classifier = load_classifier(classifier_files(tmp_path), encoder=FakeEncoder())
    assert isinstance(classifier, TextClassifier)
    assert classifier.labels == ("safe", "unsafe", "polite", "rude")
    assert classifier.groups[0].points[0].threshold == 0.8
    chances = classifier.predict([f"정말 {BAD}", f"정말 {GOOD}", "", "xyz"])
    assert chances.shape == (4, 4)
    assert chances.dtype == np.float32
    assert np.allclose(chances[:, :2].sum(axis=1), 1, atol=1e-6)
    assert np.allclose(chances[:, 2:].sum(axis=1), 1, atol=1e-6)
    assert chances[0, 1] > 0.9 > 0.1 > chances[1, 1]
    assert chances[0, 3] > 0.9 > 0.1 > chances[1, 3]
    assert np.allclose(chances[2:, :2], 0.5), "nothing is known of an empty or foreign text"
    assert classifier.predict([]).shape == (0, 4)
    assert classifier.groups[1].choose([0.6, 0.4]) == "rude", "rude counts twice"


def test_one_text_is_judged_as_it_is_among_others(tmp_path: Path) -> None:
    classifier = load_classifier(classifier_files(tmp_path), encoder=FakeEncoder())
    texts = [f"{GOOD} {BAD}", BAD, "가나다"]
    together = classifier.predict(texts)
    apart = np.concatenate([classifier.predict([text]) for text in texts])
    assert np.allclose(together, apart, atol=1e-6)


@pytest.mark.parametrize(
    "disguised", ["멍.청.이", "멍1청이", "멍​청이", "ㅁㅓㅇㅊㅓㅇㅇㅣ"], ids=["dot", "one", "zero", "jamo"]
)
def test_tricks_do_not_hide_a_word(tmp_path: Path, disguised: str) -> None:
    classifier = load_classifier(classifier_files(tmp_path), encoder=FakeEncoder())
    assert classifier.predict([disguised])[0, 1] > 0.9
    assert classifier.predict([disguised])[0, 3] > 0.9


def test_in_a_long_text_the_riskiest_piece_counts(tmp_path: Path) -> None:
    classifier = load_classifier(classifier_files(tmp_path), encoder=FakeEncoder())
    long = f"{GOOD} " * 300
    pieces = cut(long)
    assert max(map(len, pieces)) <= PIECE
    assert all(one[-OVERLAP:] == other[:OVERLAP] for one, other in pairwise(pieces))
    assert classifier.predict([long])[0, 1] < 0.1
    hidden = long + " 라마" * 300 + BAD
    assert classifier.predict([long, hidden, GOOD])[:, 1].argmax() == 1
    assert classifier.predict([hidden])[0, 1] > 0.5


def test_contexts_must_fit_the_texts(tmp_path: Path) -> None:
    classifier = load_classifier(classifier_files(tmp_path), encoder=FakeEncoder())
    with pytest.raises(InvalidInput, match="2 texts have 1 contexts"):
        classifier.predict(["가", "나"], ["다"])
    alone, with_context = classifier.predict([GOOD, GOOD], ["", BAD])[:, 1]
    assert abs(alone - with_context) < 0.5, "n-grams of a context are not those of the text"


def test_the_same_classifier_gives_the_same_bytes(tmp_path: Path) -> None:
    one, other = classifier_files(tmp_path / "a"), classifier_files(tmp_path / "b")
    for name in ("classifier.json", "classifier.safetensors"):
        assert (one / name).read_bytes() == (other / name).read_bytes()


def test_a_missing_classifier_says_how_to_train_one(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="malmoi safety train"):
        load_classifier(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(NotFound):
        load_classifier(tmp_path / "file")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("format", 2, "format"),
        ("seed", "x", "seed"),
        ("questions", [], "questions"),
        ("more", 1, "more"),
    ],
    ids=["format", "seed", "questions", "unknown"],
)
def test_a_wrong_field_is_named(tmp_path: Path, field: str, value: object, message: str) -> None:
    path = classifier_files(tmp_path) / "classifier.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    with pytest.raises(InvalidInput, match=message):
        load_classifier(tmp_path)


def test_questions_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    path = classifier_files(tmp_path) / "classifier.json"
    values = json.loads(path.read_text())
    values["questions"][1]["labels"] = ["safe", "rude"]
    values["questions"][1]["harmless"] = "safe"
    path.write_text(json.dumps(values))
    with pytest.raises(InvalidInput, match="label comes twice"):
        load_classifier(tmp_path)
    values["questions"][1]["harmless"] = "nice"
    path.write_text(json.dumps(values))
    with pytest.raises(InvalidInput, match="harmless label"):
        load_classifier(tmp_path)


def test_numbers_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    classifier_files(tmp_path, **{"safety/shift": np.zeros(3, dtype=np.float32)})
    with pytest.raises(InvalidInput, match="safety/shift has the shape"):
        load_classifier(tmp_path)
    classifier_files(tmp_path, **{"tone/encoder": np.full((SIZE, 2), np.nan, dtype=np.float16)})
    with pytest.raises(ModelFileInvalid, match="not finite"):
        load_classifier(tmp_path)
    tensors = read_tensors(classifier_files(tmp_path) / "classifier.safetensors")
    classifier_files(tmp_path, buckets=tensors["buckets"][::-1])
    with pytest.raises(InvalidInput, match="ascending"):
        load_classifier(tmp_path)


def test_damaged_bytes_are_an_error_for_people(tmp_path: Path) -> None:
    path = classifier_files(tmp_path) / "classifier.safetensors"
    whole = path.read_bytes()
    for damaged in (b"", b"\x80\x04pickle?", whole[:-1], whole[: len(whole) // 2], b"\xff" * 64):
        path.write_bytes(damaged)
        with pytest.raises(MalmoiError):
            load_classifier(tmp_path)
    (tmp_path / "classifier.json").write_bytes(b"\xff{")
    with pytest.raises(MalmoiError):
        load_classifier(tmp_path)


def test_tensors_come_back_as_they_went(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b/c": np.array([1, 2**32 - 1], dtype=np.uint32),
        "d": np.zeros((0, 2), dtype=np.float16),
    }
    (tmp_path / "x.safetensors").write_bytes(pack_tensors(arrays))
    found = read_tensors(tmp_path / "x.safetensors")
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[name], arrays[name]) for name in arrays)


def test_views_of_a_text() -> None:
    assert surface("  안녕ㅋㅋㅋㅋ\n하세요  ") == " 안녕ㅋㅋ 하세요 "
    assert "".join(map(chr, jamo_codes(surface("각 나1")))) == "ㄱㅏㄱㄴㅏ"
    assert jamo_codes(surface("abc")).size == 0
    assert np.array_equal(codes_of("a1b9"), codes_of("a0b0"))
    buckets, values = counted(hashed_ngrams(codes_of("가나가나"), (2,), 16))
    assert buckets.size == 2
    assert float(values @ values) == pytest.approx(1.0)
    assert counted([])[0].size == 0


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("시.발", "시발"),
        ("개.새.끼", "개새끼"),
        ("씨1발", "씨발"),
        ("ㅅㅣㅂㅏㄹ", "시발"),
        ("시ㅂㅏㄹ", "시발"),
        ("시​발", "시발"),
        ("ᄉᄇ", "ㅅㅂ"),
        ("ﾡ", "ㄱ"),
        ("ＡＢ", "AB"),
        ("ㅋㅋㅠㅠ", "ㅋㅋㅠㅠ"),
        ("ㅋㅠ", "ㅋㅠ"),
        ("제1조", "제1조"),
        ("10.5", "10.5"),
        ("좋아요.그런데", "좋아요.그런데"),
        ("안녕하세요", "안녕하세요"),
    ],
    ids=list(map(str, range(15))),
)
def test_undisguise(text: str, plain: str) -> None:
    assert undisguise(text) == plain


def test_calibration() -> None:
    rng = np.random.default_rng(0)
    margins = rng.normal(0, 3, 4000)
    labels = (rng.random(4000) < sigmoid(0.5 * margins)).astype(float)
    scale, shift = fit_platt(margins, labels)
    assert scale == pytest.approx(0.5, abs=0.08)
    assert abs(shift) < 0.15
    assert calibration_error(sigmoid(scale * margins + shift), labels) < 0.03
    assert calibration_error(np.array([0.9, 0.9]), np.array([0.0, 0.0])) == pytest.approx(0.9)
    assert softmax(np.array([[1000.0, 0.0]]))[0, 0] == pytest.approx(1.0)


class CountingEncoder(FakeEncoder):
    """Keeps the texts of each call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[list[str]] = []

    def encode(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        if any(texts):
            self.calls.append(list(texts))
        return super().encode(texts)


def gated_files(folder: Path, bound: float | None) -> Path:
    """The classifier, whose safety also asks the encoder, from a bound of the risk by n-grams on."""
    kernel = np.zeros((SIZE, 2), dtype=np.float16)
    kernel[0], kernel[1] = (-3, 3), (1, -1)
    classifier_files(
        folder,
        **{
            "safety/encoder": kernel,
            "safety/encoder_bias": np.zeros(2, dtype=np.float32),
            "safety/mix": np.ones((2, 2), dtype=np.float32),
            "safety/light_mix": np.full((1, 2), 0.5, dtype=np.float32),
            "safety/light_shift": np.array([0.5, 0], dtype=np.float32),
        },
    )
    path = folder / "classifier.json"
    values = json.loads(path.read_text())
    values["questions"] = values["questions"][:1]
    values["questions"][0]["members"] = ["ngrams", "encoder"]
    if bound is not None:
        values["questions"][0]["gate"] = {"bound": bound, "skipped": 0.5, "lost": {"precision_0.9": 0.0}}
    path.write_text(json.dumps(values))
    return folder


def test_the_encoder_is_asked_once_about_the_texts_that_are_not_clearly_harmless(tmp_path: Path) -> None:
    encoder = CountingEncoder()
    classifier = load_classifier(gated_files(tmp_path / "gated", 0.3), encoder=encoder)
    full = load_classifier(gated_files(tmp_path / "full", None), encoder=FakeEncoder())
    texts = [GOOD, BAD, f"{GOOD} {GOOD}", f"{GOOD} {BAD}", "라마", ""]
    chances, whole = classifier.predict(texts), full.predict(texts)
    asks = classifier.asks_encoder(texts)
    assert asks.tolist() == [False, True, False, True, True, True]
    assert encoder.calls == [[text for text, asked in zip(texts, asks, strict=True) if asked]]
    assert np.allclose(chances[asks], whole[asks], atol=1e-6), "with the encoder it is the full mixture"
    assert (chances[~asks, 1] < 0.3).all()
    assert not np.allclose(chances[~asks], whole[~asks])
    assert full.asks_encoder(texts).all()


def test_harmless_texts_do_not_open_the_encoder(tmp_path: Path) -> None:
    encoder = CountingEncoder()
    classifier = load_classifier(gated_files(tmp_path, 0.3), encoder=encoder)
    assert classifier.predict([GOOD, f"{GOOD}요"]).shape == (2, 2)
    assert encoder.calls == []
    long = f"{GOOD} " * 300
    assert classifier.asks_encoder([long, long + " 라마" * 300]).tolist() == [False, True]
    with pytest.raises(InvalidInput, match="1 texts have 0 contexts"):
        classifier.asks_encoder([GOOD], [])


def test_one_gated_text_is_judged_as_it_is_among_others(tmp_path: Path) -> None:
    classifier = load_classifier(gated_files(tmp_path, 0.3), encoder=FakeEncoder())
    texts = [GOOD, BAD, f"{GOOD} {BAD}", "라마"]
    apart = np.concatenate([classifier.predict([text]) for text in texts])
    assert np.allclose(classifier.predict(texts), apart, atol=1e-6)


def test_a_gate_needs_n_grams_and_a_harmless_label(tmp_path: Path) -> None:
    path = gated_files(tmp_path, 0.3) / "classifier.json"
    values = json.loads(path.read_text())
    for change in ({"members": ["encoder"]}, {"harmless": None}):
        broken = {**values, "questions": [{**values["questions"][0], **change}]}
        path.write_text(json.dumps(broken))
        with pytest.raises(InvalidInput, match="a gate, but nothing to open it"):
            load_classifier(tmp_path)
    values["questions"][0]["gate"]["bound"] = 2
    path.write_text(json.dumps(values))
    with pytest.raises(InvalidInput, match="bound"):
        load_classifier(tmp_path)
