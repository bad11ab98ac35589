"""Days of the Korean calendar, checked against dates that are widely published."""

from datetime import UTC, date, datetime

import pytest

pytest.importorskip("holidays")
pytest.importorskip("korean_lunar_calendar")

from malmoi.assist.skills.builtin.holidays.days import (
    LunarDate,
    after_working_days,
    day_of,
    holidays_of,
    solar_terms,
    to_lunar,
    to_solar,
    working_days,
)
from malmoi.assist.skills.builtin.holidays.provider import HolidaysProvider
from malmoi.assist.skills.operation import CallContext
from malmoi.core.errors import InvalidInput

TODAY = date(2026, 11, 22)


def context(language="ko"):
    return CallContext("account", language, datetime(2026, 11, 22, 12, tzinfo=UTC))


@pytest.mark.parametrize(
    ("day", "name"),
    [
        (date(2025, 10, 6), "추석"),
        (date(2025, 10, 8), "추석 대체 휴일"),
        (date(2026, 2, 17), "설날"),
        (date(2026, 3, 2), "삼일절 대체 휴일"),
        (date(2026, 5, 24), "부처님오신날"),
        (date(2026, 5, 25), "부처님오신날 대체 휴일"),
        (date(2026, 9, 25), "추석"),
        (date(2027, 2, 7), "설날"),
    ],
)
def test_knows_public_holidays_and_their_substitutes(day, name):
    assert holidays_of(day.year, "ko")[day] == name


@pytest.mark.parametrize(
    ("solar", "lunar"),
    [
        (date(2026, 2, 17), LunarDate(2026, 1, 1)),
        (date(2026, 9, 25), LunarDate(2026, 8, 15)),
        (date(2025, 7, 25), LunarDate(2025, 6, 1, leap=True)),
        (date(2000, 2, 5), LunarDate(2000, 1, 1)),
        (date(1985, 12, 31), LunarDate(1985, 11, 20)),
    ],
)
def test_turns_lunar_dates_into_solar_ones_and_back(solar, lunar):
    assert to_solar(lunar) == solar
    assert to_lunar(solar) == lunar


def test_turns_every_day_of_some_years_there_and_back():
    for ordinal in range(date(2025, 1, 1).toordinal(), date(2026, 3, 1).toordinal()):
        day = date.fromordinal(ordinal)
        assert to_solar(to_lunar(day)) == day


@pytest.mark.parametrize(
    "lunar", [LunarDate(2026, 6, 1, leap=True), LunarDate(2026, 2, 31), LunarDate(2101, 1, 1)]
)
def test_refuses_lunar_dates_that_do_not_exist(lunar):
    with pytest.raises(InvalidInput):
        to_solar(lunar)


@pytest.mark.parametrize(
    ("year", "name", "day"),
    [
        (2024, "입춘", date(2024, 2, 4)),
        (2024, "동지", date(2024, 12, 21)),
        (2025, "입춘", date(2025, 2, 3)),
        (2025, "하지", date(2025, 6, 21)),
        (2025, "추분", date(2025, 9, 23)),
        (2025, "동지", date(2025, 12, 22)),
        (2026, "춘분", date(2026, 3, 20)),
    ],
)
def test_reckons_solar_terms(year, name, day):
    assert dict(solar_terms(year, "ko"))[name] == day


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("크리스마스", date(2026, 12, 25)),
        ("설날", date(2027, 2, 7)),
        ("Lunar New Year", date(2027, 2, 7)),
        ("추석", date(2027, 9, 15)),
        ("동지", date(2026, 12, 22)),
        ("정월 대보름", date(2027, 2, 21)),
        ("새해", date(2027, 1, 1)),
        ("아무 날", None),
    ],
)
def test_finds_days_by_their_names(name, day):
    assert day_of(name, TODAY) == day


