import gzip
import os
import random
from itertools import islice
from pathlib import Path

import pytest

from malmoi.factory.corpus.decontaminate import (
    ContaminationIndex,
    DecontaminationSettings,
    Match,
    cut_lines,
)
from malmoi.factory.corpus.evaluation_texts import read_evaluation_texts

ENGLISH = "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May."
KOREAN = "건모는 어제 시장에서 사과 세 개와 배 두 개를 샀는데 집에 와서 보니 사과 하나가 썩어 있었다."
SHORT_KOREAN = "이웃집 고양이가 담을 넘었다."
SHORT_ENGLISH = "Which planet is the closest to the sun today?"
TINY = "예"
SETTINGS = DecontaminationSettings()


@pytest.fixture
def index():
    texts = [("en.jsonl", ENGLISH), ("ko.tsv", KOREAN), ("ko.tsv", SHORT_KOREAN), ("q.txt", SHORT_ENGLISH)]
    return ContaminationIndex.build([*texts, ("ko.tsv", TINY), ("ko.tsv", "")], SETTINGS)


def files(index, *texts):
    return [[match.item.file for match in found] for found in index.find(texts)]


def noise(rng, count=60):
    return " ".join("".join(rng.choices("bcdfghklmn가나다라마바사아", k=5)) for _ in range(count))


def test_planted_texts_are_found_where_they_stand(index):
    rng = random.Random(1)
    for item in (ENGLISH, KOREAN, SHORT_KOREAN, SHORT_ENGLISH):
        before, after = noise(rng), noise(rng)
        found = index.find([f"{before}\n{item}\n{after}"])[0]
        assert [match.item.text for match in found] == [item]
        text = f"{before}\n{item}\n{after}"[found[0].start : found[0].end]
        assert text.rstrip(".?") in item
        assert len(text) >= len(item) - 2


def test_case_marks_and_spaces_do_not_hide_it(index):
    spaced = KOREAN.replace(" ", "").replace("사과", "사과 ")
    assert files(index, ENGLISH.upper().replace(",", " -- "), spaced) == [["en.jsonl"], ["ko.tsv"]]


def test_a_part_that_is_long_enough_is_found(index):
    assert files(index, "- " + " ".join(ENGLISH.split()[2:15]) + " -") == [["en.jsonl"]]
    assert files(index, " ".join(ENGLISH.split()[2:14])) == [[]]
    assert files(index, KOREAN[:32]) == [["ko.tsv"]]


def test_part_of_a_short_text_is_not_enough(index):
    assert files(index, "이웃집 고양이가 담을", "Which planet is the closest to the sun", "예") == [
        [],
        [],
        [],
    ]


def test_short_texts_must_be_in_one_document(index):
    half = len(SHORT_KOREAN) // 2
    assert files(index, SHORT_KOREAN[:half], SHORT_KOREAN[half:]) == [[], []]


def test_random_text_is_clean(index):
    rng = random.Random(2)
    assert files(index, *(noise(rng) for _ in range(300))) == [[]] * 300


def test_many_short_texts_that_begin_alike():
    texts = [f"서울에서 가장 오래된 다리는 {n}호 다리" for n in range(10, 40)]
    index = ContaminationIndex.build([("a.tsv", text) for text in texts], SETTINGS)
    assert [found[0].item.text for found in index.find(texts)] == texts
    assert index.find(["서울에서 가장 오래된 다리는 41호 다리"]) == [[]]


def test_an_index_comes_back_from_disk(index, tmp_path):
    index.save(tmp_path / "index")
    loaded = ContaminationIndex.load(tmp_path / "index")
    assert len(loaded) == len(index) > 0
    assert loaded.find([KOREAN, ENGLISH]) == index.find([KOREAN, ENGLISH])


def test_no_evaluation_texts_find_nothing(tmp_path):
    index = ContaminationIndex.build([], SETTINGS)
    assert index.find([KOREAN]) == [[]]
    index.save(tmp_path)
    assert ContaminationIndex.load(tmp_path).find([KOREAN]) == [[]]


def test_the_lines_of_a_match_are_cut(index):
    text = f"첫 줄\n앞 {KOREAN[:20]}\n{KOREAN[20:]}\n끝 줄"
    assert cut_lines(text, index.find([text])[0]) == "첫 줄\n끝 줄"
    item = index.items[0]
    assert cut_lines("ab\ncd\nef", [Match(3, 5, item)]) == "ab\nef"
    assert cut_lines("ab\n\nef", [Match(0, 1, item), Match(4, 5, item)]) == ""


def test_every_evaluation_text_finds_itself():
    texts = [(f"{n}.txt", f"{noise(random.Random(n), 20)} 번호 {n}") for n in range(200)]
    index = ContaminationIndex.build(texts, SETTINGS)
    assert [found[0].item.file for found in index.find([t for _, t in texts])] == [f for f, _ in texts]


def test_real_reviews_that_are_in_a_real_evaluation_set():
    data = Path(os.environ.get("MALMOI_TEST_DATA", "/nonexistent"))
    ner, reviews = data / "klue" / "klue-ner-v1.1_dev.tsv", data / "nsmc" / "ratings_train.tsv.gz"
    if not ner.exists() or not reviews.exists():
        pytest.skip("MALMOI_TEST_DATA names no folder with klue and nsmc")
    index = ContaminationIndex.build(((t.file, t.text) for t in read_evaluation_texts([ner])), SETTINGS)
    with gzip.open(reviews, "rt", encoding="utf-8") as file:
        texts = [line.split("\t")[1] for line in islice(file, 1, 20_001)]
    marked = [text for text, found in zip(texts, index.find(texts), strict=True) if found]
    # 348 of all 149,921 reviews are in the set, which was drawn from the same site.
    assert 20 < len(marked) < 100
