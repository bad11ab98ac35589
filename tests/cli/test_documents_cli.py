"""Documents by commands: added, listed, found, deleted; what goes wrong says why."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from malmoi.cli import cli
from malmoi.core.morphemes import MorphemeAnalyzer

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command line on a home of its own, without the child process of the analyser."""
    monkeypatch.setattr(MorphemeAnalyzer, "is_available", False)

    def invoke(*args: str) -> Result:
        options = ["--home", str(tmp_path / "home")]
        if args[1] not in ("evaluate",):
            options += ["--set", "documents.embedder=nobody"]
        return CliRunner().invoke(cli, [*args, *options])

    return invoke


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A few files, some of which are not taken."""
    room = tmp_path / "자료"
    (room / "하위").mkdir(parents=True)
    (room / "휴가.md").write_text("# 휴가\n\n연차는 열닷새다.\n", encoding="utf-8")
    (room / "하위" / "출장.txt").write_text("출장비는 영수증으로 청구한다.\n", encoding="utf-8")
    (room / ".hidden.txt").write_text("x", encoding="utf-8")
    (room / "program.exe").write_bytes(b"MZ")
    return room


def test_a_dry_run_tells_and_does_nothing(run: Run, folder: Path) -> None:
    told = run("documents", "add", str(folder), "--collection", "인사", "--dry-run")
    assert told.exit_code == 0, told.output
    assert "자료/휴가.md  Markdown  " in told.output
    assert "자료/하위/출장.txt  plain text  " in told.output
    assert "2 files" in told.output
    assert "1 of other formats" in told.output
    assert run("documents", "list").output == ""


def test_added_documents_are_listed_found_and_deleted(run: Run, folder: Path, tmp_path: Path) -> None:
    added = run("documents", "add", str(folder), "--collection", "인사", "--quiet")
    assert added.exit_code == 0, added.output
    assert added.output == "Added 2 documents to '인사'; 1 of other formats were left out.\n"
    again = run("documents", "add", str(folder), "--collection", "인사", "--quiet")
    assert "Added 0 documents to '인사'; 2 were there already" in again.output
    assert run("documents", "list").output == "인사  2 documents\n"
    listed = run("documents", "list", "인사").output
    assert {line.split("  ")[1] for line in listed.splitlines()} == {"자료/휴가.md", "자료/하위/출장.txt"}
    found = run("documents", "search", "영수증으로 무엇을 하나", "--json")
    first = json.loads(found.output.splitlines()[0])
    assert first["name"] == "자료/하위/출장.txt"
    assert "영수증" in first["text"]
    assert "1. 자료/휴가.md  (terms 1)" in run("documents", "search", "연차", "--collection", "인사").output
    assert "Indexed 2 documents" in run("documents", "reindex", "--collection", "인사", "--quiet").output
    removed = run("documents", "remove", "자료/휴가.md", "--collection", "인사", "--yes")
    assert removed.output == "Deleted 자료/휴가.md.\n"
    assert run("documents", "remove", "--all", "--collection", "인사", "--yes").exit_code == 0
    files = [path for path in (tmp_path / "home" / "documents").rglob("*") if path.is_file()]
    assert [path.name for path in files] == [".indexing.lock"]


def test_a_file_that_cannot_be_read_is_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.pdf").write_bytes(b"%PDF-1.7 nothing")
    (tmp_path / "empty.txt").write_bytes(b"")
    failed = run(
        "documents", "add", str(tmp_path / "bad.pdf"), str(tmp_path / "empty.txt"), "--collection", "x"
    )
    assert failed.exit_code == 1
    assert "empty.txt: the file is empty." in failed.output
    assert "'bad.pdf'" in failed.output
    assert "Traceback" not in failed.output


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("search", "x", "--collection", "없는 것"), "no collection '없는 것'"),
        (("list", "없는 것"), "no collection"),
        (("remove", "--collection", "x"), "--all"),
        (("add", "/nowhere", "--collection", "x"), "does not exist"),
        (("list", "--account", "nobody"), "no account 'nobody'"),
    ],
    ids=["search", "list", "remove", "add", "account"],
)
def test_what_cannot_be_done_says_why(run: Run, args: tuple[str, ...], message: str) -> None:
    failed = run("documents", *args)
    assert failed.exit_code != 0
    assert message in failed.output + str(failed.exception)
