"""Numbers, dates and list marks as people see them; regions of sheets."""

import pytest

from malmoi.assist.retrieval.parsing.delimited import find_delimiter
from malmoi.assist.retrieval.parsing.numberformat import CellFormats
from malmoi.assist.retrieval.parsing.numbering import Level, Numbering, written
from malmoi.assist.retrieval.parsing.regions import column_name, regions


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        ("1234.5", "General", "1234.5"),
        ("0.30000000000000004", "General", "0.3"),
        ("12345678901", "General", "12345678901"),
        ("1234567.891", "#,##0", "1,234,568"),
        ("1234567.891", "#,##0.00", "1,234,567.89"),
        ("-1234", "#,##0;[Red](#,##0)", "(1,234)"),
        ("0", '0;-0;"없음"', "없음"),
        ("0.125", "0.0%", "12.5%"),
        ("5", "000", "005"),
        ("1500", '#,##0"원"', "1,500원"),
        ("1500", "[$₩-412]#,##0", "₩1,500"),
        ("1234567", '0.0,,"백만"', "1.2백만"),
        ("2.5", "0.##", "2.5"),
        ("2", "0.##", "2"),
        ("45415", "yyyy-mm-dd", "2024-05-03"),
        ("45415.5", 'yyyy"년" m"월" d"일" h:mm', "2024-05-03 12:00"),
        ("0.5", "h:mm:ss", "12:00:00"),
        ("1.25", "[h]:mm:ss", "30:00:00"),
        ("45415", "[$-412]yyyy\\-mm", "2024-05"),
        ("12345", "0.00E+00", "12345"),
        ("abc", "0", "abc"),
        ("1e400", "0", "1e400"),
        ("99999999999", "yyyy-mm-dd", "99999999999"),
        ("-5", "yyyy-mm-dd", "1899-12-25"),
        ("7", '"글자만"', "글자만"),
    ],
    ids=lambda part: part.encode("ascii", "replace").decode(),
)
def test_numbers_are_shown_by_their_format(value: str, code: str, shown: str) -> None:
    assert CellFormats({200: code}, [200], from_1904=False).shown(value, 0) == shown


def test_days_from_1904_and_unknown_styles() -> None:
    assert CellFormats({}, [14], from_1904=True).shown("0", 0) == "1904-01-01"
    assert CellFormats({}, [], from_1904=False).shown("3.0", 77) == "3"


def test_regions_of_a_sheet() -> None:
    def sheet(*places: tuple[int, int]) -> dict[int, dict[int, str]]:
        cells: dict[int, dict[int, str]] = {}
        for row, column in places:
            cells.setdefault(row, {})[column] = f"{row},{column}"
        return cells

    two = sheet((1, 1), (1, 2), (2, 1), (1, 4), (3, 4), (9, 9))
    found = [(region.top, region.left, region.bottom, region.right) for region in regions(two)]
    assert found == [(1, 1, 2, 2), (1, 4, 1, 4), (3, 4, 3, 4), (9, 9, 9, 9)]
    diagonal = regions(sheet(*[(n, n) for n in range(1, 3001)]))
    assert len(diagonal) == 1
    assert sum(len(row) for row in diagonal[0].rows()) == 3000
    assert [column_name(n) for n in (1, 26, 27, 702, 703, 16384)] == ["A", "Z", "AA", "ZZ", "AAA", "XFD"]


@pytest.mark.parametrize(
    ("format_", "marks"),
    [
        ("decimal", ["1", "2", "20"]),
        ("ganada", ["가", "나", "바"]),
        ("lowerLetter", ["a", "b", "t"]),
        ("upperRoman", ["I", "II", "XX"]),
        ("decimalEnclosedCircle", ["①", "②", "⑳"]),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_list_marks(format_: str, marks: list[str]) -> None:
    assert [written(number, format_) for number in (1, 2, 20)] == marks


def test_lists_count_by_level() -> None:
    numbering = Numbering(
        {"1": [Level("decimal", "제%1장"), Level("ganada", "%1.%2)"), Level("bullet", "•")]}
    )
    marks = [numbering.next("1", level) for level in (0, 1, 1, 2, 0, 1)]
    assert marks == ["제1장", "1.가)", "1.나)", "", "제2장", "2.가)"]
    assert numbering.next("2", 0) == numbering.next("1", 8) == ""


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("a,b\n1,2\n", ","),
        ("a;b\n1,5;2\n3,5;4", ";"),
        ("a\tb, c\n1\t2", "\t"),
        ('"a,b"|c\n"d"|e', "|"),
        ("글뿐이다\n둘", None),
    ],
    ids=["comma", "semicolon", "tab", "bar", "none"],
)
def test_delimiters(text: str, delimiter: str | None) -> None:
    assert find_delimiter(text) == delimiter
