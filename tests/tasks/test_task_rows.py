import gzip
import json
from pathlib import Path

import pytest

from malmoi.core.errors import InvalidInput
from malmoi.tasks.rows import find_files, layout_of, read_rows

ROWS = [{"a": "한국어", "b": "{{ x }}"}, {"a": 'quote " inside', "b": "nul \0 here"}]


def packed(path: Path, text: str) -> Path:
    content = text.encode("utf-8")
    if path.suffix == ".gz":
        content = gzip.compress(content, mtime=0)
    elif path.suffix == ".zst":
        zstandard = pytest.importorskip("zstandard")
        content = zstandard.ZstdCompressor().compress(content)
    path.write_bytes(content)
    return path


def written(path: Path) -> Path:
    name = path.name
    if ".tsv" in name:
        return packed(path, "a\tb\r\n" + "".join(f"{r['a']}\t{r['b']}\r\n" for r in ROWS))
    if ".csv" in name:
        quoted = [[cell.replace('"', '""') for cell in row.values()] for row in ROWS]
        return packed(path, "\ufeffa,b\n" + "".join(f'"{a}","{b}"\n' for a, b in quoted))
    if ".jsonl" in name:
        return packed(path, "\n".join(json.dumps(row) for row in ROWS) + "\n\n")
    return packed(path, json.dumps(ROWS, indent=1))


@pytest.mark.parametrize("ending", [".tsv", ".csv", ".jsonl", ".json"])
@pytest.mark.parametrize("packing", ["", ".gz", ".zst"])
def test_every_layout_gives_the_same_rows(tmp_path: Path, ending: str, packing: str) -> None:
    path = written(tmp_path / f"rows{ending}{packing}")
    assert [row for _, row in read_rows(path)] == ROWS


def test_parquet_gives_the_same_rows(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([{**row, "c": ["x"]} for row in ROWS]), path)
    assert [row for _, row in read_rows(path)] == [{**row, "c": ["x"]} for row in ROWS]


def test_line_numbers_are_those_of_the_file(tmp_path: Path) -> None:
    path = packed(tmp_path / "r.csv", 'a,b\n"x\ny",1\n\nz,2\n')
    assert list(read_rows(path)) == [(3, {"a": "x\ny", "b": "1"}), (5, {"a": "z", "b": "2"})]


def test_a_tab_separated_file_splits_at_tabs_and_line_feeds_alone(tmp_path: Path) -> None:
    path = packed(tmp_path / "r.tsv", 'a\tb\n"x\ty"\r\nq\rr\u2028s\t\x0b\x85\n')
    assert [row for _, row in read_rows(path)] == [
        {"a": '"x', "b": 'y"'},
        {"a": "q\rr\u2028s", "b": "\x0b\x85"},
    ]


def test_cells_larger_than_the_csv_module_likes_are_read(tmp_path: Path) -> None:
    path = packed(tmp_path / "r.csv", "a\n" + "가" * 500_000 + "\n")
    assert next(iter(read_rows(path)))[1] == {"a": "가" * 500_000}


def test_a_table_may_lack_a_header_and_cells_at_the_end(tmp_path: Path) -> None:
    path = packed(tmp_path / "r.csv", "1,2\n3\n")
    assert [row for _, row in read_rows(path, columns=("x", "y"))] == [{"x": "1", "y": "2"}, {"x": "3"}]


def test_rows_within_json_know_what_holds_them(tmp_path: Path) -> None:
    tree = {
        "data": [
            {"title": "t", "paragraphs": [{"context": "c", "qas": [{"q": 1}, {"q": 2, "title": "own"}]}]}
        ]
    }
    path = packed(tmp_path / "r.json", json.dumps(tree))
    assert [row for _, row in read_rows(path, json_rows="data.paragraphs.qas")] == [
        {"title": "t", "context": "c", "q": 1},
        {"title": "own", "context": "c", "q": 2},
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("r.jsonl", b'{"a": 1}\n{"a": \n', "line 2: it is not JSON"),
        ("r.jsonl", b"[1]\n", "line 1: it is list"),
        ("r.jsonl", b"[" * 100_000, "line 1: it is not JSON"),
        ("r.json", b'{"a": 1}', "json_rows"),
        ("r.json", b'[{"a": 1},\n{]', "line 2: it is not JSON"),
        ("r.json", b"[1, 2]", "row 1: it is int"),
        ("r.tsv", b"a\tb\n1\t2\n1\t2\t3\n", "line 3: it has 3 cells, the table 2 columns"),
        ("r.csv", b'a\n"x\n', "line 2"),
        ("r.tsv", b"a\n\xff\xfe\n", "not UTF-8"),
        ("r.tsv.gz", b"a\n1\n", "cannot be unpacked"),
        ("r.tsv.gz", gzip.compress(b"a\n" + b"x" * 1000, mtime=0)[:-12], "cannot be unpacked"),
        ("r.tsv.zst", b"a\n1\n", "cannot be unpacked"),
        ("r.parquet", b"PAR1 no parquet", "row 1"),
    ],
    ids=("json-line", "list-line", "deep-line", "no-list", "json", "numbers", "cells", "quote", "utf-8",
         "no-gzip", "half-gzip", "no-zstd", "no-parquet"),
)  # fmt: skip
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    if name.endswith(".zst"):
        pytest.importorskip("zstandard")
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=message) as caught:
        list(read_rows(path))
    assert str(path) in str(caught.value)


def test_the_first_pattern_with_files_wins_and_shards_are_in_order(tmp_path: Path) -> None:
    for name in ("b-2.json", "b-1.json", "c.json"):
        (tmp_path / name).touch()
    (tmp_path / "a-folder.json").mkdir()
    assert [p.name for p in find_files(tmp_path, ("a*.json", "b-*.json", "c.json"))] == [
        "b-1.json",
        "b-2.json",
    ]
    assert find_files(tmp_path, ("nothing*",)) == []
    assert [layout_of(Path(name)) for name in ("x.TSV.gz", "x.devtest", "x", "x.v1.jsonl.zst")] == [
        "tsv", "lines", "lines", "jsonl",
    ]  # fmt: skip
