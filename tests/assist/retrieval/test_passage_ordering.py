"""Found passages are ordered by what of the question stands in them, and where."""

from dataclasses import replace

import pytest

from malmoi.assist.retrieval.ordering import Candidate, features, order

ASKED = [("여백", "마진"), ("인쇄",), (" sav",)]
PLAIN = Candidate("아무 말도 아니다.", "제목", "다른 글", terms=1.0, vectors=0.2)


def of(text: str, above: str = "제목") -> Candidate:
    return Candidate(text, above, text, terms=1.0, vectors=0.2)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (of("인쇄할 때 여백을 정한다."), of("인쇄한다. 그리고 색을 정한다.")),
        (of("인쇄한다."), PLAIN),
        (of("이렇게 정한다.", above="인쇄 여백"), of("이렇게 정한다.")),
        (of("It is saved."), of("It is an autosave.")),
    ],
    ids=["more of it", "anything of it", "in a heading", "at a word's beginning"],
)
def test_what_is_asked_goes_first(better: Candidate, worse: Candidate) -> None:
    first, second, *_ = order(ASKED, [better, worse, PLAIN, PLAIN, of("인쇄한다.")])
    assert first > second


def test_words_that_mean_the_same_count_once() -> None:
    both, one = of("여백과 마진."), of("마진.")
    found = features(ASKED, [both, one, PLAIN])
    assert found["coverage"][0] == found["coverage"][1] > found["coverage"][2] == 0


def test_what_few_passages_have_counts_more() -> None:
    common = [of("인쇄.")] * 5
    found = features(ASKED, [of("여백."), *common])["coverage"]
    assert found[0] > found[1]


def test_what_stands_in_one_sentence_goes_before_what_is_scattered() -> None:
    near, scattered = of("인쇄할 때 여백을 정한다. 끝."), of("인쇄한다. 여백을 정한다.")
    above = of("여백을 정한다.", above="인쇄")
    found = features(ASKED, [near, scattered, above, PLAIN])
    assert found["coverage"][0] == found["coverage"][1] == found["coverage"][2]
    assert found["sentence"][0] == found["sentence"][2] > found["sentence"][1] > found["sentence"][3] == 0


def test_passages_of_a_document_that_was_found_often_go_first() -> None:
    alone, *others = (replace(PLAIN, document=name) for name in "abbbb")
    others[0] = replace(others[0], terms=0.0)
    found = features(ASKED, [alone, *others])["document"]
    assert found.tolist() == pytest.approx([1 / 3, 1, 1, 1, 1])


def test_scores_of_both_rankings_count() -> None:
    near, far = replace(PLAIN, vectors=0.9), replace(PLAIN, vectors=None)
    scores = order([], [near, PLAIN, far, replace(far, document="b", terms=0.5)])
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[1]
    assert scores[2] > scores[3]


def test_every_feature_is_a_share_even_when_nothing_is_known() -> None:
    blank = Candidate("", "", "")
    for concepts in ([], ASKED):
        for candidates in ([blank], [blank, PLAIN], [replace(PLAIN, vectors=None)] * 3):
            for values in features(concepts, candidates).values():
                assert values.shape == (len(candidates),)
                assert ((values >= 0) & (values <= 1 + 1e-9)).all()
    assert order(ASKED, []) == []
