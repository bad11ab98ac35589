"""The mathematics skill: what people write is read right, worked out right, and never run as code."""

from datetime import UTC, datetime

import pytest

pytest.importorskip("sympy")
pytest.importorskip("pint")

from malmoi.assist.skills.builtin.math import work as math_work
from malmoi.assist.skills.builtin.math.parsing import read
from malmoi.assist.skills.builtin.math.provider import MathProvider
from malmoi.assist.skills.builtin.math.reading import plain_spelling
from malmoi.assist.skills.builtin.math.refused import Refused
from malmoi.assist.skills.operation import CallContext

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def context(language="ko"):
    return CallContext("account", language, NOW)


def calculate(expression, **more):
    return math_work.work("calculate", {"expression": expression, **more})["data"]["result"]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("3억 5천만의 15%", "52500000"),
        ("3억 5천", "350000000"),
        ("1.5조", "1500000000000"),
        ("2만 3,500 + 1", "23501"),
        ("1억 2천원", "120000000"),
        ("1억 2345만 6789", "123456789"),
        ("삼십오 더하기 십이", "47"),
        ("3분의 2 + 1/4", "11/12"),
        ("5만원에서 20% 할인", "40000"),
        ("50000 + 10%", "55000"),
        ("3할 5푼", "0.35"),
        ("2의 10제곱", "1024"),
        ("-2^2", "-4"),
        ("2^3^2", "512"),
        ("1/2*4", "2"),
        ("2(3+4)(1-2)", "-14"),
        ("7 % 3", "1"),
        ("0.1 + 0.2", "0.3"),
        ("1,234,567 × 2", "2469134"),
        ("sin 30° + cos(60°)", "1"),
        ("log 1000", "3"),
        ("ln e^2", "2"),
        ("log_2 8", "3"),
        ("√50", "5√2"),
        (r"\frac{1}{2} + \sqrt{9}", "7/2"),
        ("5C2 + 5P2", "30"),
        ("10! / 8!", "90"),
        ("|3 - 10|", "7"),
        ("e^(iπ)", "-1"),
        ("round(2.5)", "3"),
        ("2+3=?", "5"),
        ("½ + ¼", "3/4"),
        ("3만 5천원 × 12개월", "420000"),
        ("삼분의 일", "1/3"),
        ("(-8)^(1/3)", "-2"),
        ("√-4", "2i"),
        ("(1/3)^5000", "2.475861814 × 10^-2386"),
    ],
)
def test_reads_numbers_as_people_write_them(expression, value):
    assert calculate(expression) == value


def test_takes_plain_angles_as_it_is_told():
    assert calculate("sin 90", angles="degrees") == "1"
    assert calculate("sin 90") != "1"


@pytest.mark.parametrize(
    ("expression", "key"),
    [
        ("9**9**9", "too_large"),
        ("(9^999)^9999", "too_large"),
        ("99999!", "too_large"),
        ("1/0", "zero_division"),
        ("0^-1", "zero_division"),
        ("x + 1", "unknown_names"),
        ("3시간 + 20분", "mixed_times"),
        ("__import__('os').system('id')", "not_mathematics"),
        ("lambda: 1", "not_mathematics"),
        ("1 + ", "not_mathematics"),
        ("(" * 100 + "1" + ")" * 100, "too_deep"),
        ("1+" * 500 + "1", "too_long"),
        ("9" * 400, "too_large"),
        ("x = 3", "equation_given"),
        ("(1, 2", "missing"),
        ("1.2.3", "not_mathematics"),
        ("sqrt(2)^100000", "too_large"),
        ("sin ∞", "not_a_number"),
        ("2.5!", "factorial"),
    ],
)
def test_refuses_what_is_too_much_or_no_mathematics(expression, key):
    with pytest.raises(Refused) as refused:
        calculate(expression)
    assert refused.value.key == key


def test_never_evaluates_a_name():
    # A name of Python becomes an unknown, a sympy function that the parser does not know as well.
    reading = read(plain_spelling("Symbol + preorder"))
    assert reading.names == ["Symbol", "preorder"]


