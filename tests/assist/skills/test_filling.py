"""Arguments that code fills: periods, ids of what was shown, words beside a value; and what is left to do."""

import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from time import process_time
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from skill_world import operation

from malmoi.assist.skills.planning.extraction import extract
from malmoi.assist.skills.planning.filling import fill, may_be_said

NOW = datetime(2026, 11, 20, 10, tzinfo=timezone(timedelta(hours=9)))  # a Friday
DAY = {"type": "string", "format": "date"}


def filled(query: str, *turns: str, required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    made = operation("do", required=list(required), **properties)
    return fill(made, query, extract(query, NOW), NOW, turns=turns)


@pytest.mark.parametrize(
    ("query", "start", "end"),
    [
        ("다음 주 일정 다 알려줘", "2026-11-23", "2026-11-29"),
        ("이번 주말에 뭐 있어", "2026-11-21", "2026-11-22"),
        ("1월에 잡힌 거", "2027-01-01", "2027-01-31"),
        ("meetings next month", "2026-12-01", "2026-12-31"),
        ("오늘부터 이달 말까지", "2026-11-20", "2026-11-30"),
        ("from Dec 3 to 7", "2026-12-03", "2026-12-07"),
        ("12월 5~7일", "2026-12-05", "2026-12-07"),
        ("landing next Wednesday and leaving that Saturday", "2026-11-25", "2026-11-28"),
        ("working days in June 2027", "2027-06-01", "2027-06-30"),
    ],
)
def test_a_time_that_lasts_has_a_first_and_a_last_day(query: str, start: str, end: str) -> None:
    assert filled(query, start=DAY, end=DAY) == {"start": start, "end": end}


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("30일에 반납할게", {"end_date": "2026-11-30"}),
        ("I'd like to return it on December 2", {"end_date": "2026-12-02"}),
        ("12월 1일에 빌리고 3일에 반납", {"start_date": "2026-12-01", "end_date": "2026-12-03"}),
        ("30일로 해줘", {}),
    ],
)
def test_a_day_belongs_to_the_word_beside_it(query: str, told: dict[str, str]) -> None:
    start = {**DAY, "x-malmoi-near": ["빌리", "pick"]}
    end = {**DAY, "x-malmoi-near": ["반납", "return"]}
    assert filled(query, start_date=start, end_date=end) == told


SHOWN = "두 건이 있습니다.\n1. QX-77: 강릉, 12월 4일~6일\n2. QX-81: 여수, 12월 11일~13일"


@pytest.mark.parametrize(
    ("query", "turns", "id"),
    [
        ("두 번째 거 취소해줘", (SHOWN,), "QX-81"),
        ("강릉 거 빼줘", (SHOWN,), "QX-77"),
        ("마지막 걸로", (SHOWN,), "QX-81"),
        ("2번 지워줘", (SHOWN,), "QX-81"),
        ("그거 취소", (SHOWN,), None),
        ("그거 취소", ("예약 QX-77을 찾았습니다.",), "QX-77"),
        ("QX-99 취소", (SHOWN,), "QX-99"),
        ("R1A2B3C4 확인해줘", (), "R1A2B3C4"),
        ("cancel event 112233445566", (), "112233445566"),
        ("14번 메일 열어줘", (), "14"),
        ("두 번째 메일", ("1. [412] 공지\n2. [415] 과제",), "415"),
        ("취소해줘", (), None),
    ],
)
def test_an_id_is_the_one_that_is_named_or_meant(query: str, turns: tuple[str, ...], id: str | None) -> None:
    text = {"type": "string"}
    assert filled(query, *turns, required=("item_id",), item_id=text).get("item_id") == id


def test_a_day_is_put_off_from_the_one_that_was_shown() -> None:
    told = filled(
        "반납 하루만 늦춰줘",
        "QX-77은 12월 4일에 받아 12월 6일에 반납합니다.",
        required=("item_id",),
        item_id={"type": "string"},
        end_date=DAY,
    )
    assert told == {"item_id": "QX-77", "end_date": "2026-12-07"}


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("예산회의를 세시 반으로 옮겨줘", "2026-11-26T15:30"),
        ("예산회의 30분만 미뤄줘", "2026-11-26T14:30"),
        ("예산회의를 금요일 9시로", "2026-11-20T09:00"),
    ],
)
def test_an_event_keeps_its_day_where_only_a_time_is_said(query: str, told: str) -> None:
    shown = "11월 26일(목)에는 14:00 예산 회의(ev-51c2), 19:00 헬스(ev-51d0)가 있습니다."
    moment = {"type": "string", "x-malmoi-form": "moment"}
    arguments = filled(
        query, shown, required=("event_id", "start"), event_id={"type": "string"}, start=moment
    )
    assert arguments == {"event_id": "ev-51c2", "start": told}


def test_words_name_yes_and_no_and_numbers_what_they_count() -> None:
    flag = {"type": "boolean", "x-malmoi-words": {"true": ["안 읽은"], "false": ["읽은 것도"]}}
    number = {"type": "integer"}
    assert filled("안 읽은 메일 5통", unread=flag, limit=number) == {"unread": True, "limit": 5}
    assert filled("한 시간 반 비는 때", minutes=number) == {"minutes": 90}
    assert filled("2박 3일 코스", days=number) == {"days": 3}
    assert filled("2박 3일 숙소", nights=number) == {"nights": 2}
    assert filled(
        "'회의록' 보내줘, 내용은 '확인 바랍니다'", body={"type": "string", "x-malmoi-near": ["내용"]}
    ) == {"body": "확인 바랍니다"}


def test_what_nobody_can_have_said_is_not_asked_of_a_model() -> None:
    found = extract("전주 카페", NOW)
    assert not may_be_said("most", {"type": "integer"}, "전주 카페", found, is_required=False)
    assert may_be_said("most", {"type": "integer"}, "전주 카페", found, is_required=True)
    assert not may_be_said("day", DAY, "전주 카페", found, is_required=False)
    near = {"type": "string", "x-malmoi-near": ["근처"]}
    assert not may_be_said("near", near, "전주 카페", found, is_required=False)
    assert may_be_said("near", near, "한옥마을 근처 카페", found, is_required=False)
    assert may_be_said("name", {"type": "string"}, "전주 카페", found, is_required=False)
    taken = extract("8만원 밑으로", NOW).besides({"most": 80000})
    assert not may_be_said("least", {"type": "integer"}, "8만원 밑으로", taken, is_required=False)


@pytest.mark.parametrize("words", ["에서", "와 ", "between and ", "from to ", " "])
def test_ways_are_looked_for_in_no_time(words: str) -> None:
    text = {"type": "string"}
    began = process_time()
    filled(f"{words * (3990 // len(words))}\n.", required=("start", "goal"), start=text, goal=text)
    assert process_time() - began < 5


def test_from_where_to_where() -> None:
    text = {"type": "string"}
    told = filled("서울역에서 경복궁까지", required=("start", "goal"), start=text, goal=text)
    assert told == {"start": "서울역", "goal": "경복궁"}
