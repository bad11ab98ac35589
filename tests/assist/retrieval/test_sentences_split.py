"""Where sentences end."""

import random

import pytest

from malmoi.assist.retrieval.sentences import sentence_spans


def cut(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


@pytest.mark.parametrize(
    "sentences",
    [
        ["그는 갔다.", "나는 왔다!", "정말?", "네."],
        ["원주율은 3.14이다.", "2024. 5. 3. 발표했다.", "끝이다."],
        ["Dr. Kim said e.g. this is fine.", "J. Kim left at 5 p.m. yesterday.", "Right?"],
        ['그는 "나는 간다." 라고 말했다.', "“왜 그래?” 하고 물었다.", "‘좋아.’", "그랬다."],
        ["1. 첫째 항목이다.", "둘째 문장이다."],
        ["회의를 하였음.", "결과는 다음과 같음.", "이상임."],
        ["하나요…", "둘이죠?!", "셋!"],
        ["See Fig. 3 and No. 4 for details.", "They differ."],
    ],
    ids=["marks", "numbers", "abbreviations", "quotes", "items", "nouns", "dots", "figures"],
)
def test_marks_end_sentences_but_within_numbers_names_and_quotes(sentences: list[str]) -> None:
    assert cut(" ".join(sentences)) == sentences


def test_korean_sentences_written_together_are_cut() -> None:
    assert cut("일을 마쳤다.그리고 갔다.") == ["일을 마쳤다.", "그리고 갔다."]
    assert cut("가.나.다.라") == ["가.나.다.라"]
    assert cut("python.org와 a.b.c") == ["python.org와 a.b.c"]


def test_lines() -> None:
    assert cut("제목\n\n글이다\n- 하나\n- 둘\n* 셋") == ["제목", "글이다", "- 하나", "- 둘", "* 셋"]
    long = "이 줄은 아주 길어서 다음 줄로 그냥 이어지는 글의 한 토막이고 여기에서\n비로소 끝난다."
    assert cut(long) == [long]


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_lost(seed: int) -> None:
    chance = random.Random(seed)
    text = "".join(chance.choice("가나다요. !?\n\"'”)1a…-") for _ in range(2000))
    spans = sentence_spans(text)
    behind = 0
    for start, end in spans:
        assert behind <= start < end
        assert not text[behind:start].strip()
        assert text[start:end].strip() == text[start:end]
        behind = end
    assert not text[behind:].strip()
