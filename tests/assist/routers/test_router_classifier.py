"""Texts told apart by examples: thresholds that are measured, and what follows from what was said before."""

from collections.abc import Sequence

import numpy as np
import pytest

from malmoi.assist.routers import Share, Topic, build_classifier
from malmoi.assist.skills.routing.ngrams import letter_vectors

WEATHER = (
    *("내일 서울 날씨 알려줘", "오늘 비 와?", "주말에 눈이 올까", "미세먼지 어때"),
    *("부산 기온 알려줘", "우산 가져가야 할까 오늘 날씨", "이번 주 날씨 예보"),
)
CARS = (
    *("제주에서 렌터카 빌려줘", "렌터카 가격 알려줘", "차 빌리는 데 얼마야", "경차 렌트 예약"),
    *("내일 차 빌리고 싶어", "렌터카 반납 시간 바꿔줘", "전기차 렌트 되나"),
)
OTHERS = (
    *("안녕", "시 한 편 써 줘", "너는 누구야", "이 문장을 영어로 옮겨 줘", "배고프다", "요약해 줘"),
    *("수학 문제 풀어줘", "재미있는 얘기 해줘", "자기소개서 고쳐 줘", "파이썬이 뭐야"),
)


async def embed(texts: Sequence[str]) -> np.ndarray:
    return letter_vectors(texts)


@pytest.fixture
def topics() -> list[Topic]:
    return [Topic("날씨", WEATHER, "날씨와 예보"), Topic("렌터카", CARS)]


async def test_new_texts_are_told_apart(topics: list[Topic]) -> None:
    classifier = await build_classifier(topics, OTHERS, embed, is_one=True)
    for text, name in [("모레 대전 날씨 어때", "날씨"), ("전주에서 렌터카 빌리고 싶어", "렌터카")]:
        best = (await classifier.find(text))[0]
        assert (best.name, best.is_found) == (name, True)
        assert best.nearest in (WEATHER if name == "날씨" else CARS)
    assert not any(one.is_found for one in await classifier.find("소설 한 편 써 줘"))


async def test_the_threshold_is_the_best_for_examples_that_are_left_out(topics: list[Topic]) -> None:
    classifier = await build_classifier(topics, OTHERS, embed, is_one=True)
    shown = classifier.shown
    assert shown.found.total == len(WEATHER) + len(CARS)
    assert shown.left_alone.total == len(OTHERS)
    assert {name: share.total for name, share in shown.topics.items()} == {"날씨": 7, "렌터카": 7}
    assert sum(share.count for share in shown.topics.values()) == shown.found.count
    assert shown.found.low <= shown.found.count / shown.found.total <= shown.found.high
    # What the closed form says is what leaving an example out says.
    found = 0
    for topic in topics:
        for text in topic.examples:
            less = [Topic(one.name, tuple(set(one.examples) - {text}), one.description) for one in topics]
            best = (await (await build_classifier(less, OTHERS, embed, is_one=True)).find(text))[0]
            found += best.name == topic.name and best.margin >= classifier.threshold
    assert abs(found - shown.found.count) <= 2  # weights of rare letters change a little


async def test_what_is_missed_is_named(topics: list[Topic]) -> None:
    strays = (*topics[0].examples, "렌터카 대여 값이 얼마인지 알려줘")
    mixed = [Topic("날씨", strays), topics[1]]
    others = (*OTHERS, "렌터카가 뭐야")
    shown = (await build_classifier(mixed, others, embed, is_one=True)).shown
    missed = {(one.text, one.topic) for one in shown.misses}
    assert (strays[-1], "날씨") in missed
    assert {one.taken_for for one in shown.misses if one.text == strays[-1]} == {"렌터카"}
    own = [one for one in shown.misses if one.topic]
    assert len(own) == shown.found.total - shown.found.count
    strange = [one for one in shown.misses if not one.topic]
    assert len(strange) == shown.left_alone.total - shown.left_alone.count
    assert all(one.taken_for for one in strange)
    assert all(one.topic != one.taken_for for one in shown.misses)


async def test_a_text_may_be_about_several_topics_if_it_may_be(topics: list[Topic]) -> None:
    classifier = await build_classifier(topics, OTHERS, embed, is_one=False)
    both = await classifier.find("내일 제주 날씨 알려줘, 그리고 제주에서 렌터카 빌려줘")
    assert [one.is_found for one in both] == [True, True]


async def test_a_short_text_may_be_understood_from_what_was_said_before(topics: list[Topic]) -> None:
    classifier = await build_classifier(topics, OTHERS, embed, is_one=True)
    alone, after = await classifier.find("대구는?"), await classifier.find("대구는?", "오늘 서울 날씨 알려줘")
    assert after[0].name == "날씨"
    assert after[0].margin > max(one.margin for one in alone if one.name == "날씨")
    unrelated = await classifier.find("대구는?", "시 한 편 써 줘")
    assert [one.margin for one in unrelated] == [one.margin for one in alone]
    long = "그런데 말이야, 어제 보던 소설의 주인공 이름이 도무지 생각나지 않는데 혹시 너는 알고 있니"
    assert await classifier.find(long, "오늘 서울 날씨 알려줘") == await classifier.find(long)


def test_a_share_knows_that_few_are_few() -> None:
    few, many = Share.of(5, 5), Share.of(500, 500)
    assert few.low < 0.6 < 0.99 < many.low
