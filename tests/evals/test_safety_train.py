"""Training and measuring classifiers on rows made here, from files to the command line."""

import csv
import json
import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from click.testing import CliRunner

from malmoi.cli.safety import safety
from malmoi.core.errors import InvalidInput, NotFound
from malmoi.engine.classify import MixedClassifier, load_classifier
from malmoi.engine.classify.encoder import SIZE, SentenceEncoder
from malmoi.engine.classify.folder import NgramSettings
from malmoi.evals.safety.datasets import Dataset, Example, datasets, load_training
from malmoi.evals.safety.measure import measure
from malmoi.evals.safety.page import render_page
from malmoi.evals.safety.pool import split_examples
from malmoi.evals.safety.split import draw_folds, find_groups
from malmoi.evals.safety.train import Trained, TrainSettings, train

pytest.importorskip("scipy")

GOOD = ["친절한", "다정한", "훌륭한", "부지런한", "따뜻한", "성실한", "반가운", "고마운", "착한", "든든한"]
BAD = ["게으른", "더러운", "멍청한", "시끄러운", "위험한", "비겁한", "사나운", "못난", "나쁜", "거친"]
PEOPLE = ["노인", "학생", "이웃", "청년", "농부", "상인", "의사", "어부", "목수", "화가", "가수", "기자"]
ENDS = ["사람이다", "편이다", "모습이었다", "분이었다", "것", "같다", "줄", "알았다"]
SETTINGS = TrainSettings(
    ngrams=NgramSettings(bits=16, surface_orders=(2, 3), jamo_orders=(3,), words=True),
    steps=15,
    folds=2,
    resamples=50,
)


