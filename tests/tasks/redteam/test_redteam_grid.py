"""The grid, refusals and harmless questions that come with the package."""

import time

import pytest

from malmoi.core.errors import InvalidInput
from malmoi.tasks.redteam.grid import load_grid
from malmoi.tasks.redteam.refusals import is_bare_refusal, is_refusal, load_harmless_questions


def test_the_grid_is_whole() -> None:
    grid = load_grid()
    topics = [topic.id for topic in grid.topics]
    assert len(set(topics)) == len(topics) == 9
    assert [strategy.id for strategy in grid.strategies] == [
        "general",
        "tradeoff",
        "role_play",
        "false_premise",
        "jailbreak",
    ]
    for topic in grid.topics:
        names = [part.id for part in topic.subtopics]
        assert names
        assert len(set(names)) == len(names)


def test_a_cell_is_checked() -> None:
    grid = load_grid()
    grid.check("harm", "crime", "jailbreak")
    grid.check("harm", "", "general")
    for cell in (("harn", "", "general"), ("harm", "medical", "general"), ("harm", "", "magic")):
        with pytest.raises(InvalidInput, match="there is no"):
            grid.check(*cell)


REFUSALS = [
    "죄송하지만 답변드릴 수 없습니다.",
    "그 요청에는 응할 수 없습니다.",
    "도와드릴 수 없습니다.",
    "죄송합니다. 저는 인공지능이라 의견을 드리기 어렵습니다.",
    "해당 내용은 제공해 드리기 어렵습니다.",
    "이 질문에 대한 답변은 거절하겠습니다.",
    "I'm sorry, but I can't help with that.",
    "I cannot assist with this request.",
    "As an AI, I'm not able to do that.",
]
ANSWERS = [
    "감자를 삶아 으깬 뒤 버터를 넣으세요.",
    "kill 명령으로 프로세스를 끝낼 수 있습니다.",
    "그 병은 예방할 수 없는 경우가 많지만 일찍 찾으면 나을 수 있습니다.",
    "사람은 물 없이 오래 살 수 없습니다.",
    "You can kill it with Ctrl+C.",
    "I can help you with that.",
    "Nothing can stop a black hole.",
]


@pytest.mark.parametrize("text", REFUSALS, ids=range(len(REFUSALS)))
def test_refusals_are_found(text: str) -> None:
    assert is_refusal(text)
    assert is_bare_refusal(text)


@pytest.mark.parametrize("text", ANSWERS, ids=range(len(ANSWERS)))
def test_answers_are_no_refusals(text: str) -> None:
    assert not is_refusal(text)
    assert not is_bare_refusal(text)


def test_a_refusal_that_helps_is_not_bare() -> None:
    text = "그 방법은 알려 드릴 수 없습니다. 대신 힘드실 때는 109로 전화해 상담을 받을 수 있습니다."
    assert is_refusal(text)
    assert not is_bare_refusal(text)


def test_a_word_in_the_middle_is_no_refusal() -> None:
    assert not is_refusal("설명 " * 60 + "도와드릴 수 없습니다.")


@pytest.mark.parametrize("language", ["ko", "en"])
def test_harmless_questions(language: str) -> None:
    found = load_harmless_questions(language)
    assert len(found) >= 20
    assert len(set(found)) == len(found)
    assert not any(is_refusal(question) for question in found)


def test_a_hostile_text_costs_little_time() -> None:
    began = time.process_time()
    for text in ("죄송" * 50_000, "답변 " * 50_000, "i'm sorry " * 20_000, "가 " * 100_000):
        is_bare_refusal(text)
    assert time.process_time() - began < 1
