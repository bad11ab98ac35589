"""Batch encoding of Parquet files: the vectors of the model itself, resumed, and through Ray the same."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fake_text_model import FirstItems, WordCounts, fake_kinds, items_of, store_model
from malmoi.core.errors import InvalidInput, MissingExtra, Unsupported
from malmoi.users.batch_encode import encode_files

TEXTS = ["빨간 운동화 구매", "제주 여행 예약", "로맨스 웹툰 열람"]


def histories(folder: Path, files: int = 3, rows: int = 7) -> dict[str, list[str]]:
    made: dict[str, list[str]] = {}
    folder.mkdir(exist_ok=True)
    for number in range(files):
        part = {f"u{number}-{row}": [TEXTS[(row + n) % 3] for n in range(row % 4)] for row in range(rows)}
        columns = {
            "user": pa.array(list(part), pa.string()),
            "texts": pa.array(list(part.values()), pa.list_(pa.string())),
        }
        pq.write_table(pa.table({**columns, "other": list(range(rows))}), folder / f"part-{number}.parquet")
        made |= part
    return made


def read(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for file in sorted(folder.rglob("*.parquet")):
        columns = pq.read_table(file).to_pydict()
        found |= dict(zip(columns["user"], columns["vector"], strict=True))
    return found


@pytest.fixture
def model(home: Path) -> WordCounts:
    made = WordCounts(items_of(TEXTS))
    store_model(home, made)
    return made


def expected(model: WordCounts, made: dict[str, list[str]]) -> dict[str, list[float]]:
    return {key: model.encode_items(texts).sum(axis=0).tolist() for key, texts in made.items()}


def test_vectors_are_those_of_the_model(home: Path, model: WordCounts, tmp_path: Path) -> None:
    made = histories(tmp_path / "in")
    done = encode_files(home, "word-counts", tmp_path / "in", tmp_path / "out", batch=4, kinds=fake_kinds)
    assert done == 21
    assert read(tmp_path / "out") == expected(model, made)
    schema = pq.read_schema(tmp_path / "out" / "part-0.parquet")
    assert schema.names == ["user", "vector"]
    assert schema.field("vector").type.value_type == pa.float32()


def test_what_is_there_is_not_made_again(home: Path, model: WordCounts, tmp_path: Path) -> None:
    histories(tmp_path / "in")
    for count in (21, 0):
        done = encode_files(home, "word-counts", tmp_path / "in", tmp_path / "out", kinds=fake_kinds)
        assert done == count
    (tmp_path / "out" / "part-1.parquet").unlink()
    assert encode_files(home, "word-counts", tmp_path / "in", tmp_path / "out", kinds=fake_kinds) == 7


def test_an_empty_file(home: Path, model: WordCounts, tmp_path: Path) -> None:
    histories(tmp_path / "in", files=1, rows=0)
    file = tmp_path / "in" / "part-0.parquet"
    assert encode_files(home, "word-counts", file, tmp_path / "out", kinds=fake_kinds) == 0
    assert pq.read_table(tmp_path / "out" / "part-0.parquet").num_rows == 0


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"user": ["a"]}, "no column 'texts'"),
        ({"user": [1], "texts": [["a"]]}, "'user' is int64"),
        ({"user": ["a"], "texts": ["a"]}, "'texts' is string"),
    ],
    ids=["missing", "number", "text"],
)
def test_files_of_another_form(home: Path, tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    with pytest.raises(InvalidInput, match=message):
        encode_files(home, "word-counts", tmp_path / "x.parquet", tmp_path / "out", kinds=fake_kinds)


def test_files_that_are_none(home: Path, tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(InvalidInput, match="no Parquet file"):
        encode_files(home, "word-counts", tmp_path / "x.parquet", tmp_path / "out", kinds=fake_kinds)
    with pytest.raises(InvalidInput, match=r"no \.parquet file"):
        encode_files(home, "word-counts", tmp_path / "gone", tmp_path / "out", kinds=fake_kinds)


def test_a_model_without_vectors_is_refused(home: Path, model: WordCounts, tmp_path: Path) -> None:
    store_model(home, FirstItems(model.items), "first-items")
    histories(tmp_path / "in")
    with pytest.raises(Unsupported):
        encode_files(home, "first-items", tmp_path / "in", tmp_path / "out", kinds=fake_kinds)


@pytest.mark.skipif(find_spec("ray") is not None, reason="ray is installed")
def test_what_ray_needs_is_said(home: Path, model: WordCounts, tmp_path: Path) -> None:
    histories(tmp_path / "in")
    with pytest.raises(MissingExtra, match=r"\[ray\]"):
        encode_files(home, "word-counts", tmp_path / "in", tmp_path / "out", ray=True, kinds=fake_kinds)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra [ray]")
# Ray's own threads and files are not ours to close.
@pytest.mark.filterwarnings("default")
def test_ray_makes_the_same_vectors(home: Path, model: WordCounts, tmp_path: Path) -> None:
    import ray

    made = histories(tmp_path / "in")
    # An actor holds one of these (they are counted, not used); reading and writing need others.
    ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False)
    try:
        options: dict[str, Any] = {"batch": 4, "kinds": fake_kinds}
        assert encode_files(home, "word-counts", tmp_path / "in", tmp_path / "ray", ray=True, **options) == 21
        encode_files(home, "word-counts", tmp_path / "in", tmp_path / "here", **options)
    finally:
        ray.shutdown()
    assert read(tmp_path / "ray") == read(tmp_path / "here") == expected(model, made)
    assert all(np.isfinite(vector).all() for vector in read(tmp_path / "ray").values())