@cache
def word_vector(word: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.random.default_rng(crc32(word.encode())).normal(0, 0.04, SIZE)


class WordEncoder(SentenceEncoder):
    """The sum of a random vector for each word."""

    def encode(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        vectors = np.zeros((len(texts), SIZE), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.split():
                vectors[row] += word_vector(word)
        return vectors


def sentence(words: Sequence[str], rng: random.Random) -> str:
    chosen = " ".join(rng.choice(words) for _ in range(3))
    return f"{chosen} {rng.choice(PEOPLE)} {rng.choice(ENDS)} {rng.randrange(10**6):x}"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small datasets in the files that the descriptions name."""
    folder = tmp_path_factory.mktemp("data")
    rng = random.Random(1)
    kosbi = []
    for number in range(180):
        unsafe = number % 2
        kosbi.append(
            {
                "context": f"{rng.choice(PEOPLE)} 이야기 {number // 2}",
                "sentence": sentence(BAD if unsafe else GOOD, rng),
                "sentence_label": "unsafe" if unsafe else "safe",
            }
        )
    write(folder / "safety/KoSBi/kosbi_valid.json", json.dumps(kosbi))
    write(folder / "safety/KoSBi/kosbi_test.json", json.dumps(kosbi[:60]))
    lines = ["comments\tcontain_gender_bias\tbias\thate"]
    for number in range(180):
        hate = ("none", "offensive", "hate")[number % 3]
        words = {"none": GOOD, "offensive": BAD[:5], "hate": BAD[5:]}[hate]
        bias = "none" if hate == "none" else ("gender", "others")[number % 2]
        lines.append(f'{sentence(words, rng)} "따옴표\tFalse\t{bias}\t{hate}')
    write(folder / "korean_hate_speech/labeled_train.tsv", "\n".join(lines) + "\n")
    chat = folder / "chatbot_ko/ChatbotData.csv"
    chat.parent.mkdir(parents=True)
    with chat.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Q", "A", "label"])
        writer.writerows([f"오늘 {rng.choice(GOOD)} 날 {number}", "네", "0"] for number in range(450))
        writer.writerow(["이별 이야기", "네", "1"])
    return folder


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def trained(data: Path) -> Trained:
    return train(data, name="test-ko", seed=3, settings=SETTINGS, encoder=WordEncoder())


def test_it_learns_and_is_measured_beside_the_floor(trained: Trained) -> None:
    questions = {question.name: question for question in trained.about.questions}
    assert list(questions) == ["hate", "comment_bias", "social_bias"]
    for name in ("hate", "social_bias"):
        metrics = questions[name].metrics
        assert metrics["macro_f1"][0] > 0.85
        assert metrics["macro_f1"][1] <= metrics["macro_f1"][0] <= metrics["macro_f1"][2]
        assert 20 <= metrics["texts"] <= 90
        assert len(metrics["over_floor"]) == 3
        assert metrics["calibration_error"] < 0.25
    assert questions["social_bias"].context
    assert [source.license for source in questions["social_bias"].sources] == ["MIT", "MIT"]
    assert questions["social_bias"].sources[1].texts == 250
    assert any("SQuARe" in note for note in trained.notes), "what is not there is said"
    points = questions["social_bias"].points
    assert {point.name for point in points} >= {"false_positives_0.05"}
    assert all(point.flagged == ("unsafe",) for point in points)


def test_the_same_data_and_seed_give_the_same_bytes(data: Path, trained: Trained, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        one = train(data, name="x", seed=3, settings=SETTINGS, only=["beep"], encoder=WordEncoder())
        one.write(tmp_path / folder)
    for name in ("classifier.json", "classifier.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    trained.write(tmp_path / "c")
    loaded = load_classifier(tmp_path / "c", encoder=WordEncoder())
    rng = random.Random(9)
    texts = [sentence(words, rng) for words in (GOOD, BAD) for _ in range(20)]
    risk = loaded.predict(texts)[:, loaded.labels.index("unsafe")]
    assert risk[:20].max() < risk[20:].mean()
    assert (risk[:20] < 0.5).mean() > 0.8
    assert (risk[20:] > 0.5).mean() > 0.8


def test_what_was_measured_in_training_is_what_the_classifier_says(data: Path, trained: Trained) -> None:
    classifier = MixedClassifier(trained.about, trained.tensors, encoder=WordEncoder())
    dataset = datasets()["kosbi"]
    examples = load_training(dataset, data).examples
    _, folds = split_examples(examples, 3, SETTINGS.folds)
    held = [example for example, fold in zip(examples, folds, strict=True) if fold < 0]
    chances = classifier.predict([each.text for each in held], [each.context for each in held])
    question = next(q for q in trained.about.questions if q.name == "social_bias")
    columns = [classifier.labels.index(label) for label in question.labels]
    chosen = (chances[:, columns] * np.array(question.decision)).argmax(axis=1)
    counts = np.zeros((2, 2), dtype=int)
    gold = [question.labels.index(each.labels["social_bias"]) for each in held]
    np.add.at(counts, (gold, chosen), 1)
    assert np.abs(counts - np.array(question.metrics["confusion"])).sum() <= 2


def test_measuring_tells_tests_tricks_harmless_texts_and_speed(data: Path, trained: Trained) -> None:
    classifier = MixedClassifier(trained.about, trained.tensors, encoder=WordEncoder())
    found = measure(classifier, data, resamples=50)
    assert list(found["test"]) == ["social_bias"]
    assert found["test"]["social_bias"]["texts"] == 60
    assert set(found["tricks"]) == {"hate", "comment_bias", "social_bias"}
    assert found["held_out"]["hate"]["macro_f1"] > 0.8
    flagged = found["harmless"]["social_bias"]["chosen"]["daily talk"]
    assert flagged[3] == 200
    assert flagged[0] < 0.2
    assert set(found["encoder"]) == {"beep", "kosbi", "daily talk"}
    assert all(0 <= share <= 1 for share in found["encoder"].values())
    assert 0 < found["speed"]["median_ms"] <= found["speed"]["p95_ms"]
    assert any("KLUE" in reason for reason in found["skipped"])
    page = render_page(trained.about, trained.curves, found)
    gates = [question.gate for question in trained.about.questions if question.gate]
    assert page.count("do without the sentence encoder") == len(gates)
    assert "social_bias" in page
    assert page.count("<svg") == 6
    assert "src=" not in page
    assert "//" not in page.replace("http://www.w3.org/2000/svg", "")


def test_texts_are_escaped_on_the_page(trained: Trained) -> None:
    curves = json.loads(json.dumps(trained.curves))
    curves["hate"]["worst"][0]["text"] = "<script>alert(1)</script>"
    page = render_page(trained.about, curves, {})
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_other_files_than_those_of_the_training_hold_nothing_out(
    data: Path, trained: Trained, tmp_path: Path
) -> None:
    import shutil

    shutil.copytree(data, tmp_path / "data")
    path = tmp_path / "data/safety/KoSBi/kosbi_valid.json"
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    classifier = MixedClassifier(trained.about, trained.tensors, encoder=WordEncoder())
    found = measure(classifier, tmp_path / "data", resamples=20)
    assert "social_bias" not in found["held_out"]
    assert "hate" in found["held_out"]


def test_a_split_shares_neither_contexts_nor_near_duplicates() -> None:
    base = "어제 우리 동네 도서관에서 열린 낭독회에 다녀왔다"
    examples = [
        Example(base),
        Example(base + "."),
        Example("전혀 다른 이야기를 하는 문장입니다", group="c"),
        Example("또 다른 짧은 문장", group="c"),
        Example("아무와도 닮지 않은 문장이 여기 있다", group="d"),
    ]
    groups = find_groups(examples)
    assert groups[0] == groups[1]
    assert groups[2] == groups[3]
    assert len(set(groups)) == 3
    assert find_groups(examples[::-1]) == groups[::-1], "the order does not matter"
    folds = draw_folds([str(number) for number in range(1000)], 5, 0, "x")
    assert np.bincount(folds).min() > 150
    assert not np.array_equal(folds, draw_folds([str(number) for number in range(1000)], 5, 1, "x"))


def test_test_files_are_never_trained_on(data: Path) -> None:
    for dataset in datasets().values():
        assert not any("test" in Path(name).name for name in dataset.train)
    wrong = datasets()["kosbi"].model_copy(update={"train": ("safety/KoSBi/kosbi_test.json",)})
    assert isinstance(wrong, Dataset)
    with pytest.raises(InvalidInput, match="never trained on"):
        load_training(wrong, data)


def test_missing_and_damaged_data_are_explained(data: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="none of the datasets"):
        train(tmp_path, name="x", settings=SETTINGS, encoder=WordEncoder())
    with pytest.raises(InvalidInput, match="no dataset 'kosby'"):
        train(data, name="x", settings=SETTINGS, only=["kosby"])
    write(tmp_path / "safety/KoSBi/kosbi_valid.json", '[{"sentence": "가"}]')
    with pytest.raises(InvalidInput, match="row 1: there is no 'sentence_label'"):
        train(tmp_path, name="x", settings=SETTINGS, encoder=WordEncoder())
    few = [{"sentence": f"문장 {n}", "context": "", "sentence_label": "safe"} for n in range(30)]
    write(tmp_path / "safety/KoSBi/kosbi_valid.json", json.dumps(few))
    with pytest.raises(InvalidInput, match="fewer than 5 texts"):
        train(tmp_path, name="x", settings=SETTINGS, encoder=WordEncoder())


def test_the_commands(data: Path, tmp_path: Path) -> None:
    home = ["--home", str(tmp_path)]
    command = ["train", "--data", str(data), "--only", "kosbi", "--no-encoder", "--no-measure", "--quiet"]
    done = CliRunner().invoke(safety, [*command, *home], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "social_bias" in done.output
    page = next((tmp_path / "store" / "artifacts" / "classifier").glob("*/about/report.html"))
    assert "Worst errors" in page.read_text(encoding="utf-8")
    words = ["score", "safety-ko", "게으른 더러운 노인", "--json", *home]
    scored = CliRunner().invoke(safety, words, catch_exceptions=False)
    assert json.loads(scored.output)["chosen"] == {"social_bias": "unsafe"}
    piped = CliRunner().invoke(safety, ["score", "latest", "-", *home], input="친절한 다정한 이웃\n\n나쁜\n")
    assert piped.output.count("social_bias") == 2
    unknown = CliRunner().invoke(safety, ["score", "safety-kr", "가", *home])
    assert unknown.exit_code != 0
