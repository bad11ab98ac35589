"""The study of LMRec: the rows it makes, one budget, going on after a kill, no leak, and what it writes."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from malmoi.cli import cli
from malmoi.core.errors import InvalidInput, UnknownName
from malmoi.core.stage import SilentProgress
from malmoi.core.store import Store
from malmoi.users.logs import Items, Logs, load_logs
from malmoi.users.studies.lmrec import StudySettings, build_variants, only_service, run_study, settings_for
from malmoi.users.studies.page import render_page, render_table

TINY = {
    "hidden_size": 8, "num_layers": 1, "num_heads": 2, "intermediate_size": 16, "vocab_size": 512,
    "length": 32,
    "item_length": 8, "batch_size": 8, "lm_batch_size": 2, "negatives": 5, "num_steps": 3,
    "validate_every": 3,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)


def _logs(users: int = 20) -> Logs:
    random = np.random.default_rng(0)
    texts = tuple(f"{'구두' if n % 2 else '항공권'} <{n}>" for n in range(16))
    items = Items(texts, texts, ("shop", "travel"), (np.arange(16) % 2).astype(np.int16))
    events = np.concatenate([random.choice(16, size=8, replace=False) for _ in range(users)])
    offsets = np.arange(0, 8 * users + 1, 8, dtype=np.int64)
    return Logs(tuple(f"u{n}" for n in range(users)), items, offsets, events.astype(np.int32))


def test_the_rows_and_their_settings() -> None:
    settings = StudySettings(lmrec=TINY, target="shop", ratios=(0.0, 0.7), baselines=("popularity",))
    rows = {row.name: row for row in build_variants(settings, Path("other"))}
    assert list(rows) == [
        "popularity", "lmrec-lm", "lmrec", "pretrain", "pretrain-then-finetune", "0:100", "70:30"
    ]  # fmt: skip
    assert {row.settings["num_steps"] for name, row in rows.items() if name != "popularity"} == {3}
    assert rows["70:30"].settings["specific_share"] == 0.7
    assert rows["pretrain-then-finetune"].after == "pretrain"
    with pytest.raises(InvalidInput, match="objective"):
        list(build_variants(StudySettings(lmrec={"objective": "lm"}), None))


def test_one_service_alone() -> None:
    logs = _logs()
    shop = only_service(logs, "shop")
    assert shop.items.services == ("shop",)
    assert len(shop.items) == 8
    for row, user in enumerate(shop.users):
        whole = logs.history(logs.users.index(user))
        expected = [t for t, n in zip(whole.texts, whole.items, strict=True) if logs.items.service[n] == 0]
        assert list(shop.history(row).texts) == expected
    with pytest.raises(UnknownName, match="shopp"):
        only_service(logs, "shopp")


def test_a_study_goes_on_and_writes_its_report(tmp_path: Path) -> None:
    logs = _logs()
    settings = StudySettings(
        lmrec=TINY, target="shop", ratios=(0.5,), baselines=("popularity",), share=0.25, fits=2
    )
    arguments = {"work": tmp_path, "home": tmp_path, "progress": SilentProgress()}
    fewer = settings.model_copy(update={"ratios": ()})
    first = run_study(fewer, logs, **arguments)  # type: ignore[arg-type]
    fitted = [row["name"] for row in first["rows"]]
    assert fitted == ["popularity", "lmrec-lm", "lmrec", "pretrain-then-finetune"]
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "variants").glob("*/ranks.npy")}
    report = run_study(settings, logs, **arguments)  # type: ignore[arg-type]
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps  # nothing is fitted twice
    assert [row["name"] for row in report["rows"]] == [*fitted, "50:50"]
    assert {(row["a"], row["b"]) for row in report["comparisons"]} == {
        ("lmrec", "lmrec-lm"), ("lmrec", "pretrain-then-finetune"),
        ("lmrec", "popularity"), ("50:50", "lmrec"),
    }  # fmt: skip
    by_name = {row["name"]: row for row in report["rows"]}
    assert [fit["seed"] for fit in by_name["lmrec"]["fits"]] == [0, 1]
    assert len(by_name["popularity"]["fits"]) == 1
    each = [fit["ndcg@10"] for fit in by_name["lmrec"]["fits"]]
    assert by_name["lmrec"]["ndcg@10"] == pytest.approx(np.mean(each))
    for row in report["comparisons"]:
        assert row["difference"] == pytest.approx(np.mean(row["each"]))
    known = set(load_logs(tmp_path / "agnostic").users)
    assert len(known) < len(logs)  # who is asked or validates gives no text
    page = render_page(report)
    assert "pretrain-then-finetune" in page
    assert "<svg" in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "NDCG@10" in render_table(report)


def test_settings_are_checked_before_anything_is_fitted() -> None:
    with pytest.raises(InvalidInput, match=r"lmrec\.num_stepss"):
        settings_for(StudySettings(), {"num_stepss": 5})
    assert settings_for(StudySettings(), {"num_steps": 5}).lmrec == {"num_steps": 5}


def test_a_row_may_have_settings_of_its_own() -> None:
    asked = {"num_steps": 5, "lmrec-lm.learning_rate": 0.5, "pretrain.num_steps": 7}
    settings = settings_for(StudySettings(baselines=()), asked)
    rows = {row.name: row.settings for row in build_variants(settings, None)}
    assert rows["lmrec-lm"] == {"num_steps": 5, "learning_rate": 0.5, "objective": "rec"}
    assert rows["pretrain"]["num_steps"] == 7
    assert rows["pretrain-then-finetune"] == {"num_steps": 5, "objective": "rec"}
    with pytest.raises(InvalidInput, match=r"lmrec-lm\.learning_rate"):
        settings_for(StudySettings(), {"lmrec-lm.learning_rate": -1})
    with pytest.raises(InvalidInput, match="no row bert"):
        list(build_variants(settings_for(StudySettings(), {"bert.num_steps": 5}), None))
    with pytest.raises(InvalidInput, match="objective"):
        list(build_variants(settings_for(StudySettings(), {"lmrec.objective": "lm"}), None))


def test_the_command(tmp_path: Path) -> None:
    with Store(tmp_path / "home" / "store").new_artifact("logs", "demo") as folder:
        _logs().save(folder)
    words = ["users", "study", "lmrec", "--logs", "demo", "--home", str(tmp_path / "home"), "--quiet"]
    values = [part for key, value in TINY.items() for part in ("--set", f"{key}={value}")]
    done = CliRunner().invoke(cli, [*words, *values, "--json"])
    assert done.exit_code == 0, done.output
    assert {row["name"] for row in json.loads(done.output)["rows"]} >= {"lmrec", "lmrec-lm", "item-knn"}
    pages = list((tmp_path / "home" / "store" / "artifacts" / "report").glob("*/page.html"))
    assert len(pages) == 1
    assert not list((tmp_path / "home" / "store" / "work").glob("study-*"))
    bad = CliRunner().invoke(cli, [*words, "--ratios", "2"])
    assert bad.exit_code != 0
