"""Imports of good files: formats, texts, services, the k-core, and what a killed import leaves."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from malmoi.core.errors import ConfigError, InvalidInput
from malmoi.users.data import importing
from malmoi.users.data.importing import import_logs
from malmoi.users.data.known import read_amazon_seq
from malmoi.users.data.report import ImportReport
from malmoi.users.data.schema import ImportSettings, read_schema
from malmoi.users.logs import Logs, load_logs

ROWS = [
    ("kim", "a1", "2025-01-01T09:00:00", "텐트"),
    ("lee", "a2", "2025-01-01T10:00:00", "침낭"),
    ("kim", "a2", "2025-01-02T09:00:00", "침낭"),
    ("kim", "b/3", "2025-01-03T09:00:00", "랜턴, 큰 것"),
]


def run(tmp_path: Path, sources: Sequence[dict[str, Any]], **settings: Any) -> tuple[Logs, ImportReport]:
    out, work = tmp_path / "out", tmp_path / "work"
    for folder in (out, work):
        folder.mkdir(exist_ok=True)
    checked = ImportSettings.model_validate({"sources": list(sources), **settings})
    report = import_logs(checked, out, work, base=tmp_path)
    return load_logs(out), report


def sequences(logs: Logs) -> dict[str, list[str]]:
    return {
        user: [logs.items.ids[item] for item in logs.sequence(number)]
        for number, user in enumerate(logs.users)
    }


def write_csv(path: Path, rows: Sequence[Sequence[object]], head: str = "user,item,time,title") -> None:
    lines = [",".join(f'"{cell}"' if "," in str(cell) else str(cell) for cell in row) for row in rows]
    text = "\n".join([head, *lines]) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def write_jsonl(path: Path, rows: Sequence[object]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def write_parquet(path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    users, items, times, titles = zip(*ROWS, strict=True)
    stamps = pa.array(np.array(times, dtype="datetime64[us]"))
    pq.write_table(pa.table({"user": users, "item": items, "time": stamps, "title": titles}), path)


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.tsv", "x.jsonl", "x.json.gz", "x.parquet"])
def test_every_format_gives_the_same_logs(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if ".csv" in name:
        write_csv(path, ROWS)
    elif ".tsv" in name:
        text = "\n".join("\t".join(row) for row in [("user", "item", "time", "title"), *ROWS])
        path.write_text(text, encoding="utf-8")
    elif ".json" in name:
        write_jsonl(path, [dict(zip(("user", "item", "time", "title"), row, strict=True)) for row in ROWS])
    else:
        write_parquet(path)
    logs, report = run(tmp_path, [{"files": [name], "text": "title"}])
    assert sequences(logs) == {"kim": ["a1", "a2", "b/3"], "lee": ["a2"]}
    assert logs.items.texts == ("텐트", "침낭", "랜턴, 큰 것")
    assert logs.items.services == ("logs",)
    assert logs.times is not None
    assert logs.times.tolist() == [1735722000, 1735808400, 1735894800, 1735725600]
    assert (report.users, report.items, report.events, report.bad) == (2, 3, 4, 0)
    assert report.median_length == 2
    assert report.dropped == {}
    assert (tmp_path / "out" / "about" / "rejects.jsonl").read_text(encoding="utf-8") == ""


@pytest.mark.parametrize(
    ("unit", "written"),
    [
        ("iso", "2025-01-01T18:00:00+09:00"),
        ("iso", "2025-01-01 09:00:00.7"),
        ("s", "1735722000"),
        ("s", "1735722000.9"),
        ("ms", "1735722000999"),
    ],
)
def test_times_as_they_are_written(tmp_path: Path, unit: str, written: str) -> None:
    write_csv(tmp_path / "x.csv", [("kim", "a", written, "t")])
    logs, _ = run(tmp_path, [{"files": ["x.csv"], "time_unit": unit}])
    assert logs.times is not None
    assert logs.times.tolist() == [1735722000]


def test_services_of_several_files_are_put_in_one_order(tmp_path: Path) -> None:
    write_csv(tmp_path / "shop.csv", [("kim", "1", 30, "텐트"), ("kim", "2", 10, "침낭")])
    write_jsonl(
        tmp_path / "search.jsonl",
        [{"uid": "kim", "q": "텐트 추천", "ts": 20_000}, {"uid": "lee", "q": "1", "ts": 5_000}],
    )
    shop = {"files": ["shop.csv"], "service_name": "shop", "time_unit": "s", "template": "{{ title }} 구매"}
    search = {
        "files": ["search.jsonl"], "service_name": "search", "user": "uid", "item": "q", "text": "q",
        "time": "ts", "time_unit": "ms",
    }  # fmt: skip
    logs, report = run(tmp_path, [shop, search])
    assert [logs.history(0).texts] == [("침낭 구매", "텐트 추천", "텐트 구매")]
    # The same id at another service is another item.
    assert logs.items.by_id[("shop", "1")] != logs.items.by_id[("search", "1")]
    assert [(one.name, one.users, one.items, one.events) for one in report.services] == [
        ("search", 2, 2, 2),
        ("shop", 1, 2, 2),
    ]
    assert report.noted == {"events out of order of time, sorted": 1}


def test_a_column_may_name_the_service(tmp_path: Path) -> None:
    write_csv(tmp_path / "x.csv", [("kim", "1", 1, "shop"), ("kim", "1", 2, "travel")])
    logs, _ = run(tmp_path, [{"files": ["x.csv"], "time_unit": "s", "service": "title"}])
    assert logs.items.services == ("shop", "travel")
    assert len(logs.items) == 2


def test_names_of_columns_are_never_commands(tmp_path: Path) -> None:
    """Quotes, words of SQL, JSON pointers: all are names, and values stay values."""
    evil = 'x"; DROP TABLE events; --'
    write_jsonl(tmp_path / "x.jsonl", [{evil: "kim'; DROP TABLE kept; --", "a/b~c": "i'1", "row": 7}])
    logs, _ = run(
        tmp_path, [{"files": ["x.jsonl"], "user": evil, "item": "a/b~c", "time": "row", "time_unit": "s"}]
    )
    assert sequences(logs) == {"kim'; DROP TABLE kept; --": ["i'1"]}
    write_csv(tmp_path / "y.csv", [("i1", "7", "kim", "t")], head='i,row,"u ""x",select')
    (tmp_path / "y").mkdir()
    (tmp_path / "y.csv").rename(tmp_path / "y" / "y.csv")
    logs, _ = run(
        tmp_path / "y", [{"files": ["y.csv"], "user": 'u "x', "item": "i", "time": "row", "time_unit": "s"}]
    )
    assert sequences(logs) == {"kim": ["i1"]}


def test_templates_are_rendered_over_columns(tmp_path: Path) -> None:
    rows = [
        {
            "user": "kim",
            "item": "1",
            "time": 1,
            "title": "텐트\n 4인용",
            "tags": ["캠핑", "여름"],
            "a b": "!",
        },
        {"user": "kim", "item": "2", "time": 2, "title": "{{ 7 * 7 }}"},
    ]
    write_jsonl(tmp_path / "x.jsonl", rows)
    template = "{{ title }} {{ (tags or []) | join('·') }} {{ row['a b'] }}"
    logs, _ = run(tmp_path, [{"files": ["x.jsonl"], "time_unit": "s", "template": template}])
    assert logs.items.texts == ("텐트 4인용 캠핑·여름 !", "{{ 7 * 7 }}")


@pytest.mark.parametrize(
    "template",
    ["{{ title.__class__ }}", "{{ 'x' * 1000000000 }}", "{% for i in range(10**9) %}x{% endfor %}"],
)
def test_templates_cannot_leave_their_sandbox(tmp_path: Path, template: str) -> None:
    write_csv(tmp_path / "x.csv", [("kim", "a", 1, "t")])
    logs, report = run(tmp_path, [{"files": ["x.csv"], "time_unit": "s", "template": template}])
    assert logs.items.texts == ("a",)
    assert report.noted == {"items whose template failed, their id is their text": 1}


def test_texts_come_from_a_file_of_items(tmp_path: Path) -> None:
    write_csv(tmp_path / "x.csv", [("kim", "1", 1, "-"), ("kim", "2", 2, "-"), ("kim", "9", 3, "-")])
    write_jsonl(
        tmp_path / "items.jsonl", [{"id": 1, "name": "텐트"}, {"id": "2", "name": ""}, {"id": 3, "name": "x"}]
    )
    items = {"files": ["items.jsonl"], "item": "id", "text": "name"}
    source = {"files": ["x.csv"], "time_unit": "s", "items": items}
    logs, report = run(tmp_path, [source])
    assert logs.items.texts == ("텐트", "2", "9")
    assert report.noted == {
        "events with items that are not in the files of items, their id is their text": 1,
        "items without text, their id is their text": 1,
    }
    (tmp_path / "other").mkdir()
    for name in ("x.csv", "items.jsonl"):
        (tmp_path / name).rename(tmp_path / "other" / name)
    logs, report = run(tmp_path / "other", [{**source, "items": {**items, "unknown": "drop"}}])
    assert sequences(logs) == {"kim": ["1", "2"]}
    assert report.dropped == {"item not in the files of items": 1}


def test_the_core_keeps_who_and_what_has_enough_of_each_other(tmp_path: Path) -> None:
    # c has two events, but one is of lee, who has one event: so c falls, then kim keeps a and b.
    events = ["kim a", "kim b", "kim c", "lee c", "cho a", "cho b", "han d", "han d"]
    write_csv(tmp_path / "x.csv", [(*line.split(), n, "t") for n, line in enumerate(events)])
    logs, report = run(tmp_path, [{"files": ["x.csv"], "time_unit": "s"}], min_user=2, min_item=2)
    assert sequences(logs) == {"kim": ["a", "b"], "cho": ["a", "b"], "han": ["d", "d"]}
    assert report.dropped == {"user or item with too few events": 2}
    counts = np.bincount(logs.events)
    assert counts.min() >= 2
    assert logs.lengths.min() >= 2


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    write_csv(tmp_path / "x.csv", [("kim", "a", 1, "t")])
    with pytest.raises(InvalidInput, match="none of 1 events is left"):
        run(tmp_path, [{"files": ["x.csv"], "time_unit": "s"}], min_user=5)


def test_sequences_of_a_user_a_line(tmp_path: Path) -> None:
    (tmp_path / "Beauty.txt").write_text("1 10 20 30\n2 20 10\n\n3\n", encoding="utf-8")
    logs, report = run(tmp_path, [{"files": ["Beauty.txt"], "format": "amazon_seq", "service_name": "shop"}])
    assert sequences(logs) == {"1": ["10", "20", "30"], "2": ["20", "10"]}
    assert logs.times is None
    assert [file.bad for file in report.files] == [{"the line has no items": 1}]
    (tmp_path / "Beauty.txt").write_text("1 10 20 30\n2 20 10\n", encoding="utf-8")
    direct = read_amazon_seq(tmp_path / "Beauty.txt")
    assert sequences(direct) == sequences(logs)
    (tmp_path / "Beauty.txt").write_text("1 10\n2\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match="row 2"):
        read_amazon_seq(tmp_path / "Beauty.txt")


def test_atomic_files_need_no_schema(tmp_path: Path) -> None:
    inter = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t10\t5\t200\n1\t11\t3\t100\n"
    (tmp_path / "ml.inter").write_text(inter, encoding="utf-8")
    item = 'item_id:token\tmovie_title:token_seq\tyear:token\n10\tThe "Best"\t1990\n11\t\t1991\n'
    (tmp_path / "ml.item").write_text(item, encoding="utf-8")
    logs, _ = run(tmp_path, [{"files": ["ml.inter"]}])
    assert sequences(logs) == {"1": ["11", "10"]}
    assert logs.items.texts == ('The "Best" 1990', "1991")
    (tmp_path / "bad.inter").write_text("user\titem\n1\t2\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match="is no atomic file"):
        run(tmp_path, [{"files": ["bad.inter"]}])


def test_amazon_reviews_read_as_title_categories_and_brand(tmp_path: Path) -> None:
    review = {"reviewerID": "A1", "asin": "B1", "unixReviewTime": 1500000000, "overall": 5.0}
    write_jsonl(
        tmp_path / "Tools_5.json.gz", [review, {**review, "asin": "B2", "unixReviewTime": 1400000000}]
    )
    with pytest.raises(InvalidInput, match=r"meta_Tools\.json\.gz"):
        run(tmp_path, [{"files": ["Tools_5.json.gz"], "format": "amazon2018"}])
    meta = {"asin": "B1", "title": "Drill", "category": ["Tools", "Power"], "brand": "Bosch"}
    write_jsonl(tmp_path / "meta_Tools.json.gz", [meta, {"asin": "B2", "title": "Saw"}])
    logs, _ = run(tmp_path, [{"files": ["Tools_5.json.gz"], "format": "amazon2018"}])
    assert logs.history(0).texts == ("Saw", "Drill Tools Power Bosch")


def test_an_import_that_was_killed_does_not_read_finished_files_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_csv(tmp_path / "x1.csv", [("kim", "a", 1, "t")])
    write_csv(tmp_path / "x2.csv", [("kim", "b", 2, "t")])
    source = {"files": ["x*.csv"], "time_unit": "s"}
    whole = importing.stage
    read: list[str] = []

    def dies(database: Any, file: Any, settings: ImportSettings) -> None:
        if file.path.name == "x2.csv" and "x1.csv" in read and len(read) == 1:
            read.append("dead")
            raise KeyboardInterrupt
        read.append(file.path.name)
        whole(database, file, settings)

    monkeypatch.setattr(importing, "stage", dies)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, [source])
    monkeypatch.setattr(importing, "stage", whole)
    monkeypatch.setattr("malmoi.users.data.staging._read", counted := Counting(tmp_path))
    logs, _ = run(tmp_path, [source])
    assert counted.names == ["x2.csv"]
    assert sequences(logs) == {"kim": ["a", "b"]}


class Counting:
    """The real reader, with the names of what it reads."""

    def __init__(self, _: Path) -> None:
        from malmoi.users.data import staging

        self._real = staging._read
        self.names: list[str] = []

    def __call__(self, database: Any, file: Any, settings: ImportSettings) -> None:
        self.names.append(file.path.name)
        self._real(database, file, settings)


def test_a_schema_in_toml(tmp_path: Path) -> None:
    schema = tmp_path / "schema.toml"
    schema.write_text('user = "uid"\nmin_user = 5\ntext = "t"\n', encoding="utf-8")
    settings = read_schema(schema, files=("a.csv",))
    assert settings.min_user == 5
    assert settings.sources[0].user == "uid"
    assert settings.sources[0].files == ("a.csv",)
    schema.write_text('[[sources]]\nfiles = ["a.csv"]\nuzer = "x"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="uzer"):
        read_schema(schema)
    with pytest.raises(ConfigError, match="says itself which files"):
        read_schema(schema, files=("b.csv",))
    with pytest.raises(ConfigError, match="not both"):
        read_schema(
            None, files=("a.csv",), overrides={"sources": [{"files": ["a"], "text": "a", "template": "b"}]}
        )
