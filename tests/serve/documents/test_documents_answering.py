"""Refusals and citations, measured: what was read is looked up, and what is new counts as unread."""

from pathlib import Path

import pytest

from malmoi.assist.retrieval.answer import Grounding, ground
from malmoi.assist.retrieval.citations import Source
from malmoi.core.errors import InvalidInput
from malmoi.serve.documents.evaluation.answering import (
    JudgedAnswer,
    JudgedCitation,
    Share,
    citations,
    find_judgement,
    load_judged,
    refusals,
)
from malmoi.serve.documents.evaluation.questions import SETS, UNANSWERABLE, Question, load_questions

TERM = "대통령의 임기는 5년으로 하며, 중임할 수 없다."
LAW = Source(1, "doc_law", "헌법", "", f"제70조 {TERM}\n국회의원의 임기는 4년으로 한다.")


async def found(question: str) -> Grounding:
    return await ground(question, [LAW] if "임기" in question else [])


def answer(*judged: JudgedCitation, text: str) -> JudgedAnswer:
    return JudgedAnswer(
        id="q1", question="대통령의 임기는 몇 년인가요?", model="m", text=text, citations=list(judged)
    )


def question(number: int, text: str, *, is_answerable: bool) -> Question:
    there = ("헌법", TERM) if is_answerable else (None, None)
    return Question(
        id=f"q{number}", language="ko", split="dev", question=text, document=there[0], answer=there[1]
    )


async def test_what_is_refused_before_a_model_is_counted_apart() -> None:
    asked = [
        question(1, "대통령의 임기는 몇 년인가요?", is_answerable=True),
        question(2, "대통령은 어디에 사나요?", is_answerable=True),
        question(3, "김치찌개 끓이는 방법은?", is_answerable=False),
    ]
    told = await refusals(asked, found)
    assert (told.refused.count, told.refused.of) == (1, 1)
    assert (told.lost.count, told.lost.of) == (1, 2)
    assert told.lost_unsure.count >= told.lost.count


async def test_a_citation_that_was_read_counts_as_it_was_judged() -> None:
    said = "대통령의 임기는 5년으로 합니다."
    good = JudgedCitation(sentence=said, quote=f"제70조 {TERM}", supports=True)
    bad = good.model_copy(update={"supports": False, "why": "not so"})
    more = f"{said} 국회의원의 임기는 4년으로 합니다. 대통령은 달에 삽니다."
    for judged, right in ((good, 1), (bad, 0)):
        told = await citations([answer(judged, text=more)], found)
        assert (told.good.count, told.good.of) == (right, 1)
        assert told.unread == 1  # the sentence about members
        assert (told.supported.count, told.supported.of) == (2, 3)


def test_a_judgement_is_of_these_words_alone() -> None:
    one = JudgedCitation(sentence="임기는 5년입니다.", quote="임기는 5년으로", supports=True)
    assert find_judgement([one], "임기는  5년입니다", "임기는 5년으로 하며, 중임할 수 없다.") is one
    assert find_judgement([one], "임기는 6년입니다.", "임기는 5년으로 하며") is None
    assert find_judgement([one], "임기는 5년입니다.", "임기는 4년으로 한다.") is None


def test_shares_are_told_with_their_interval() -> None:
    assert str(Share(9, 10)) == "9 of 10 = 0.900 [0.596, 0.982]"
    assert str(Share(0, 0)) == "none"


def test_the_answers_of_the_package_are_of_questions_of_its_sets(tmp_path: Path) -> None:
    known = {one.id: one.question for name in (*SETS, UNANSWERABLE) for one in load_questions(name)}
    for one in load_judged():
        assert known[one.id] == one.question
        assert all(not cited.supports or not cited.why for cited in one.citations)
    broken = tmp_path / "answers.jsonl"
    broken.write_text('{"id": "q1"}\n')
    with pytest.raises(InvalidInput, match="line 1"):
        load_judged(broken)


def test_questions_without_an_answer_are_in_both_halves_and_languages() -> None:
    rows = [one for name in (*SETS, UNANSWERABLE) for one in load_questions(name) if not one.is_answerable]
    assert len({one.id for one in rows}) == len(rows)
    for split in ("dev", "test"):
        of_half = [one for one in rows if one.split == split]
        assert len(of_half) >= 60
        assert {one.language for one in of_half} == {"ko", "en"}