@pytest.mark.parametrize(
    ("name", "day"), [("초복", date(2025, 7, 20)), ("중복", date(2025, 7, 30)), ("말복", date(2025, 8, 9))]
)
def test_knows_the_dog_days(name, day):
    assert day_of(name, date(2025, 1, 1)) == day


def test_counts_working_days_without_holidays():
    # 21 to 25 September 2026: Thursday and Friday are Chuseok.
    assert working_days(date(2026, 9, 21), date(2026, 9, 27)) == 3
    assert after_working_days(date(2026, 9, 23), 1) == date(2026, 9, 28)
    assert after_working_days(date(2026, 9, 28), -1) == date(2026, 9, 23)
    assert after_working_days(TODAY, 0) == TODAY


@pytest.mark.parametrize(
    ("operation", "arguments", "text"),
    [
        (
            "list_holidays",
            {"year": 2026, "month": 9},
            "2026년 9월의 공휴일은 3일입니다: 9월 24일 추석 전날, 9월 25일 추석, 9월 26일 추석 다음날",
        ),
        ("list_holidays", {"year": 2026, "month": 11}, "2026년 11월에는 공휴일이 없습니다."),
        (
            "check_day",
            {"date": "2026-05-25"},
            "2026년 5월 25일(월)은 공휴일입니다: 부처님오신날 대체 휴일. 음력 2026년 4월 9일입니다.",
        ),
        ("days_until", {"day": "크리스마스"}, "크리스마스까지 33일 남았습니다. 2026년 12월 25일(금)입니다."),
        ("days_until", {"day": "2026-11-22"}, "2026-11-22는 바로 오늘, 2026년 11월 22일(일)입니다."),
        (
            "count_working_days",
            {"start": "2026-12-01", "end": "2026-12-31"},
            "2026년 12월 1일(화)부터 2026년 12월 31일(목)까지 근무일은 22일입니다. 주말과 공휴일은 뺐습니다.",
        ),
        (
            "add_working_days",
            {"days": -2, "start": "2026-12-28"},
            "2026년 12월 28일(월)에서 근무일로 2일 앞은 2026년 12월 23일(수)입니다.",
        ),
        (
            "lunar_to_solar",
            {"month": 8, "day": 15},
            "음력 2026년 8월 15일은 양력으로 2026년 9월 25일(금)입니다.",
        ),
        ("solar_to_lunar", {"date": "2025-07-25"}, "2025년 7월 25일(금)은 음력 2025년 윤6월 1일입니다."),
    ],
)
async def test_says_what_it_found(operation, arguments, text):
    result = await HolidaysProvider().call(operation, arguments, context())
    assert result.text == text
    assert not result.is_error
    english = await HolidaysProvider().call(operation, arguments, context("en"))
    assert english.text
    assert not any("가" <= sign <= "힣" for sign in english.text.replace("크리스마스", ""))


@pytest.mark.parametrize(
    ("operation", "arguments", "text"),
    [
        ("days_until", {"day": "아무 날"}, "‘아무 날’ 날짜를 찾지 못했습니다"),
        (
            "count_working_days",
            {"start": "2026-12-02", "end": "2026-12-01"},
            "끝 날짜가 시작 날짜보다 빠릅니다.",
        ),
        ("count_working_days", {"start": "1990-01-01", "end": "2020-01-01"}, "4000일까지 셉니다."),
        ("check_day", {"date": "1800-01-01"}, "1950년부터 2050년까지만 압니다."),
        ("lunar_to_solar", {"month": 2, "day": 30, "leap": True}, "그런 음력 날짜는 없습니다."),
    ],
)
async def test_says_what_it_does_not_know(operation, arguments, text):
    result = await HolidaysProvider().call(operation, arguments, context())
    assert result.is_error
    assert result.text.startswith(text)


async def test_lists_the_terms_as_a_table():
    result = await HolidaysProvider().call("solar_terms", {"year": 2027}, context())
    (card,) = result.cards
    assert len(card.rows) == 24
    assert card.columns == ("날짜", "이름")
