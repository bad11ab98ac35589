"""`malmoi users`: from logs to a recommendation, and what is said when something is wrong."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from malmoi.cli.users import users
from malmoi.core.errors import InvalidInput, MalmoiError, UnknownName
from malmoi.core.store import Store


def run(home: Path, *words: str) -> Result:
    """One command; what it raises reaches the test."""
    return CliRunner().invoke(users, [*words, "--home", str(home)], catch_exceptions=False)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with simulated logs and a model of them."""
    home = tmp_path_factory.mktemp("built")
    words = ["--users", "150", "--items", "120", "--events", "8", "--quiet"]
    assert run(home, "simulate", *words).exit_code == 0
    assert run(home, "fit", "markov-knn", "--logs", "demo", "--quiet").exit_code == 0
    return home


@pytest.fixture
def demo(built: Path, home: Path) -> Path:
    """A copy of it for one test."""
    shutil.copytree(built, home, dirs_exist_ok=True)
    return home


def test_from_a_simulation_to_a_recommendation(demo: Path) -> None:
    shown = json.loads(
        run(demo, "recommend", "demo-markov-knn", "--user", "u000003", "--top", "4", "--json").output
    )
    assert len(shown["items"]) == 4
    assert shown["unmatched"] == []
    seen = set(shown["history"])
    assert not seen & {item["text"] for item in shown["items"]}
    scores = [item["score"] for item in shown["items"]]
    assert scores == sorted(scores, reverse=True)
    # The same history as texts gives the same items: nobody needs to be known.
    words = [word for text in shown["history"] for word in ("--history", text)]
    again = json.loads(run(demo, "recommend", "demo-markov-knn", *words, "--top", "4", "--json").output)
    assert again["items"] == shown["items"]


def test_a_fit_is_found_again_and_has_its_logs_as_lineage(demo: Path) -> None:
    first = json.loads(run(demo, "fit", "markov-knn", "--logs", "demo", "--quiet", "--json").output)
    assert len(Store(demo / "store").artifacts("users")) == 1
    other = json.loads(
        run(
            demo,
            "fit",
            "markov-knn",
            "--logs",
            "demo-logs",
            "--set",
            "knn=0.9",
            "--name",
            "other",
            "--quiet",
            "--json",
        ).output
    )
    assert other["artifact"] != first["artifact"]
    assert other["name"] == "other"
    assert other["settings"]["knn"] == 0.9
    kinds = [artifact.manifest.kind for artifact in Store(demo / "store").lineage(other["artifact"])]
    assert kinds == ["users", "logs"]


def test_models_side_by_side(demo: Path) -> None:
    words = ["eval", "demo-markov-knn", "--logs", "demo", "--baseline", "popularity", "--quiet"]
    results = json.loads(run(demo, *words, "--json").output)
    assert [one["name"] for one in results["models"]] == ["demo-markov-knn", "popularity", "best possible"]
    table = run(demo, *words).output
    own = results["models"][0]["groups"]["all"]
    assert f"{own['ndcg']['value']:.4f}" in table
    assert "demo-markov-knn - popularity: NDCG@10 +" in table
    page = Path(table.rpartition("look: ")[2].strip())
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_what_cannot_be_matched_is_said(demo: Path) -> None:
    text = json.loads(run(demo, "recommend", "demo-markov-knn", "--user", "u000003", "--json").output)[
        "history"
    ][0]
    result = run(demo, "recommend", "demo-markov-knn", "--history", text, "--history", text + "요")
    assert f"not matched: {text}요 (did you mean {text!r}?)" in result.stderr
    assert result.exit_code == 0
    with pytest.raises(InvalidInput, match="knows items by their ids, and none of these is one"):
        run(demo, "recommend", "demo-markov-knn", "--history", "우주 여행")


