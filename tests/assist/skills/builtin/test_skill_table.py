"""Tables out of documents: narrowed as asked, written so that no cell is a formula."""

import io
from datetime import UTC, datetime

import pytest

from malmoi.assist.skills.builtin.refusals import SkillRefused
from malmoi.assist.skills.builtin.table.grid import Grid, column, grid_of, group, number, sort, where
from malmoi.assist.skills.builtin.table.patterns import tables_in
from malmoi.assist.skills.builtin.table.provider import TableProvider
from malmoi.assist.skills.builtin.table.writing import markdown, write
from malmoi.assist.skills.operation import CallContext
from malmoi.core.errors import NotFound

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SALES = [
    ["지점", "월", "매출"],
    ["서울", "1월", "1,200,000원"],
    ["부산", "1월", "800,000원"],
    ["서울", "2월", "△50,000원"],
    ["제주", "2월", ""],
]


class MyDocuments:
    """Documents of one account."""

    async def text(self, document_id):
        return {"list": "할 일\n- 보고서 쓰기 - 김하늘\n- 표 만들기 - 이바다\n"}[document_id]

    async def tables(self, document_id):
        if document_id == "list":
            return []
        if document_id != "sales":
            raise NotFound(f"no document {document_id!r}.")
        return [SALES]


def context(language="ko", documents=True):
    return CallContext("account", language, NOW, documents=MyDocuments() if documents else None)


async def make(language="ko", operation="make_table", **arguments):
    return await TableProvider().call(operation, arguments, context(language))


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1,234원", 1234),
        ("△3.5%", -3.5),
        ("(1,000)", -1000),
        ("-5", -5),
        ("₩2,000", 2000),
        ("010-1234", None),
        ("2026-11-22", None),
        ("", None),
        ("셋", None),
        ("12,34", None),
    ],
)
def test_reads_numbers_of_cells(cell, value):
    assert number(cell) == value


def test_names_columns_only_by_a_row_of_names():
    assert grid_of(SALES).columns == ("지점", "월", "매출")
    assert grid_of([["1", "2"], ["3", "4"]]).columns == ("열 1", "열 2")
    assert grid_of([["이름", "이름", ""], ["가", "나", "다"]]).columns == ("이름", "이름 (2)", "열 3")
    assert grid_of([["2025", "2026"], ["1", "2"]]).columns == ("2025", "2026")
    assert grid_of([["부서", "1분기"], ["영업", "1200"]]).columns == ("부서", "1분기")
    assert grid_of([["이름"], ["가", "나"]]) == Grid(("이름", "열 2"), (("가", "나"),))
    assert grid_of([]) == Grid((), ())


def test_finds_columns_by_most_of_their_name():
    sales = grid_of([["매출액(원)", "매입액(원)"], ["1", "2"], ["3", "4"]])
    assert column(sales, "매출") == 0
    with pytest.raises(SkillRefused) as refused:
        column(sales, "원")
    assert refused.value.values["known"] == "매출액(원), 매입액(원)"


@pytest.mark.parametrize(
    ("condition", "count"),
    [
        ({"column": "매출", "is": ">", "value": "900000"}, 1),
        ({"column": "매출", "is": "<", "value": "0"}, 1),
        ({"column": "매출", "is": "=", "value": "800,000"}, 1),
        ({"column": "매출", "is": "!=", "value": "800000"}, 3),
        ({"column": "지점", "is": "contains", "value": "서"}, 2),
        ({"column": "지점", "is": "=", "value": " 서울 "}, 2),
        ({"column": "지점", "is": ">", "value": "3"}, 0),
    ],
)
def test_filters_rows(condition, count):
    assert len(where(grid_of(SALES), [condition]).rows) == count


def test_sorts_numbers_by_size_and_puts_empty_cells_last():
    ordered = sort(grid_of(SALES), "매출", descending=True)
    assert [row[2] for row in ordered.rows] == ["1,200,000원", "800,000원", "△50,000원", ""]


