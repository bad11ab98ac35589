"""Vectors of all users in one file: what is in it, and that a killed run goes on."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from fake_text_model import WordCounts, fake_kinds, items_of, store_model
from malmoi.core.stage import SilentProgress
from malmoi.users import encoding
from malmoi.users.encoding import encode_logs
from malmoi.users.logs import Logs
from malmoi.users.opening import OpenModel, open_model

TEXTS = ["빨간 운동화 구매", "파란 운동화 구매", "제주 여행 예약"]


@pytest.fixture
def opened(home: Path, monkeypatch: pytest.MonkeyPatch) -> OpenModel:
    monkeypatch.setattr(encoding, "STRETCH", 4)
    store_model(home, WordCounts(items_of(TEXTS)))
    return open_model(home, "word-counts", registry=fake_kinds())


def make_logs(count: int) -> Logs:
    offsets = np.arange(count + 1, dtype=np.int64) * 2
    events = np.array([(n * n) % 3 for n in range(2 * count)], dtype=np.int32)
    return Logs(tuple(f"u{n}" for n in range(count)), items_of(TEXTS), offsets, events)


def test_every_user_has_a_row(opened: OpenModel, tmp_path: Path) -> None:
    logs = make_logs(11)
    encode_logs(opened, logs, "a", tmp_path / "out.parquet", SilentProgress())
    table = pq.read_table(tmp_path / "out.parquet")
    assert table["user"].to_pylist() == list(logs.users)
    expected = opened.encoder.encode([logs.history(user) for user in range(11)])
    np.testing.assert_array_equal(np.array(table["vector"].to_pylist(), dtype=np.float32), expected)
    assert table.schema.metadata[b"model"] == opened.version.encode()
    assert [path.name for path in tmp_path.iterdir() if path.name != "home"] == ["out.parquet"]


def test_a_run_that_was_stopped_goes_on_with_the_next_part(
    opened: OpenModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, logs = tmp_path / "out.parquet", make_logs(11)
    encode_logs(opened, logs, "a", tmp_path / "whole.parquet", SilentProgress())
    asked: list[int] = []
    encode = WordCounts.encode

    def dies(self: WordCounts, histories: Any) -> Any:
        asked.append(len(histories))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return encode(self, histories)

    monkeypatch.setattr(WordCounts, "encode", dies)
    with pytest.raises(KeyboardInterrupt):
        encode_logs(opened, logs, "a", out, SilentProgress())
    assert not out.exists()
    encode_logs(opened, logs, "a", out, SilentProgress())
    assert asked == [4, 4, 3, 3]
    assert out.read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_parts_of_other_logs_are_not_gone_on_from(
    opened: OpenModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.parquet"
    monkeypatch.setattr(encoding, "rmtree", lambda folder: None)
    encode_logs(opened, make_logs(5), "a", out, SilentProgress())
    encode_logs(opened, make_logs(6), "b", out, SilentProgress())
    assert pq.read_table(out).num_rows == 6
    assert len(list((tmp_path / ".out.parquet.parts").iterdir())) == 2
