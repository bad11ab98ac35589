"""The command end to end, with a scripted engine and files as the field publishes them."""

import gzip
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from malmoi.cli import cli
from malmoi.core.errors import InvalidInput, MalmoiError, NotFound, UnknownName
from malmoi.core.store import Store
from malmoi.evals.icl.datasets import known_sets, open_set

HOSTILE = "<script>alert(1)</script> {{ 7 * 7 }} <end_of_turn>"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with small files of SentiNeg, NSMC (no test split), KLUE-NLI and COPA."""
    folder = tmp_path / "data"
    rows = [f"{n}\t{HOSTILE if n == 3 else f'문장 {n}'}\t{n % 2}" for n in range(24)]
    sentineg = folder / "kobest" / "SentiNeg"
    sentineg.mkdir(parents=True)
    for split in ("train", "dev"):
        sentineg.joinpath(f"{split}.tsv").write_text(
            "ID\tText\tLabel\n" + "\n".join(rows) + "\n", encoding="utf-8"
        )
    copa = folder / "kobest" / "COPA"
    copa.mkdir(parents=True)
    lines = [
        f"{n}\t비가 {n}번 왔다.\t{'원인' if n % 2 else '결과'}\t땅이 {n}\t해가 {n}\t{n % 2 + 1}"
        for n in range(20)
    ]
    for split in ("train", "dev"):
        copa.joinpath(f"{split}.tsv").write_text(
            "ID\tsentence\tquestion\t1\t2\tAnswer\n" + "\n".join(lines) + "\n", encoding="utf-8"
        )
    (folder / "nsmc").mkdir()
    reviews = "id\tdocument\tlabel\n" + "".join(f"{n}\t영화 {n}\t{n % 2}\n" for n in range(40))
    (folder / "nsmc" / "ratings_train.tsv.gz").write_bytes(gzip.compress(reviews.encode(), mtime=0))
    (folder / "klue").mkdir()
    kinds = ("entailment", "neutral", "contradiction")
    pairs = [
        {"premise": f"전제 {n}", "hypothesis": f"가설 {n}", "gold_label": kinds[n % 3]} for n in range(40)
    ]
    (folder / "klue" / "klue-nli-v1.1_dev.json").write_text(json.dumps(pairs), encoding="utf-8")
    return folder


def call(tmp_path: Path, *args: str) -> str:
    script = tmp_path / "model.toml"
    if not script.exists():  # a file that is written again is another model
        script.write_text('[[rules]]\nreply = "긍정"\n', encoding="utf-8")
    command = ["evals", "labels", "--model", f"scripted:{script}", "--data", str(tmp_path / "data")]
    command += ["--home", str(tmp_path / "home"), "--quiet", *args]
    return CliRunner().invoke(cli, command, catch_exceptions=False, standalone_mode=False).stdout


SMALL = ("--shots", "2,4", "--seeds", "2", "--limit", "6")


def test_the_command_prints_a_table_and_keeps_a_page(tmp_path: Path, data: Path) -> None:
    said = call(tmp_path, *SMALL)
    head, *rows = said.splitlines()
    assert head.split()[:4] == ["dataset", "inference", "k", "b1"]
    names = {row.split()[0] for row in rows[:-1]}
    assert names == {"nsmc", "sentineg", "klue-nli", "copa", "all"}
    saved = Store(tmp_path / "home" / "store").artifacts("report")[-1]
    report = json.loads((saved.path / "labels.json").read_text())
    # 2 metrics, 2 directions with and without calibration, 2 numbers of shots, 4 datasets and all of them
    assert len(report["rows"]) == 2 * 4 * 2 * 5
    assert {used["name"]: used["split"] for used in report["sets"]}["nsmc"] == "train"
    choices = [json.loads(line) for line in (saved.path / "choices.jsonl").read_text().splitlines()]
    assert len(choices) == 4 * 2 * (1 + 2 * 2 * 6)
    page = (saved.path / "about" / "labels.html").read_text()
    assert page.count("<svg") >= 4 * 2
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")
    again = json.loads(call(tmp_path, *SMALL, "--json"))
    assert again["requests"] == 0
    assert again["rows"] == report["rows"]


def test_markup_of_the_data_is_text_on_the_page(tmp_path: Path, data: Path) -> None:
    text = (data / "kobest" / "SentiNeg" / "train.tsv").read_text()
    marked = "".join(
        line if line.startswith("ID") else line.replace("문장", HOSTILE)
        for line in text.splitlines(keepends=True)
    )
    (data / "kobest" / "SentiNeg" / "train.tsv").write_text(marked)
    call(tmp_path, *SMALL, "--task", "sentineg")
    saved = Store(tmp_path / "home" / "store").artifacts("report")[-1]
    page = (saved.path / "about" / "labels.html").read_text()
    assert "&lt;script&gt;alert(1)" in page
    assert "<script" not in page
    assert "{{ 7 * 7 }}" in page  # the data is never a template


def test_a_set_whose_files_are_missing_is_left_out(tmp_path: Path, data: Path) -> None:
    (data / "kobest" / "COPA" / "dev.tsv").unlink()
    assert "copa" not in call(tmp_path, *SMALL)
    with pytest.raises(NotFound, match=r"Fetch it from github\.com/SKT-LSL"):
        call(tmp_path, *SMALL, "--task", "copa")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--task", "nmsc"), "did you mean 'nsmc'"),
        (("--method", "noisy"), "no method 'noisy'"),
        (("--shots", "four"), "--shots 'four'"),
        (("--correct", "0,120"), "--correct '0,120'"),
        (("--shots", "64", "--task", "sentineg"), "only 24 examples"),
        (("--labels", "letters", "--task", "copa"), "choices of its own"),
    ],
    ids=["task", "method", "shots", "correct", "pool", "letters"],
)
def test_what_cannot_be_done_is_said(tmp_path: Path, data: Path, args: tuple[str, ...], message: str) -> None:
    with pytest.raises(MalmoiError, match=message):
        call(tmp_path, *args)


def test_letters_stand_for_labels_and_a_task_goes_by_its_own_name(tmp_path: Path, data: Path) -> None:
    letters = open_set("klue-nli", data, labels="letters", limit=5)
    assert letters.labels == ("A", "B", "C")
    assert letters.items[0].question.startswith("전제: ")
    task = open_set("kobest/copa", data, limit=5)
    assert task.wording.joiner == " "
    assert len(task.items) == 5
    with pytest.raises(UnknownName):
        open_set("kobest/cpoa", data)


def test_what_is_scored_is_never_shown(data: Path) -> None:
    for limit in (10, None):
        own = open_set("klue-nli", data, limit=limit)
        assert not {item.id for item in own.items} & {shot.id for shot in own.pool}
    assert len(own.pool) == 10  # a quarter is kept where all are asked for
    assert open_set("klue-nli", data, limit=10) == open_set("klue-nli", data, limit=10)


def test_an_empty_split_is_named(data: Path) -> None:
    (data / "kobest" / "SentiNeg" / "dev.tsv").write_text("ID\tText\tLabel\n")
    with pytest.raises(InvalidInput, match="no usable example"):
        open_set("sentineg", data)


@pytest.mark.parametrize("name", sorted(known_sets()))
def test_every_set_reads_the_published_files(name: str) -> None:
    folder = os.environ.get("MALMOI_TEST_DATA")
    if folder is None:
        pytest.skip("MALMOI_TEST_DATA does not name a folder with the published files")
    if name == "nsmc":
        pytest.skip("its 150,000 rows take too long here; the others are read the same way")
    for wording in ("verbose", "minimal"):
        own = open_set(name, Path(folder), wording=wording, limit=5)  # type: ignore[arg-type]
        assert len(own.items) == 5
        assert all(item.answer in item.choices for item in (*own.items, *own.pool))
        assert all("{{" not in item.question for item in own.items)
