import pytest
from pydantic import BaseModel

from malmoi.core.errors import InvalidInput
from malmoi.core.rows import read_rows


class Entry(BaseModel):
    id: str
    count: int = 0


class Plain(BaseModel):
    count: int


def test_rows_come_in_order_and_blank_lines_are_left_out() -> None:
    rows = read_rows('{"id": "b"}\n\n{"id": "a\u2028c", "count": 2}\n', Entry, name="x.jsonl")
    assert rows == [Entry(id="b"), Entry(id="a\u2028c", count=2)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"id": "a"}\n{"id": "b", "count": "many"}', r"x\.jsonl: line 2, count: "),
        ('{"id": "a"}\n\n{"id": "a"}', r"x\.jsonl: line 3: 'a' is there already"),
        ("{", r"x\.jsonl: line 1: "),
    ],
)
def test_a_wrong_row_is_named_by_its_line(text: str, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        read_rows(text, Entry, name="x.jsonl")


def test_rows_without_ids_may_be_alike() -> None:
    assert len(read_rows('{"count": 1}\n{"count": 1}', Plain, name="x.jsonl")) == 2
