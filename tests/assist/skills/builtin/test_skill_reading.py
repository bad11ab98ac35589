"""What built-in skills read out of sentences, in words that are in no evaluation."""

from datetime import datetime
from functools import cache
from time import process_time
from typing import Any

import pytest

from malmoi.assist.skills.found import builtin_skills
from malmoi.assist.skills.planning.reading import read_arguments
from malmoi.assist.skills.python import open_python
from malmoi.serve.skills.evaluation.judging import is_right

NOW = datetime(2026, 11, 20, 10)


@cache
def sources() -> dict[str, str]:
    return {one.name: one.manifest.source.python or "" for one in builtin_skills()}


def read(skill: str, operation: str, query: str) -> dict[str, Any]:
    return read_arguments(open_python(sources()[skill], {}), operation, query, NOW)


@pytest.mark.parametrize(
    ("operation", "query", "told"),
    [
        ("calculate", "24900원에서 15% 할인하면", {"expression": "24900 - 15%"}),
        ("calculate", "63만원을 7명이 나눠 내면", {"expression": "63만 / 7"}),
        ("solve", "y제곱 빼기 4y는 5, y 구해줘", {"equations": ["y^2-4y=5"]}),
        ("solve", "solve 3a+b=10 and a-b=2", {"equations": ["3a+b=10", "a-b=2"]}),
        ("derivative", "slope of x^2+1 at x = 4", {"expression": "x^2+1", "at": "4"}),
        ("integral", "1부터 5까지 2x 적분", {"expression": "2x", "lower": "1", "upper": "5"}),
        ("limit", "t가 무한대로 갈 때 (t+1)/t", {"expression": "(t+1)/t", "point": "oo", "variable": "t"}),
        ("distance", "원점하고 (6, 8) 사이", {"first": "(0, 0)", "second": "(6, 8)"}),
        (
            "measure",
            "반지름 3 높이 9 원뿔 부피",
            {"shape": "cone", "find": "volume", "sizes": {"radius": "3", "height": "9"}},
        ),
        ("matrix", "[[5,1],[2,2]] 행렬식", {"matrix": "[[5,1],[2,2]]"}),
        ("statistics", "11, 14, 19 표준편차", {"numbers": [11, 14, 19]}),
        pytest.param("statistics", f"1, {'9' * 400} 평균", {}, id="statistics-too-large"),
        ("convert_units", "열두 평이면 몇 제곱미터", {"quantity": "12평", "to": "제곱미터"}),
        ("convert_units", "how many pounds is 7 kg", {"quantity": "7kg", "to": "pounds"}),
        ("calculate", "내 인생은 몇 점", {}),
        ("derivative", "x^2 하고 x^3 중에 뭘 미분할까", {}),
    ],
)
def test_mathematics(operation: str, query: str, told: dict[str, Any]) -> None:
    given = read("math", operation, query)
    assert all(is_right(given.get(name), value, is_math=True) for name, value in told.items()), given
    assert told or not given


@pytest.mark.parametrize(
    ("skill", "operation", "query", "told"),
    [
        ("holidays", "list_holidays", "내후년 3월 빨간 날", {"year": 2028, "month": 3}),
        ("holidays", "days_until", "화이트데이 며칠 남았어", {"day": "화이트데이"}),
        ("holidays", "add_working_days", "영업일로 보름 뒤", {"days": 15}),
        ("holidays", "add_working_days", "7 business days before that", {"days": -7}),
        ("holidays", "lunar_to_solar", "음력 섣달 초이레", {"month": 12, "day": 7}),
        ("calendar", "create_event", "내일 오후 4시에 이발 넣어줘", {"title": "이발"}),
        (
            "calendar",
            "create_event",
            "add parents' evening on Thursday at 6pm",
            {"title": "parents' evening"},
        ),
        ("mail", "search_mail", "오 대리가 보낸 출장비 관련 메일", {"from": "오", "query": "출장비"}),
        ("mail", "search_mail", "emails from Nora about the lease", {"from": "Nora", "query": "lease"}),
        ("table", "make_table", "품목별로 수량 합계", {"group_by": "품목", "sum": ["수량"]}),
        ("table", "make_table", "이름이랑 반만 남겨줘", {"columns": ["이름", "반"]}),
        ("code", "run_python", "돌려봐\nprint(3 ** 4)", {"code": "print(3 ** 4)"}),
        ("code", "run_python", "원 그래프 그려줘", {}),
    ],
)
def test_days_events_mails_tables_and_programs(
    skill: str, operation: str, query: str, told: dict[str, Any]
) -> None:
    assert read(skill, operation, query) == told


@pytest.mark.parametrize(
    ("skill", "operation", "query"),
    [
        pytest.param("calendar", "create_event", f"일정{' ' * 3990}", id="calendar-blanks"),
        pytest.param("calendar", "create_event", f"{'add ' * 500}{' ' * 2000}", id="calendar-verbs"),
        pytest.param("mail", "search_mail", "가지난" * 1300, id="mail-words"),
        pytest.param("table", "make_table", "와" * 4000, id="table-joints"),
        pytest.param("table", "make_table", "가, " * 1333, id="table-names"),
        pytest.param("math", "limit", f"x{' ' * 1300}{'9' * 1300}{' ' * 1300}", id="math-blanks"),
        pytest.param("math", "convert_units", "9" * 4000, id="math-figures"),
        pytest.param("holidays", "lunar_to_solar", f"음력{' ' * 2000}12{' ' * 1900}월", id="holidays-blanks"),
    ],
)
def test_no_sentence_takes_long_to_read(skill: str, operation: str, query: str) -> None:
    began = process_time()
    read(skill, operation, query)
    assert process_time() - began < 5


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("이름하고   반, 점수만 남겨", {"columns": ["이름", "반", "점수"]}),
        ("사과와 배만 보여줘", {"columns": ["사과", "배"]}),
        ("name, age만", {"columns": ["name", "age"]}),
        ("과목만 보여줘", {}),
    ],
)
def test_columns_joined_by_words(query: str, told: dict[str, Any]) -> None:
    assert read("table", "make_table", query) == told


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (
            "이 코드 실행해서 그려줘: import matplotlib.pyplot as plt\nplt.plot([1, 2])",
            "import matplotlib.pyplot as plt\nplt.plot([1, 2])",
        ),
        ("아래 것 돌려 줘 for i in range(3):\n    print(i)", "for i in range(3):\n    print(i)"),
        ("돌려줘: 합 = 3 + 4\nprint(합)", "합 = 3 + 4\nprint(합)"),
        ("for i in range(3):\n    print(i)", "for i in range(3):\n    print(i)"),
        ("run this: a = 3\nprint(a)", "a = 3\nprint(a)"),
        ("이 코드 실행 결과가 뭐야?\nprint(2**10)", "print(2**10)"),
        ("이 코드 돌려줘: python\nprint(1)", "print(1)"),
        ("run:\nprint(1)", "print(1)"),
        ("이 글을 요약해줘: hello (there)\nand good bye", None),
    ],
)
def test_a_program_may_begin_behind_words(query: str, code: str | None) -> None:
    assert read("code", "run_python", query).get("code") == code


def test_a_long_line_is_no_program_and_takes_no_time() -> None:
    began = process_time()
    assert read("code", "run_python", "그려줘: x = (" * 300 + "\nprint(1)") == {"code": "print(1)"}
    assert process_time() - began < 1
