"""`malmoi evals show, compare, leaderboard, contamination`: what they print, write and refuse."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from eval_rows import write_report
from malmoi.cli.evals import evals
from malmoi.core.errors import InvalidInput, UnknownName
from malmoi.core.store import Store


def run(*args: object) -> str:
    result = CliRunner().invoke(evals, [*map(str, args)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def reports(home: Path) -> tuple[str, str]:
    """Ids of two reports in the store."""
    store = Store(home / "store")
    for seed, (model, right) in enumerate((("weak", 0.5), ("strong", 0.8))):
        with store.new_artifact("report", f"{model}-korean") as out:
            write_report(out, seed=seed, right=right, model=model)
    first, second = store.artifacts("report")
    return first.id, second.id


def test_show_prints_figures_and_what_to_know(home: Path, reports: tuple[str, str]) -> None:
    shown = run("show", reports[0], "--home", home)
    assert "kobest/boolq" in shown
    assert "macro_f1" in shown
    assert "cannot be told from guessing" in shown
    assert "skipped click/all" in shown
    page = Path(shown.rpartition("look: ")[2].strip())
    assert page.is_file()
    assert json.loads(run("show", "latest", "--json", "--home", home))["model"] == "strong"


def test_show_names_the_nearest_report(home: Path, reports: tuple[str, str]) -> None:
    with pytest.raises(UnknownName, match=reports[0]):
        run("show", reports[0][:-1], "--home", home)


def test_show_takes_nothing_that_could_steer_the_terminal(home: Path, tmp_path: Path) -> None:
    folder = write_report(tmp_path / "report", model="bad\x1b[2Jname")
    assert "\x1b" not in run("show", folder, "--home", home)


def test_compare_prints_words_and_writes_a_page(home: Path, reports: tuple[str, str]) -> None:
    shown = run("compare", *reports, "--home", home)
    assert "strong is better by" in shown
    assert "inside the noise" in shown
    assert (
        Path(shown.rpartition("look: ")[2].strip()).read_text(encoding="utf-8").startswith("<!doctype html>")
    )
    told = json.loads(run("compare", *reports, "--json", "--home", home))
    assert told["models"] == ["weak", "strong"]
    assert told["differences"][0]["test"] == "mcnemar"


def test_leaderboard_lists_the_best_first(home: Path, reports: tuple[str, str]) -> None:
    shown = run("leaderboard", "--home", home)
    assert shown.index("strong") < shown.index("weak")
    assert (home / "evals" / "leaderboard.html").is_file()
    (board,) = json.loads(run("leaderboard", "--json", "--home", home))
    assert [model["model"] for model in board["models"]] == ["strong", "weak"]
    assert "No evaluations of the suite english" in run("leaderboard", "--suite", "english", "--home", home)


SUITE = '[[tasks]]\nname = "kobest/boolq"\n[[tasks]]\nname = "kobest/copa"\n'


def test_contamination_finds_a_copied_item(home: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    from malmoi.factory.corpus.documents import Document, write_documents
    from malmoi.tasks.table import open_task

    data, suite, corpus = tmp_path / "data", tmp_path / "mine.toml", tmp_path / "corpus"
    passage = (
        "훈민정음은 조선의 네 번째 임금 세종이 백성을 가르치려고 만든 글자이며 천사백사십육년에 반포되었다."
    )
    turtle = "바다거북은 모래밭에 알을 낳고 스스로 바다로 돌아가는데 그 길에는 수많은 새가 기다리고 있다."
    rows = [(passage, "세종이 만들었나?"), (passage, "네 번째 임금인가?"), (turtle, "거북은 새인가?")]
    lines = ["Text\tQuestion\tAnswer", *(f"{text}\t{question}\tTrue" for text, question in rows)]
    files = open_task("kobest/boolq", data).settings.files
    pattern = files["test"]
    place = data / (pattern if isinstance(pattern, str) else pattern[0])
    place.parent.mkdir(parents=True)
    place.write_text("\n".join(lines) + "\n", encoding="utf-8")
    suite.write_text('title = "Mine"\n' + SUITE, encoding="utf-8")
    (corpus / "train").mkdir(parents=True)
    (corpus / "mixture.json").write_text("{}")
    write_documents(
        corpus / "train" / "0.parquet",
        [Document("d", f"어느 글에서: {passage}", "web", "ko", "CC0-1.0", "web.txt#1")],
    )
    common = ("--corpus", corpus, "--suite", suite, "--data", data, "--home", home, "--quiet")
    shown = run("contamination", *common)
    assert "67 %" in shown
    assert "web.txt#1" in shown
    assert "not there: kobest/copa" in shown
    told = json.loads(run("contamination", *common, "--json"))
    assert len(told["tasks"][0]["seen"]) == 2
    with pytest.raises(InvalidInput, match="no task of the suite"):
        run("contamination", *common[:4], "--data", tmp_path / "corpus", "--home", home, "--quiet")