def test_groups_and_adds_up():
    grouped = group(grid_of(SALES), "지점", ["매출"], "개수")
    assert grouped.columns == ("지점", "개수", "매출")
    assert grouped.rows == (("서울", "2", "1,150,000"), ("부산", "1", "800,000"), ("제주", "1", "0"))


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("| 가 | 나 |\n|---|:-:|\n| 1 | 2 |", [["가", "나"], ["1", "2"]]),
        ("이름\t나이\n하늘\t30", [["이름", "나이"], ["하늘", "30"]]),
        (
            "이름: 하늘\n나이: 30\n\n이름: 바다\n사는 곳： 부산",
            [["이름", "나이", "사는 곳"], ["하늘", "30", ""], ["바다", "", "부산"]],
        ),
        ("1. 사과 - 3개\n2. 배 - 1,200개\n", [["사과", "3개"], ["배", "1,200개"]]),
    ],
)
def test_finds_tables_in_plain_text(text, table):
    ((cells, _),) = tables_in(text)
    assert cells == table


@pytest.mark.parametrize(
    "text",
    ["", "그냥 이어지는 글이다. 표는 없다.", "회의는 10:30에 시작한다.\n11:00 끝", "https://a.example/b: x"],
)
def test_finds_no_table_in_running_text(text):
    assert tables_in(text) == []


async def test_makes_the_table_that_is_asked_for():
    result = await make(
        document="sales",
        where=[{"column": "매출", "is": ">", "value": "0"}],
        sort_by="매출",
        columns=["매출", "지점"],
        sum=["매출"],
        name="../매출 ;표",
    )
    (file,) = result.files
    assert file.name == "매출 표.md"
    assert file.content.decode() == (
        "| 매출 | 지점 |\n| --- | --- |\n| 800,000원 | 부산 |\n| 1,200,000원 | 서울 |\n| 2,000,000 | 합계 |\n"
    )
    assert result.text == "3행 2열의 표를 만들었습니다: 매출 표.md"
    assert result.cards[0].rows[-1] == ("2,000,000", "합계")


def test_writes_workbooks_in_which_nothing_is_a_formula():
    openpyxl = pytest.importorskip("openpyxl")
    cells = (
        '=HYPERLINK("http://evil.example")',
        "+1+1",
        "-cmd|' /C calc'!A0",
        "@SUM(A1)",
        "-5",
        "1,234",
        "007",
    )
    file = write(Grid(("=A1", "b", "c", "d", "e", "f", "g"), (cells,)), "xlsx", "x")
    sheet = openpyxl.load_workbook(io.BytesIO(file.content)).active
    row = [cell.value for cell in sheet[2]]
    assert row == [*cells[:4], -5, 1234, "007"]
    assert [cell.data_type for cell in sheet[2]] == ["s", "s", "s", "s", "n", "n", "s"]
    assert all(cell.quotePrefix for cell in sheet[2][:4])
    assert sheet["A1"].data_type == "s"


def test_writes_documents_and_markdown_that_hold():
    docx = pytest.importorskip("docx")
    grid = Grid(("이름", "값"), (("a|b", "<b>\x00"),))
    document = docx.Document(io.BytesIO(write(grid, "docx", "표").content))
    assert [cell.text for cell in document.tables[0].rows[1].cells] == ["a|b", "<b>"]
    assert "| a\\|b | &lt;b>" in markdown(grid)


async def test_makes_tables_of_lists_where_a_document_has_none():
    result = await make(document="list")
    assert result.cards[0].columns == ("열 1", "열 2")
    assert result.cards[0].rows == (("보고서 쓰기", "김하늘"), ("표 만들기", "이바다"))


async def test_lists_the_tables_of_a_document():
    result = await make(operation="list_tables", document="sales")
    assert result.data == {"tables": [{"table": 1, "columns": ["지점", "월", "매출"], "rows": 4}]}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"text": "표가 없는 글이다."}, "No table"),
        ({}, "There is no document"),
        ({"document": "sales", "table": 2}, "There is no table 2; there are 1."),
        ({"document": "sales", "columns": ["이익"]}, "There is no column 이익."),
        ({"document": "sales", "where": [{"column": "지점", "is": "=", "value": "대구"}]}, "No row"),
    ],
)
async def test_says_what_it_cannot_do(arguments, text):
    result = await make("en", **arguments)
    assert result.is_error
    assert result.text.startswith(text)


async def test_sees_no_documents_but_the_callers():
    with pytest.raises(NotFound):
        await make(document="theirs")
    result = await TableProvider().call("make_table", {"document": "sales"}, context(documents=False))
    assert result.is_error