def test_items_can_be_named_by_id(demo: Path) -> None:
    shown = json.loads(run(demo, "recommend", "demo-markov-knn", "--history", "s00001", "--json").output)
    same = json.loads(run(demo, "recommend", "demo-markov-knn", "--history", "shop:s00001", "--json").output)
    assert shown["items"] == same["items"]
    assert shown["history"] == same["history"]


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (("fit", "sasrek", "--logs", "demo"), UnknownName, "did you mean 'sasrec'"),
        (("fit", "ease", "--logs", "dem"), UnknownName, "did you mean 'demo-logs'"),
        (("fit", "ease", "--logs", "demo", "--set", "l3=1"), MalmoiError, "settings.l3"),
        (("eval", "demo-markov", "--logs", "demo"), UnknownName, "did you mean 'demo-markov-knn'"),
        (("recommend", "demo-markov-knn"), InvalidInput, "either --history or --user"),
        (("recommend", "demo-markov-knn", "--user", "nobody"), UnknownName, "no user 'nobody'"),
        (
            ("recommend", "demo-markov-knn", "--user", "u000001", "--service", "bank"),
            UnknownName,
            "no service 'bank'",
        ),
        (("encode", "demo-markov-knn", "--out", "x.parquet"), MalmoiError, "gives no vectors"),
        (("fit", "markov", "--logs", "demo", "--split", "time"), InvalidInput, "--split time needs a time"),
        (("encode", "demo-markov-knn", "--out", "x.csv"), InvalidInput, "Parquet file by another name"),
        (("eval", "--logs", "demo", "--baseline", "markow"), UnknownName, "did you mean 'markov'"),
        (("import",), InvalidInput, "no files are given"),
        (("import", "nothing.csv"), InvalidInput, "no file matches"),
        (("simulate", "--set", "stya=0.7"), MalmoiError, "no setting stya"),
        (("simulate", "--events", "500", "--items", "100"), MalmoiError, "nobody does the same twice"),
    ],
)
def test_mistakes_are_told_with_a_way_out(
    demo: Path, words: tuple[str, ...], error: type[MalmoiError], message: str
) -> None:
    with pytest.raises(error, match=message):
        run(demo, *words)


def test_files_are_shown_before_they_are_read(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "shop.csv"
    file.write_text("customer,item,at,name\nkim,1,10,텐트\nkim,2,soon,침낭\n", encoding="utf-8")
    words = [
        "import",
        str(file),
        "--set",
        "user=customer",
        "--set",
        "time=at",
        "--set",
        "time_unit=s",
        "--set",
        "text=name",
    ]
    shown = run(home, *words, "--dry-run").output
    assert "1 users, 1 items, 1 events" in shown
    assert "텐트" in shown
    assert "shop.csv, row 2: at is no number of seconds (soon)" in shown
    assert not (home / "store").exists()
    made = json.loads(run(home, *words, "--name", "shop", "--quiet", "--json").output)
    assert made["artifact"].startswith("logs-shop-logs-")
    assert made["files"][0]["bad"] == {"at is no number of seconds": 1}
    with pytest.raises(InvalidInput, match="row 2"):
        run(home, *words, "--set", "strict=true", "--quiet")


def test_a_simulation_written_as_files_comes_back_by_its_schema(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "files"
    words = ["--users", "40", "--items", "60", "--events", "6", "--seed", "5"]
    for layout in ("csv", "jsonl"):
        assert run(home, "simulate", *words, "--out", str(out / layout), "--format", layout).exit_code == 0
        schema = str(out / layout / "schema.toml")
        made = json.loads(
            run(home, "import", "--schema", schema, "--name", layout, "--quiet", "--json").output
        )
        assert made["users"] == 40
        assert made["noted"] == {}
        assert sum(one["events"] for one in made["services"]) == made["events"]


def test_a_vector_for_each_user(demo: Path, tmp_path: Path) -> None:
    words = ["fit", "mean-text", "--logs", "demo", "--set", "vectors=ngrams", "--quiet", "--json"]
    name = json.loads(run(demo, *words).output)["name"]
    out = tmp_path / "deep" / "vectors.parquet"
    result = run(demo, "encode", name, "--out", str(out), "--quiet")
    assert "150 users" in result.output
    table = pq.read_table(out)
    assert table.column("user").to_pylist()[:2] == ["u000000", "u000001"]
    vectors = np.array(table.column("vector").to_pylist())
    assert vectors.shape[0] == 150
    assert np.isfinite(vectors).all()
    assert len(np.unique(vectors.round(4), axis=0)) > 100
    assert not list(out.parent.glob(".*.tmp"))


def test_help_has_examples() -> None:
    for name in ("import", "simulate", "fit", "eval", "recommend", "encode"):
        shown = CliRunner().invoke(users, [name, "--help"]).output
        assert f"malmoi users {name} " in shown


def test_a_fit_says_how_it_is_tested_on_the_same_split(demo: Path) -> None:
    split = ["--split", "users", "--share", "0.2", "--split-seed", "3"]
    said = run(demo, "fit", "popularity", "--logs", "demo", "--quiet", *split).output
    test = "eval demo-popularity --logs demo --split users --share 0.2 --split-seed 3"
    assert f"  test: malmoi users {test}\n" in said
    assert run(demo, *test.split(), "--baseline", "popularity", "--quiet").exit_code == 0
    with pytest.raises(InvalidInput, match=r"of the split users, share 0\.2, seed 3, so it may"):
        run(demo, "eval", "demo-popularity", "--logs", "demo", "--quiet")


def test_logs_that_were_there_before_are_said_to_keep_their_name(demo: Path) -> None:
    words = ["--users", "150", "--items", "120", "--events", "8", "--quiet"]
    assert "keep the name" not in run(demo, "simulate", *words).output
    assert "they keep the name demo." in run(demo, "simulate", *words, "--name", "other").output
