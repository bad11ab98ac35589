"""What a query says in so many words, in Korean and English, counted from a Sunday in November."""

import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from skill_world import operation

from malmoi.assist.skills.planning.extraction import extract
from malmoi.assist.skills.planning.filling import fill
from malmoi.assist.skills.planning.telling import label_of

NOW = datetime(2026, 11, 22, 12, tzinfo=timezone(timedelta(hours=9)))


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("내일 오후 3시 반에 치과 예약", [("date", "2026-11-23"), ("time", "15:30")]),
        ("이번 주 토요일 저녁 7시", [("date", "2026-11-28"), ("time", "19:00")]),
        ("3일 뒤 렌터카 한 대", [("date", "2026-11-25"), ("number", 1)]),
        ("3만 5천원 이하로", [("number", 35000)]),
        ("1.5억의 3%", [("number", 150000000), ("number", 3)]),
        ("next monday at 3pm", [("date", "2026-11-23"), ("time", "15:00")]),
        ("in 3 days 10:30", [("date", "2026-11-25"), ("time", "10:30")]),
        ("5th of January", [("date", "2027-01-05")]),
        ("25일에 회의", [("date", "2026-11-25")]),
        ("모레 밤 12시", [("date", "2026-11-24"), ("time", "00:00")]),
        ("10시간 걸려", [("number", 10)]),
        ("일 때문에 힘들어", []),
        ("kim@example.com에게 '회의 변경' 보내줘", [("email", "kim@example.com"), ("quoted", "회의 변경")]),
    ],
)
def test_values(query: str, values: list[tuple[str, object]]) -> None:
    assert [(one.kind, one.value) for one in extract(query, NOW).values] == values


@pytest.mark.parametrize(
    ("query", "span"),
    [
        ("다음 주 금요일부터 2박 3일 제주", ("2026-11-27", "2026-11-29")),
        ("12월 3일부터 5일까지 두 명", ("2026-12-03", "2026-12-05")),
        ("12월 30일부터 2일까지", ("2026-12-30", "2027-01-02")),
        ("book from Dec 5 to Dec 8 for two people", ("2026-12-05", "2026-12-08")),
        ("내일 서울", None),
    ],
)
def test_ranges(query: str, span: tuple[str, str] | None) -> None:
    assert extract(query, NOW).range == span


def test_a_weekday_that_ends_a_range_is_of_the_same_week() -> None:
    friday = datetime(2026, 11, 20, 10, tzinfo=NOW.tzinfo)
    found = extract("다음 주 수요일부터 금요일 사이에", friday)
    assert found.range == ("2026-11-25", "2026-11-27")


def test_arguments_are_called_by_their_titles_and_never_by_examples() -> None:
    schema = {
        "titled": {"type": "string", "x-malmoi-title": {"ko": "식", "en": "the expression"}},
        "shown": {"type": "string", "description": 'e.g. "2+3"'},
        "told": {"type": "string", "description": "how many. At most 5"},
    }
    made = operation("calculate", **schema)
    labels = [label_of(made, name, "ko") for name in schema]
    assert labels == ["식", "shown", "how many"]


def test_values_and_days_are_known_by_what_people_call_them() -> None:
    city = {"enum": ["jeju", "seoul"], "x-malmoi-words": {"jeju": ["제주"], "seoul": ["서울"]}}
    made = operation(
        "remind",
        "write",
        ("city", "start"),
        city=city,
        start={"type": "string", "x-malmoi-form": "moment"},
        only_on={"type": "string", "format": "date", "x-malmoi-form": "none"},
    )
    query = "내일 오후 3시에 제주에서 보자"
    assert fill(made, query, extract(query, NOW), NOW) == {"city": "jeju", "start": "2026-11-23T15:00"}


def test_the_day_that_is_needed_comes_before_the_one_that_is_counted_from() -> None:
    day = {"type": "string", "format": "date"}
    made = operation("days_until", "read", ("day",), **{"day": day, "from": day})
    query = "12월 25일까지 며칠 남았어"
    assert fill(made, query, extract(query, NOW), NOW) == {"day": "2026-12-25"}


def test_a_long_hostile_query_takes_no_time() -> None:
    for text in ("1" * 5000, "1일 " * 1500, '"' * 5000, "a@" * 2500, "한" * 5000, "1,1" * 1600):
        extract(text, NOW)


@pytest.mark.parametrize(
    ("query", "dates"),
    [
        ("on tueſday", ["2026-11-24"]),  # letters that match "s", "i" and "k" where case does not count
        ("FRİDAY", ["2026-11-27"]),
        ("thıs weeKend", ["2026-11-28"]),
        ("9999-12-30부터 9999-12-02까지", []),
        ("9999-12-31부터 3일간", []),
    ],
)
def test_odd_letters_and_far_days(query: str, dates: list[str]) -> None:
    assert [one.value for one in extract(query, NOW).of("date")] == dates