@pytest.mark.parametrize(
    ("equations", "unknowns", "solutions"),
    [
        (["x^2-5x+6=0"], [], ["2", "3"]),
        (["2x+3=7"], [], ["2"]),
        (["닭+토끼=35", "2닭+4토끼=94"], ["닭", "토끼"], [{"닭": "23", "토끼": "12"}]),
        (["x^2+y^2=25", "x+y=7"], [], [{"x": "3", "y": "4"}, {"x": "4", "y": "3"}]),
        (["x+1=x"], [], []),
        (["e + i = 3", "e - i = 1"], ["e", "i"], [{"e": "2", "i": "1"}]),
    ],
)
def test_solves_equations(equations, unknowns, solutions):
    told = math_work.work("solve", {"equations": equations, "unknowns": unknowns})
    assert told["data"]["solutions"] == solutions


def test_solves_what_has_no_formula_by_numbers():
    told = math_work.work("solve", {"equations": ["cos x = x"]})
    assert told["data"]["solutions"] == ["0.7390851332"]
    assert "numeric" in told["remarks"]


@pytest.mark.parametrize(
    ("inequality", "solution"),
    [
        ("x^2 < 4", "-2 < x < 2"),
        ("|x-3| >= 2", "x ≤ 1 / 5 ≤ x"),
        ("0 < x < 5", "0 < x < 5"),
        ("x^2 < -1", "none"),
        ("x^2 >= 0", "all real numbers"),
    ],
)
def test_solves_inequalities(inequality, solution):
    assert math_work.work("solve", {"equations": [inequality]})["data"]["solution"] == solution


def test_says_what_a_quadratic_is_solved_with():
    steps = dict(math_work.work("solve", {"equations": ["x^2-5x+6=0"]})["steps"])
    assert steps["discriminant"]["latex"] == r"D = b^2 - 4ac = (-5)^2 - 4 \cdot (1) \cdot (6) = 1"


@pytest.mark.parametrize(
    ("operation", "arguments", "key", "value"),
    [
        ("derivative", {"expression": "x^3+2x", "at": "2"}, "value", "14"),
        ("derivative", {"expression": "f(x) = ln x"}, "derivative", "1/x"),
        ("derivative", {"expression": "|x|"}, "derivative", "sign(x)"),
        ("integral", {"expression": "x^2", "lower": "0", "upper": "3"}, "value", "9"),
        ("integral", {"expression": "e^(-x^2)", "lower": "-oo", "upper": "oo"}, "value", "√π"),
        ("integral", {"expression": "cos(3x)"}, "antiderivative", "sin(3x)/3 + C"),
        ("limit", {"expression": "sin x / x", "point": "0"}, "limit", "1"),
        ("limit", {"expression": "1/x", "point": "0"}, "limit", None),
        ("limit", {"expression": "1/x", "point": "0", "side": "right"}, "limit", "∞"),
        ("series", {"expression": "1/(1-x)", "order": 3}, "series", "x^2 + x + 1 + …"),
        ("rewrite", {"expression": "x^2+5x+6", "form": "factor"}, "result", "(x + 2)·(x + 3)"),
        ("rewrite", {"expression": "(x+1)^2", "form": "expand"}, "result", "x^2 + 2x + 1"),
        ("matrix", {"task": "determinant", "matrix": "[[1,2],[3,4]]"}, "result", "-2"),
        ("matrix", {"task": "rank", "matrix": "1 2; 2 4"}, "result", 1),
        ("matrix", {"task": "inverse", "matrix": "[[2,1],[5,3]]"}, "result", [["3", "-1"], ["-5", "2"]]),
        ("matrix", {"task": "inverse", "matrix": "[[1,2],[2,4]]"}, "result", None),
        ("whole_numbers", {"task": "gcd", "numbers": [48, 180]}, "result", 12),
        ("whole_numbers", {"task": "is_prime", "numbers": [561]}, "result", False),
        ("whole_numbers", {"task": "factorize", "numbers": [360]}, "factors", {"2": 3, "3": 2, "5": 1}),
        ("statistics", {"numbers": [4, 8, 15, 16, 23, 42]}, "median", "15.5"),
        (
            "measure",
            {"shape": "triangle", "find": "area", "sizes": {"a": "3", "b": "4", "c": "5"}},
            "result",
            "6",
        ),
        ("measure", {"shape": "circle", "find": "area", "sizes": {"radius": "5"}}, "result", "25π"),
    ],
)
def test_works_out_the_rest(operation, arguments, key, value):
    assert math_work.work(operation, arguments)["data"][key] == value


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [
        ("(1,2)", "3x+4y=5", "6/5"),
        ("3x+4y=5", "A(1,2)", "6/5"),
        ("(1,2)", "(4,6)", "5"),
        ("원점", "x+y=4", "2√2"),
        ("(1,2,3)", "x+2y+2z=3", "8/3"),
        ("y=2x+1", "y=2x-4", "√5"),
        ("2x+4y=2", "x+2y=6", "√5"),
        ("x+y+z=1", "x+y+z=4", "√3"),
        ("y=x", "y=-x", "0"),
        ("(3,4)", "x축", "4"),
        ("원점", "(2,3,6)", "7"),
    ],
)
def test_measures_distances(first, second, distance):
    assert math_work.work("distance", {"first": first, "second": second})["data"]["distance"] == distance


