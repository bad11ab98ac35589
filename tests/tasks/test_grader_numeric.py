from fractions import Fraction

import pytest

from malmoi.tasks.base import Example
from malmoi.tasks.graders import build_grader
from malmoi.tasks.graders.latex import boxed, is_equal
from malmoi.tasks.graders.numbers import last_number, parse_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("그래서 18", 18), ("$1,234,567.50", "1234567.5"), ("-3", -3), ("−3", -3), ("5-3", 3),
        ("x = -7.", -7),
        ("3/4", "3/4"), ("1 1/2", "3/2"), (r"\frac{3}{4}", "3/4"),
        (r"\boxed{\frac{1}{2}} 끝 9", "1/2"), ("12%", 12),
        ("1.5e3", 1500), (".5", "0.5"), ("3만 5천 원", 35000),
        ("1억 2,000만 원", 120_000_000),
        ("1.5만 명", 15000), ("5천", 5000), ("3만큼", 3), ("3 천사", 3), ("2024년 5월", 5), ("3개와 5개", 5),
        ("모두 열두 개입니다.", 12), ("답은 스물한 살이에요", 21), ("정답: 삼백이십", 320),
        ("합은 만 오천이다.", 15000),
        ("이것은 모른다", None), ("아이가 이사를 갔다", None), ("", None), ("₩12,000", 12000), ("1,2", 2),
        ("1/0", 1), ("10:30", 30), ("가격은 $5이다.", 5), ("99999999999999999999", 99999999999999999999),
    ],
    ids=range(34),
)  # fmt: skip
def test_the_last_number(text: str, number: int | str | None) -> None:
    assert last_number(text) == (None if number is None else Fraction(number))


def test_the_first_number() -> None:
    assert parse_number("7개와 9개") == 7


@pytest.mark.parametrize(
    ("answer", "strict", "flexible"),
    [
        ("18 - 9 = 9\n#### 18", 1, 1),
        ("The answer is 18.", 0, 1),
        ("#### 1,8", 0, 0),
        ("#### $18.00", 1, 1),
        ("#### 18\n\nQuestion: 5", 1, 0),
        ("it is 19", 0, 0),
        ("모르겠다", 0, 0),
        ("답은 열여덟 개입니다.", 0, 1),
        ("####", 0, 0),
    ],
    ids=range(9),
)
def test_gsm8k_is_read_in_two_ways(answer: str, strict: float, flexible: float) -> None:
    example = Example(id="1", question="?", answer="9 + 9 = <<9+9=18>>18\n#### 18")
    grader = build_grader({"kind": "numeric"})
    assert grader.grades(example, answer) == {"strict": strict, "flexible": flexible}
    assert grader.grade(example, answer) == flexible
    assert build_grader({"kind": "numeric", "main": "strict"}).grade(example, answer) == strict


def test_tolerance_is_relative() -> None:
    example = Example(id="1", question="?", answer="3.14159")
    assert build_grader({"kind": "numeric"}).grade(example, "3.14") == 0
    assert build_grader({"kind": "numeric", "tolerance": 0.01}).grade(example, "3.14") == 1


@pytest.mark.parametrize("length", [10_000, 300_000])
@pytest.mark.parametrize("unit", ["1,", "9 ", "3만 ", "\\frac{", "\\boxed{", "열 ", "((", "1/"])
def test_long_answers_are_read_quickly(unit: str, length: int) -> None:
    import time

    example = Example(id="1", question="?", answer="7")
    started = time.process_time()
    for kind in ("numeric", "latex", "choice", "exact"):
        build_grader({"kind": kind}).grade(example, unit * (length // len(unit)))
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        (r"so $\boxed{\frac{1}{2}}$", r"\frac{1}{2}"),
        (r"\boxed{1} then \boxed{2}", "2"),
        (r"\fbox{3}", "3"),
        (r"\boxed 7$ is it", "7"),
        (r"\boxed{open", None),
        ("none", None),
    ],
    ids=range(6),
)
def test_boxes(text: str, inside: str | None) -> None:
    assert boxed(text) == inside


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (r"\dfrac{1}{2}", r"\frac12", True), ("1/2", r"\frac{1}{2}", True), ("0.5", r"\frac{1}{2}", True),
        ("1,000", "1000", True), (r"90^\circ", "90", True), (r"\$5.00", "5", True),
        (r"\left( 3, 4 \right)", "(3,4)", True), ("x=5", "5", True), (r"10\text{ cm}", "10", True),
        (r"\text{Evelyn}", "Evelyn", True), (r"\sqrt2", r"\sqrt{2}", True),
        (r"-\frac{1}{2}", r"\frac{-1}{2}", True),
        ("3", "4", False), (r"\frac{1}{3}", "0.33", False), ("(1,2)", "(2,1)", False), ("x+1", "x", False),
        ("50\\%", "50", True), (".5", "0.5", True), (r"\frac{2}{4}", r"\frac{1}{2}", True),
    ],
    ids=range(19),
)  # fmt: skip
def test_expressions(one: str, other: str, equal: bool) -> None:
    assert is_equal(one, other) is equal


@pytest.mark.parametrize(
    ("answer", "grade"),
    [
        (r"We get $\boxed{\frac{3}{4}}$.", 1),
        ("Final Answer: The final answer is $0.75$. I hope it is correct.", 1),
        ("정답은 3/4", 1),
        ("3/4", 1),
        (r"$\boxed{\frac{4}{3}}$", 0),
        ("", 0),
    ],
    ids=range(6),
)
def test_latex_answers(answer: str, grade: float) -> None:
    example = Example(id="1", question="?", answer=r"Thus it is $\boxed{\dfrac{3}{4}}$.")
    assert build_grader({"kind": "latex"}).grade(example, answer) == grade
