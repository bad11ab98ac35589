"""Logs as they come: every fault is told with file, row, column and fix, and the rest goes on."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from malmoi.core.errors import InvalidInput
from malmoi.users.data.importing import import_logs
from malmoi.users.data.report import ImportReport
from malmoi.users.data.schema import ImportSettings
from malmoi.users.logs import Logs, load_logs


def run(tmp_path: Path, sources: Sequence[dict[str, Any]], **settings: Any) -> tuple[Logs, ImportReport]:
    out, work = tmp_path / "out", tmp_path / "work"
    for folder in (out, work):
        folder.mkdir(exist_ok=True)
    checked = ImportSettings.model_validate({"sources": list(sources), **settings})
    report = import_logs(checked, out, work, base=tmp_path)
    return load_logs(out), report


def rejects(tmp_path: Path) -> list[tuple[int, str, str]]:
    lines = (tmp_path / "out" / "about" / "rejects.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert all(Path(row["file"]).is_file() for row in rows)
    return [(row["row"], row["reason"], row["value"]) for row in rows]


def test_a_row_over_several_lines_is_one_row(tmp_path: Path) -> None:
    lines = [
        b"user,item,time,title",
        b'kim,a,1,"two\nlines"',
        b",a,2,x",
        b'kim,b,3,"three\n\nlines, one blank"',
        b"kim",
        b'kim,c,yesterday,"x\ny"',
        b"kim,d,4,x",
    ]
    (tmp_path / "x.csv").write_bytes(b"\n".join(lines) + b"\n")
    logs, _ = run(tmp_path, [{"files": ["x.csv"], "time_unit": "s", "text": "title"}])
    assert logs.num_events == 3
    assert [(row, reason) for row, reason, _ in rejects(tmp_path)] == [
        (2, "user (the user) is empty"),
        (4, "the line has too few columns"),
        (5, "time is no number of seconds"),
    ]


def test_blank_lines_count_above_a_line_that_is_no_row(tmp_path: Path) -> None:
    """As the documentation says: only such a line's number counts them."""
    lines = [b"user,item,time", b"kim,a,1", b"", b"", b",b,2", b"kim", b"kim,c,3"]
    (tmp_path / "x.csv").write_bytes(b"\n".join(lines) + b"\n")
    run(tmp_path, [{"files": ["x.csv"], "time_unit": "s"}])
    assert [(row, reason) for row, reason, _ in rejects(tmp_path)] == [
        (2, "user (the user) is empty"),
        (5, "the line has too few columns"),
    ]


def test_bad_rows_of_csv_are_counted_kept_and_survived(tmp_path: Path) -> None:
    lines = [
        b"user,item,time,title",
        b"kim,a,1,x",
        b",a,2,x",
        b"kim,b",
        b"kim,,3,x",
        b"kim,b,yesterday,x",
        b"kim,b,4,x,more",
        b"kim,\xff\xfe,5,x",
        b"kim,c,,x",
        b"kim,d,6,",
    ]
    (tmp_path / "x.csv").write_bytes(b"\n".join(lines) + b"\n")
    logs, report = run(tmp_path, [{"files": ["x.csv"], "time_unit": "s", "text": "title"}])
    assert [logs.items.ids[item] for item in logs.sequence(0)] == ["a", "d"]
    assert logs.items.texts == ("x", "d")
    found = rejects(tmp_path)
    assert [(row, reason) for row, reason, _ in found] == [
        (2, "user (the user) is empty"),
        (3, "the line has too few columns"),
        (4, "item (the item) is empty"),
        (5, "time is no number of seconds"),
        (6, "the line has too many columns"),
        (7, "the line is not UTF-8"),
        (8, "time (the time) is empty"),
    ]
    assert found[3][2] == "yesterday"
    assert found[4][2] == "kim,b,4,x,more"
    assert report.bad == 7
    assert report.files[0].rows == 9
    said = "\n".join(report.lines())
    assert "bad: 1 of 9 rows of x.csv: time is no number of seconds" in said


