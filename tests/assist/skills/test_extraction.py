"""What a query says in so many words, in Korean and English, counted from a Sunday in November."""

from datetime import datetime, timedelta, timezone

import pytest

from malmoi.assist.skills.planning.extraction import extract

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


def test_a_long_hostile_query_takes_no_time() -> None:
    for text in ("1" * 5000, "1일 " * 1500, '"' * 5000, "a@" * 2500, "한" * 5000, "1,1" * 1600):
        extract(text, NOW)
