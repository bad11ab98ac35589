"""Marks of a model are cut out of its text, however it is cut into pieces."""

from itertools import pairwise

import pytest

from malmoi.assist.retrieval.citations import Mark, MarkCutter
from malmoi.assist.retrieval.statements import LONGEST, statements

CASES = [
    (
        "임기는 5년입니다. [1] 중임은 없습니다. [2, 3]",
        "임기는 5년입니다. 중임은 없습니다.",
        [(1, 10), (2, 20), (3, 20)],
    ),
    ("임기는 5년입니다[1].", "임기는 5년입니다.", [(1, 9)]),
    ("`items[1]`은 둘째다. [2]", "`items[1]`은 둘째다.", [(2, 16)]),
    ("```\na = b[0]\n```\n끝 [1]", "```\na = b[0]\n```\n끝", [(1, 18)]),
    ("[링크](https://a.example) [x] [12", "[링크](https://a.example) [x] [12", []),
    ("[999]번", "번", [(999, 0)]),
    ("", "", []),
]
IDS = ["two", "before-the-stop", "code", "fence", "no-marks", "unknown", "empty"]


@pytest.mark.parametrize(("raw", "shown", "marks"), CASES, ids=IDS)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000], ids=str)
def test_marks_are_cut_out(raw: str, shown: str, marks: list[tuple[int, int]], size: int) -> None:
    cutter = MarkCutter()
    told = [cutter.feed(raw[at : at + size]) for at in range(0, len(raw), size)]
    told.append(cutter.finish())
    assert "".join(told) == cutter.text == shown
    assert cutter.marks == [Mark(number, at) for number, at in marks]


def test_text_is_not_held_back_longer_than_a_mark_may_be() -> None:
    cutter = MarkCutter()
    assert cutter.feed("임기는") == "임기는"
    assert cutter.feed(" [") == ""
    assert cutter.feed("아니") == " [아니"


def test_statements_have_exact_places() -> None:
    text = "제1조 ① 대한민국은 민주공화국이다.\n②주권은 국민에게 있다.  끝"
    assert [text[start:end] for start, end in statements(text)] == [
        "제1조 ① 대한민국은 민주공화국이다.",
        "②주권은 국민에게 있다.",
        "끝",
    ]


def test_a_long_statement_is_cut_where_it_pauses() -> None:
    text = ", ".join(f"{number}번 항목은 이렇게 정한다" for number in range(60))
    parts = statements(text)
    assert len(parts) > 1
    assert all(end - start <= LONGEST for start, end in parts)
    assert all(text[before:after] == " " for (_, before), (after, _) in pairwise(parts))
