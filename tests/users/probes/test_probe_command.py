"""`malmoi users probe` and `malmoi users scaling` from end to end."""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from malmoi.cli import main
from malmoi.core.store import Store
from malmoi.users.base import FitContext
from malmoi.users.baselines.mean_text import MeanText, MeanTextSettings
from malmoi.users.logs import Items, Logs

SMALL = [
    "widths=[8,12,16,24]",
    "batch_sizes=[8]",
    "histories=[]",
    "shares=[]",
    "num_steps=2",
    "vocab_size=448",
    "pool=20",
]


def interests(users: int = 80) -> tuple[Logs, np.ndarray]:
    """Users who like one of two things, in two services."""
    words = [("책", "여행"), ("고양이", "축구"), range(4)]
    texts = tuple(" ".join(map(str, text)) for text in product(*words))
    items = Items(tuple(map(str, range(16))), texts, ("book", "trip"), np.repeat([0, 1], 8).astype(np.int16))
    random = np.random.default_rng(0)
    kinds = np.arange(users) % 2
    rows = [[8 * s + 4 * kind + random.integers(4) for s in (0, 1, 0)] for kind in kinds]
    events = np.array(rows, dtype=np.int32).ravel()
    names = tuple(f"u{n}" for n in range(users))
    return Logs(names, items, np.arange(0, 3 * users + 1, 3), events), kinds


@pytest.fixture
def filled(home: Path) -> Path:
    """A home with logs and a fitted mean of texts."""
    logs, _ = interests()
    store = Store(home / "store")
    with store.new_artifact("logs", "people") as folder:
        logs.save(folder)
    model = MeanText.fit(MeanTextSettings(vectors="ngrams", size=64), logs, FitContext(home, home))
    with store.new_artifact("users", "texts", metadata={"kind": "mean-text"}) as folder:
        model.save(folder)
    return home


def call(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return int(ended.value.code or 0)


def test_a_trait_is_probed_and_the_report_kept(
    filled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    logs, kinds = interests()
    labels = tmp_path / "likes.csv"
    rows = [f"{user},{'cat' if kind == 0 else 'ball'}" for user, kind in zip(logs.users, kinds, strict=True)]
    labels.write_text("user,likes\n" + "\n".join(rows), encoding="utf-8")
    words = ["users", "probe", "texts", "--logs", "people", "--labels", str(labels), "--probe", "linear"]
    assert call(*words, "--json", "--quiet", "--home", str(filled)) == 0
    report = json.loads(capsys.readouterr().out)
    found = {row["vectors"]: row["figures"]["auroc"]["value"] for row in report["rows"]}
    assert list(found) == ["counts per service", "popularity", "texts"]
    assert found["texts"] > 0.95
    assert found["counts per service"] < 0.7
    kept = Store(filled / "store").artifacts("report")[-1]
    assert json.loads((kept.path / "report.json").read_text()) == report


def test_an_unknown_model_and_a_missing_file_are_told(filled: Path, capsys: pytest.CaptureFixture[str]):
    words = ["users", "probe", "text", "--logs", "people", "--labels", "none.csv", "--home", str(filled)]
    assert call(*words) != 0
    assert "none.csv" in capsys.readouterr().err


@pytest.mark.slow
def test_a_scaling_study_runs_and_goes_on(filled: Path, capsys: pytest.CaptureFixture[str]):
    words = ["users", "scaling", "people", "--quiet", "--json", "--home", str(filled)]
    words += [word for change in SMALL for word in ("--set", change)]
    assert call(*words) == 0
    first = json.loads(capsys.readouterr().out)
    assert len(first["runs"]) == 4
    assert set(first["laws"]) == {"8"}
    assert call(*words) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == first
    assert "report.html" in captured.err
