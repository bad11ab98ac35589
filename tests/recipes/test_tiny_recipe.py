"""The whole way from text to a served completion, by the command that people type."""

import gzip
import io
import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("xllamacpp")

from tiny_runs import (
    RECIPE,
    SMALL,
    STAGES,
    digests,
    last_run,
    made,
    malmoi,
    prose,
    read_json,
    run_recipe,
    statuses,
)

from malmoi.cli import main
from malmoi.core.store import Store
from malmoi.engine.base import Sampling
from malmoi.engine.open import open_engine
from malmoi.engine.options import EngineOptions

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one finished run without data."""
    folder = tmp_path_factory.mktemp("generated")
    run_recipe(folder)
    return folder


def shown(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What a quick command prints; it runs in this process, through the whole tree of commands."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    out, errors = capsys.readouterr()
    assert ended.value.code == 0, errors
    return out


def test_every_stage_makes_its_artifact(home: Path) -> None:
    assert statuses(home) == dict.fromkeys(STAGES, "finished")
    assert [made(home, stage).manifest.kind for stage in STAGES] == [
        "corpus",
        "tokenizer",
        "tokens",
        "model",
        "quantized",
        "report",
    ]
    for stage in STAGES:
        made(home, stage).verify()
    assert read_json(made(home, "pretrain"), "training.json")["step"] == 12
    assert list((home / "store" / "work").glob("*")) == []


def test_llama_cpp_completed_the_prompts(home: Path) -> None:
    rows = read_json(made(home, "complete"), "completions.json")
    assert [row["prompt"] for row in rows] == ["파이썬에서 함수는", "이 영화는 정말", "The function returns"]
    assert {row["finish_reason"] for row in rows} <= {"length", "stop"}
    assert any(row["text"] for row in rows)
    (file,) = made(home, "gguf").path.glob("*.gguf")
    assert file.read_bytes()[:4] == b"GGUF"


async def test_the_run_can_be_opened_by_its_name(home: Path) -> None:
    engine = await open_engine(
        f"run:{last_run(home).id}", home=home, options=EngineOptions(threads=1, slots=1)
    )
    try:
        (completion,) = await engine.generate(["바다"], Sampling(max_tokens=4, temperature=0.0))
    finally:
        await engine.close()
    assert completion.usage.completion_tokens in range(1, 5)


def test_what_was_made_can_be_looked_at(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = last_run(home)
    lineage = shown(capsys, "artifacts", "lineage", made(home, "gguf").id, "--home", home)
    for stage in ("gguf", "pretrain", "tokens", "tokenizer", "corpus"):
        assert made(home, stage).id in lineage
    told = shown(capsys, "runs", "show", run.id, "--home", home)
    for stage in STAGES:
        assert made(home, stage).id in told
    looked = shown(capsys, "corpus", "look", "--samples", 1, "--home", home)
    assert "korean" in looked
    assert "documents kept" in looked


def test_a_dry_run_says_why(home: Path) -> None:
    changed = (*SMALL, "pretrain.optim.weight_decay=0.05")
    plan = malmoi("run", RECIPE, "--home", home, "--dry-run", settings=changed).stdout.splitlines()
    assert [line.split()[:2] for line in plan] == [
        ["corpus", "reuse"],
        ["tokenizer", "reuse"],
        ["tokens", "reuse"],
        ["pretrain", "run"],
        ["gguf", "run"],
        ["complete", "run"],
    ]
    assert "optim.weight_decay = 0.05, was 0.1" in plan[3]
    assert "pretrain will be made first" in plan[4]


def write_every_kind(folder: Path) -> None:
    """A folder of people's files, one of each kind."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import zstandard

    texts = iter(prose(number) for number in range(240))

    def rows(count: int) -> bytes:
        lines = [json.dumps({"text": next(texts)}, ensure_ascii=False) for _ in range(count)]
        return ("\n".join(lines) + "\n").encode()

    folder.mkdir()
    for name in ("plain", "notes", "rows", "frames", "table", "pages"):
        (folder / name).mkdir()
    for number in range(30):
        (folder / "plain" / f"{number}.txt").write_text(next(texts))
        (folder / "notes" / f"{number}.md").write_text(f"# {number}\n\n{next(texts)}\n")
        page = f"<html><head><title>t</title><script>var a = {number};</script></head><body><p>{next(texts)}"
        (folder / "pages" / f"{number}.html").write_text(page)
    (folder / "rows" / "a.jsonl.gz").write_bytes(gzip.compress(rows(50)))
    (folder / "frames" / "a.jsonl.zst").write_bytes(zstandard.compress(rows(50)))
    buffer = io.BytesIO()
    pq.write_table(pa.table({"text": [next(texts) for _ in range(50)], "other": range(50)}), buffer)
    (folder / "table" / "a.parquet").write_bytes(buffer.getvalue())


@pytest.fixture(scope="module")
def home_of_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one finished run on a folder of files; plain BPE, to be quick."""
    folder = tmp_path_factory.mktemp("files")
    write_every_kind(folder / "texts")
    settings = (*SMALL, "corpus.num_workers=2", "tokenizer.kind=byte")
    run_recipe(folder / "home", "--data", folder / "texts", settings=settings)
    return folder / "home"


def test_a_folder_of_files_of_every_kind(home_of_files: Path) -> None:
    rows = read_json(made(home_of_files, "corpus"), "mixture.json")["sources"]
    assert {row["name"]: row["documents"] > 20 for row in rows} == dict.fromkeys(
        ("frames", "notes", "pages", "plain", "rows", "table"), True
    )
    assert len(read_json(made(home_of_files, "complete"), "completions.json")) == 3


def test_nothing_is_run_twice(home_of_files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home, before, first = home_of_files, digests(home_of_files), last_run(home_of_files).id
    shown(capsys, "runs", "rerun", first, "--quiet", "--home", home)
    assert statuses(home) == dict.fromkeys(STAGES, "reused")
    assert digests(home) == before
    second = last_run(home).id
    assert second != first
    listed = shown(capsys, "runs", "ls", "--home", home)
    assert f"{first:<32} finished" in listed
    assert f"{second:<32} finished" in listed
    told = shown(capsys, "runs", "diff", first, second, "--home", home)
    assert "settings: the same" in told
    assert "content: the same" in told


def test_a_run_made_again_is_the_same(home_of_files: Path) -> None:
    home, before, run = home_of_files, digests(home_of_files), last_run(home_of_files)
    done = malmoi("runs", "rerun", run.id, "--again", "--quiet", "--home", home)
    for stage in STAGES:
        assert f"  {stage:<16} the same" in done.stdout, done.stderr
    assert last_run(home).id != run.id
    assert statuses(home) == dict.fromkeys(STAGES, "finished")
    assert digests(home) == before
    assert len(Store(home / "store").artifacts()) == 2 * len(STAGES)


def test_a_changed_file_is_noticed(home_of_files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home_of_files.parent / "texts" / "plain" / "0.txt").write_text(prose(500))
    plan = shown(capsys, "runs", "rerun", last_run(home_of_files).id, "--dry-run", "--home", home_of_files)
    assert "what it reads at source plain changed" in plan.splitlines()[0]