def test_bad_rows_of_jsonl(tmp_path: Path) -> None:
    rows = [
        '{"user": "kim", "item": "a", "time": 1}',
        "{not json",
        '{"user": {"id": 3}, "item": "a", "time": 2}',
        '{"user": "kim", "item": ["a"], "time": 2}',
        '{"user": "kim", "time": 2}',
        '["kim", "a", 2]',
        '{"user": 7, "item": 8, "time": "3"}',
        '{"user": "kim", "item": "b", "time": 1e99}',
        f'{{"user": "{"k" * 1001}", "item": "b", "time": 1}}',
    ]
    (tmp_path / "x.jsonl").write_text("\n".join(rows), encoding="utf-8")
    logs, report = run(tmp_path, [{"files": ["x.jsonl"], "time_unit": "s"}])
    assert logs.users == ("kim", "7")
    assert [(row, reason) for row, reason, _ in rejects(tmp_path)] == [
        (2, "the line is no JSON object"),
        (3, "user is no text or number"),
        (4, "item is no text or number"),
        (5, "item (the item) is empty"),
        (6, "the line is no JSON object"),
        (8, "time is no number of seconds"),
        (9, "user is longer than 1000 characters"),
    ]
    assert report.bad == 7


def test_strict_stops_at_the_first_bad_row(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("user,item,time\nkim,a,1\nkim,b,soon\n", encoding="utf-8")
    for _ in range(2):  # also when the same work folder is used again
        with pytest.raises(
            InvalidInput, match=r"x\.csv, row 2: time is no number of seconds \(soon\)"
        ) as error:
            run(tmp_path, [{"files": ["x.csv"], "time_unit": "s"}], strict=True)
        assert "Mend the row" in error.value.fix


def test_a_wrong_unit_of_time_is_told_with_its_fix(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("user,item,time\nkim,a,1735722000\nkim,b,1735722001\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"none of its 2 rows .* row 1: time is no ISO 8601 time") as error:
        run(tmp_path, [{"files": ["x.csv"]}])
    assert "time_unit" in error.value.fix


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("userid,item,time\nkim,a,1\n", encoding="utf-8")
    with pytest.raises(
        InvalidInput, match=r"x\.csv: there is no column 'user' \(did you mean 'userid'"
    ) as error:
        run(tmp_path, [{"files": ["x.csv"]}])
    assert error.value.fix == 'Say in the schema which column it is: user = "NAME".'
    with pytest.raises(InvalidInput, match="the template names 'nam'"):
        run(tmp_path, [{"files": ["x.csv"], "user": "userid", "template": "{{ nam }}"}])
    with pytest.raises(InvalidInput, match="is not Jinja"):
        run(tmp_path, [{"files": ["x.csv"], "user": "userid", "template": "{{ nam"}])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", b"", "is empty"),
        ("x.csv", "사용자,item,time\n".encode("cp949"), "not UTF-8"),
        ("x.csv", b"user,User,time\n", "two columns are called"),
        ("x.csv.gz", b"no gzip", "cannot be read"),
        ("x.parquet", b"PAR1", "no Parquet"),
        ("x.xlsx", b"PK", "no known format"),
        ("x.csv", b"user,item,time\n", "hold no events"),
        ("x.jsonl", b"", "hold no events"),
    ],
    ids=["empty", "cp949", "twice", "gzip", "parquet", "excel", "head", "nothing"],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=message):
        run(tmp_path, [{"files": [name]}])


def test_no_file_matches(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no file matches logs/\*\.csv"):
        run(tmp_path, [{"files": ["logs/*.csv"]}])


def test_duplicates_are_dropped_and_counted(tmp_path: Path) -> None:
    rows = ["kim,a,1", "kim,a,1", "kim,a,2", "lee,a,1", "kim,a,1"]
    (tmp_path / "x.csv").write_text("\n".join(["user,item,time", *rows]) + "\n", encoding="utf-8")
    logs, report = run(tmp_path, [{"files": ["x.csv"], "time_unit": "s"}])
    assert logs.lengths.tolist() == [2, 1]
    assert report.dropped == {"duplicate": 2}
    (tmp_path / "again").mkdir()
    (tmp_path / "x.csv").rename(tmp_path / "again" / "x.csv")
    logs, report = run(tmp_path / "again", [{"files": ["x.csv"], "time_unit": "s"}], duplicates="keep")
    assert logs.lengths.tolist() == [4, 1]


def test_time_that_goes_backwards_is_sorted_and_said(tmp_path: Path) -> None:
    rows = ["kim,a,5", "kim,b,3", "lee,a,1", "kim,c,4"]
    (tmp_path / "x.csv").write_text("\n".join(["user,item,time", *rows]) + "\n", encoding="utf-8")
    logs, report = run(tmp_path, [{"files": ["x.csv"], "time_unit": "s"}])
    assert [logs.items.ids[item] for item in logs.sequence(0)] == ["b", "c", "a"]
    assert report.noted == {"events out of order of time, sorted": 1}


def test_equal_times_keep_the_order_of_the_file(tmp_path: Path) -> None:
    rows = [f"kim,i{n},7" for n in (5, 3, 9, 1)]
    (tmp_path / "x.csv").write_text("\n".join(["user,item,time", *rows]) + "\n", encoding="utf-8")
    logs, _ = run(tmp_path, [{"files": ["x.csv"], "time_unit": "s"}])
    assert [logs.items.ids[item] for item in logs.sequence(0)] == ["i5", "i3", "i9", "i1"]


def test_files_with_and_without_times_are_not_mixed(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("user,item,time\nkim,a,1\n", encoding="utf-8")
    (tmp_path / "y.csv").write_text("user,item\nkim,a\n", encoding="utf-8")
    timed, untimed = {"files": ["x.csv"], "time_unit": "s"}, {"files": ["y.csv"], "time": None}
    with pytest.raises(InvalidInput, match=r"y\.csv has no times"):
        run(tmp_path, [timed, untimed])


@pytest.mark.parametrize(
    "count",
    [20_000, pytest.param(1_000_000, marks=[pytest.mark.slow, pytest.mark.timeout(180)])],
)
def test_one_user_with_a_million_events(tmp_path: Path, count: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(
        {
            "user": pa.DictionaryArray.from_arrays(np.zeros(count, np.int8), ["bot"]).cast(pa.string()),
            "item": pa.array(np.arange(count) % 50),
            "time": pa.array(np.arange(count)),
        }
    )
    pq.write_table(table, tmp_path / "x.parquet")
    (tmp_path / "y.csv").write_text("user,item,time\nkim,3,1\nkim,4,2\n", encoding="utf-8")
    source = {"files": ["x.parquet", "y.csv"], "time_unit": "s"}
    logs, report = run(tmp_path, [source], max_history=1000, memory=1.0)
    assert logs.users == ("bot", "kim")
    assert logs.lengths.tolist() == [1000, 2]
    assert logs.times is not None
    assert logs.times[0] == count - 1000
    assert report.dropped == {"older than max_history": count - 1000}
    assert report.noted == {"users with more events than max_history, cut to the most recent": 1}


def test_only_the_first_bad_rows_are_kept_but_all_are_counted(tmp_path: Path) -> None:
    rows = ["kim,a,1", *[f"kim,a,bad{n}" for n in range(30)]]
    (tmp_path / "x.csv").write_text("\n".join(["user,item,time", *rows]) + "\n", encoding="utf-8")
    _, report = run(tmp_path, [{"files": ["x.csv"], "time_unit": "s"}], max_rejects=4)
    assert [row for row, _, _ in rejects(tmp_path)] == [2, 3, 4, 5]
    assert report.bad == 30


def test_ends_of_lines_may_be_mixed(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"user,item,time\r\nkim,a,1\r\nkim,b,2\nkim,c,3\n")
    logs, _ = run(tmp_path, [{"files": ["x.csv"], "time_unit": "s"}])
    assert logs.lengths.tolist() == [3]


def test_a_quote_that_is_never_closed_loses_only_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('user,item,time\nkim,a,1\nkim,"b,2\nkim,c,3\n', encoding="utf-8")
    logs, report = run(tmp_path, [{"files": ["x.csv"], "time_unit": "s"}])
    assert logs.lengths.tolist() == [1]
    assert report.files[0].bad == {"a quote is not closed, or text follows it": 1}


def test_a_parquet_column_of_lists_is_no_user(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"user": [["kim"]], "item": ["a"], "time": [1]}), tmp_path / "x.parquet")
    with pytest.raises(InvalidInput, match="row 1: user is no text or number"):
        run(tmp_path, [{"files": ["x.parquet"], "time_unit": "s"}])