@pytest.mark.parametrize(
    ("quantity", "to", "value"),
    [
        ("121평", "제곱미터", "400"),
        ("98.6℉", "℃", "37"),
        ("섭씨 36.5도", "화씨", "97.7"),
        ("5피트 11인치", "cm", "180.34"),
        ("고기 두 근", "kg", "1.2"),
        ("금 3돈", "g", "11.25"),
        ("시속 100킬로미터", "km/h", "100"),
        ("10리", "km", "3.927273"),
        ("84㎡", "평", "25.41"),
        ("1시간 30분", "분", "90"),
        ("2.5 tonnes", "kg", "2500"),
        ("1GB", "MB", "1000"),
    ],
)
def test_converts_units_by_the_names_people_use(quantity, to, value):
    assert math_work.work("convert_units", {"quantity": quantity, "to": to})["data"]["value"] == value


@pytest.mark.parametrize(
    ("quantity", "to", "key"),
    [
        ("100달러", "원", "money"),
        ("3 kg", "m", "units_differ"),
        ("3 flurbs", "m", "no_unit"),
        ("1e400 km", "m", "too_large"),
        ("3 __class__", "m", "no_unit"),
        ("many", "m", "no_quantity"),
    ],
)
def test_refuses_units_that_do_not_fit(quantity, to, key):
    with pytest.raises(Refused) as refused:
        math_work.work("convert_units", {"quantity": quantity, "to": to})
    assert refused.value.key == key


async def test_says_results_and_refusals_in_the_callers_language():
    provider = MathProvider()
    arguments = {"first": "(1,2)", "second": "3x+4y=5"}
    korean = await provider.call("distance", arguments, context("ko"))
    english = await provider.call("distance", arguments, context("en"))
    refused = await provider.call("calculate", {"expression": "9^9^9"}, context("ko"))
    await provider.close()
    assert korean.text == "(1,2)와 3x+4y=5 사이의 거리는 6/5 (약 1.2)입니다."
    assert english.text == "The distance between (1,2) and 3x+4y=5 is 6/5 (about 1.2)."
    assert korean.data == {"distance": "6/5", "decimal": "1.2"}
    (card,) = korean.cards
    assert card.kind == "formula"
    assert card.subtitle == r"$$d = \frac{6}{5}$$"
    assert card.fields[0] == ("공식", r"$d = \frac{|ax_0 + by_0 + c|}{\sqrt{a^2 + b^2}}$")
    assert refused.is_error
    assert refused.text == "3000자리를 넘는 수가 나와서 계산하지 않았습니다."


def test_has_every_sentence_in_both_languages():
    import tomllib
    from importlib.resources import files

    texts = tomllib.loads(
        files("malmoi.assist.skills.builtin.math").joinpath("texts.toml").read_text("utf-8")
    )
    assert texts["ko"].keys() == texts["en"].keys()
