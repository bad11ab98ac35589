import json
import subprocess
import sys
from pathlib import Path

import pytest

from malmoi.core.errors import Conflict, InvalidInput, MalmoiError, UnknownName
from malmoi.core.locks import locked
from malmoi.core.store import LOCK, Artifact, StageRecord, Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def make(store: Store, kind: str = "corpus", name: str = "tiny", **extra: object) -> Artifact:
    with store.new_artifact(kind, name, **extra) as folder:  # type: ignore[arg-type]
        (folder / "data.txt").write_text(name)
        (folder / "deep").mkdir()
        (folder / "deep/more.txt").write_text("more")
    return store.artifacts()[-1]


def test_an_artifact_appears_whole(store: Store) -> None:
    made = make(store, metadata={"documents": 3})
    again = store.artifact(made.id)
    assert again.manifest == made.manifest
    assert [record.path for record in again.manifest.files] == ["data.txt", "deep/more.txt"]
    assert again.manifest.metadata == {"documents": 3}
    again.verify()


def test_a_run_remembers_the_order_of_its_stages(store: Store) -> None:
    config = {"stages": {"tokenizer": {"b": 1, "a": 2}, "corpus": {}}}
    run = store.new_run("tiny", config=config, seed=1)
    run.end("finished")
    assert list(store.run(run.id).record.config["stages"]) == ["tokenizer", "corpus"]


def test_an_error_leaves_nothing_behind(store: Store) -> None:
    def fail() -> None:
        with store.new_artifact("corpus", "tiny") as folder:
            (folder / "data.txt").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert store.artifacts() == []
    assert list((store.root / "artifacts" / "corpus").iterdir()) == []


def test_a_killed_writer_leaves_nothing_to_see(store: Store) -> None:
    program = (
        "import os, sys; from pathlib import Path; from malmoi.core.store import Store\n"
        "with Store(Path(sys.argv[1])).new_artifact('corpus', 'tiny') as folder:\n"
        "    (folder / 'data.txt').write_text('half'); os.kill(os.getpid(), 9)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(store.root)], check=False)
    assert ended.returncode == -9
    assert store.artifacts() == []


@pytest.mark.parametrize(
    ("harm", "part"),
    [
        (lambda path: (path / "data.txt").write_text("x"), "data.txt has changed"),
        (lambda path: (path / "data.txt").unlink(), "data.txt is missing"),
        (lambda path: (path / "new.txt").write_text("x"), "new.txt does not belong"),
    ],
)
def test_verify_names_what_is_wrong(store: Store, harm: object, part: str) -> None:
    made = make(store)
    harm(made.path)  # type: ignore[operator]
    with pytest.raises(MalmoiError, match=part):
        made.verify()


def test_lineage_walks_the_inputs_once(store: Store) -> None:
    corpus = make(store)
    tokenizer = make(store, "tokenizer", inputs=[corpus.id])
    tokens = make(store, "tokens", inputs=[corpus.id, tokenizer.id])
    assert [artifact.id for artifact in store.lineage(tokens.id)] == [tokens.id, corpus.id, tokenizer.id]


def test_an_input_of_another_is_not_removed(store: Store) -> None:
    corpus = make(store)
    heir = make(store, "tokenizer", inputs=[corpus.id])
    with pytest.raises(Conflict, match=heir.id):
        store.remove_artifact(corpus.id)
    store.remove_artifact(heir.id)
    store.remove_artifact(corpus.id)
    assert store.artifacts() == []


@pytest.mark.parametrize("name", ["../up", "Big", "", "a/b", ".hidden", "a" * 101, "a\0b"])
def test_a_name_is_never_a_path(store: Store, name: str) -> None:
    with pytest.raises(InvalidInput, match="not a name"), store.new_artifact("corpus", name):
        pass
    with pytest.raises(UnknownName):
        store.artifact(f"corpus-{name}")
    with pytest.raises(UnknownName):
        store.run(f"../{name}")


def test_a_run_keeps_what_became_of_its_stages(store: Store) -> None:
    run = store.new_run("sft", config={"lr": 0.1}, seed=7)
    for name in ("corpus", "pretrain"):
        run.set_stage(StageRecord(name=name, use=name, status="running"))
    run.set_stage(StageRecord(name="corpus", use="corpus", status="finished", artifact="corpus-x"))
    again = store.run(run.id)
    assert [(stage.name, stage.status) for stage in again.record.stages] == [
        ("corpus", "finished"),
        ("pretrain", "running"),
    ]
    assert again.status == "interrupted"  # no process holds its lock
    with locked(run.path / LOCK, busy=""):
        assert store.run(run.id).status == "running"
    run.end("failed", error="no room")
    assert (store.run(run.id).status, store.run(run.id).record.error) == ("failed", "no room")


def test_a_digest_tells_content_and_leaves_out_how_it_was_made(store: Store) -> None:
    def made(text: str, about: str) -> str:
        with store.new_artifact("corpus", "tiny") as folder:
            (folder / "data.txt").write_text(text)
            (folder / "about").mkdir()
            (folder / "about" / "times.json").write_text(about)
        return store.artifacts()[-1].digest

    assert made("a", "1 s") == made("a", "2 s") != made("b", "1 s")


def test_a_filled_folder_is_adopted(store: Store) -> None:
    folder = store.root / "work" / "out"
    folder.mkdir(parents=True)
    (folder / "data.txt").write_text("x")
    artifact = store.adopt(folder, "corpus", "tiny", inputs=["a"], metadata={"n": 1})
    assert not folder.exists()
    assert store.artifact(artifact.id).manifest.metadata == {"n": 1}
    store.artifact(artifact.id).verify()
    assert artifact.is_complete
    (artifact.path / "data.txt").write_text("longer")
    assert not artifact.is_complete


def test_a_damaged_manifest_is_named(store: Store) -> None:
    made = make(store)
    manifest = made.path / "manifest.json"
    manifest.write_text(json.dumps({"id": made.id}))
    with pytest.raises(MalmoiError, match=r"manifest\.json: kind: Field required"):
        store.artifact(made.id)
