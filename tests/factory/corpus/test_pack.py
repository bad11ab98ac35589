"""Packing: what is in the files, and that a crash changes nothing."""

import hashlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from packed_tokens import WORDS, document, write_corpus, write_tokenizer

from malmoi.core.errors import DiskFull, InvalidInput, MalmoiError
from malmoi.core.hangul import nfc
from malmoi.core.stage import StageContext
from malmoi.core.store import Artifact, Manifest, Store
from malmoi.factory.corpus.documents import Document
from malmoi.factory.corpus.pack import TokensConfig, TokensStage, plan_shards
from malmoi.factory.corpus.pack_journal import SourceFiles
from malmoi.factory.corpus.tokens import load_tokens
from malmoi.factory.tokenizer.tokenizer import Tokenizer


class Notes:
    """Progress that remembers its notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.done = 0.0

    def task(self, title: str, *, total: float | None = None, unit: str = "") -> Any:
        self.total = total
        return self

    def __enter__(self) -> "Notes":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def advance(self, amount: float = 1.0, **shown: str | float) -> None:
        self.done += amount

    def at(self, done: float, **shown: str | float) -> None:
        self.done = done

    def note(self, text: str) -> None:
        self.notes.append(text)


def pack(corpus: Path, tokenizer: Path, out: Path, work: Path, **settings: Any) -> tuple[Any, Notes]:
    """Run the stage; gives its metadata and what it said."""
    progress = Notes()
    for folder in (out, work):
        folder.mkdir(parents=True, exist_ok=True)
    inputs = {}
    for kind, path in (("corpus", corpus), ("tokenizer", tokenizer)):
        manifest = Manifest(
            id=f"{kind}-a-1",
            kind=kind,
            name="a",
            created_at=datetime.now(UTC),
            version="0",  # type: ignore[arg-type]
        )
        inputs[kind] = Artifact(manifest, path)
    context = StageContext(
        store=Store(work / "store"), name="tokens", work=work, seed=1, home=work, progress=progress
    )
    return TokensStage().run(TokensConfig(**settings), inputs, out, context), progress


def documents(count: int, source: str = "web") -> list[Document]:
    """Documents that are all different, of many lengths."""
    return [
        document(
            " ".join(WORDS[(number * 7 + place) % len(WORDS)] for place in range(number % 23 + 1)),
            source,
            number,
        )
        for number in range(count)
    ]


def digests(folder: Path) -> dict[str, str]:
    """sha256 of every file but those about the making."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "about" not in path.parts
    }


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    return write_tokenizer(tmp_path / "tokenizer")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    train = documents(120) + documents(30, "code")
    return write_corpus(
        tmp_path / "corpus", {"train": train, "validation": documents(9)}, {"web": 0.75, "code": 0.25}
    )


def test_every_document_is_there_with_its_end_and_its_bytes(
    corpus: Path, tokenizer: Path, tmp_path: Path
) -> None:
    metadata, progress = pack(corpus, tokenizer, tmp_path / "out", tmp_path / "work")
    tokens = load_tokens(tmp_path / "out")
    vocabulary = Tokenizer.load(tmp_path / "out" / "tokenizer")
    for split, source, wanted in (
        ("train", "web", documents(120)),
        ("train", "code", documents(30, "code")),
        ("validation", "web", documents(9)),
    ):
        packed = list(tokens.iter_documents(split, source))
        assert [vocabulary.decode(ids[:-1]) for ids, _ in packed] == [one.text for one in wanted]
        assert [size for _, size in packed] == [len(one.text.encode()) for one in wanted]
        assert {int(ids[-1]) for ids, _ in packed} == {tokens.eot_id}
    assert tokens.names("validation") == ["web"]
    assert tokens.sources["web"].language == "ko"
    assert tokens.record.dtype == "uint16"
    assert metadata["splits"]["train"]["documents"] == 150
    assert progress.done == progress.total == 159
    assert any("web (ko)" in note and "120 documents" in note for note in progress.notes)
    assert json.loads((tmp_path / "out" / "about" / "tokens.json").read_text())["megabytes_a_second"] > 0


def test_shards_change_nothing(corpus: Path, tokenizer: Path, tmp_path: Path) -> None:
    pack(corpus, tokenizer, tmp_path / "a", tmp_path / "work-a")
    pack(corpus, tokenizer, tmp_path / "b", tmp_path / "work-b", shard_megabytes=0.0001)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_anywhere_it_comes_to_the_same_bytes(tokenizer: Path, tmp_path: Path, seed: int) -> None:
    corpus = tmp_path / "corpus"
    for part in range(5):
        write_corpus(
            corpus, {"train": documents(40 + part) + documents(10 + part, "code")}, {"web": 0.5, "code": 0.5}
        )
        (corpus / "train" / "part-00000.parquet").rename(corpus / "train" / f"part-1000{part}.parquet")
    write_corpus(corpus, {"validation": documents(7)}, {"web": 0.5, "code": 0.5})
    assert len(plan_shards(corpus, 1000)) == 6
    pack(corpus, tokenizer, tmp_path / "straight", tmp_path / "straight-work")
    script = Path(__file__).with_name("pack_until_killed.py")
    done = subprocess.run(
        [sys.executable, str(script), str(corpus), str(tokenizer), str(tmp_path / "killed"), str(seed)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(script.parent)},
    )
    deaths, code = map(int, done.stdout.split())
    assert (deaths, code) == (6, 0), done.stderr
    assert digests(tmp_path / "killed" / "out-6") == digests(tmp_path / "straight")


def test_work_on_other_input_is_not_gone_on_with(corpus: Path, tokenizer: Path, tmp_path: Path) -> None:
    pack(corpus, tokenizer, tmp_path / "a", tmp_path / "work")
    other = write_corpus(tmp_path / "other", {"train": documents(50)}, {"web": 1.0, "code": 0.0})
    pack(other, tokenizer, tmp_path / "b", tmp_path / "work")
    pack(other, tokenizer, tmp_path / "c", tmp_path / "clean")
    assert digests(tmp_path / "b") == digests(tmp_path / "c")
    assert load_tokens(tmp_path / "a").names("train") == ["web", "code"]  # its linked files are as they were


def test_decomposed_and_strange_text_comes_through(tokenizer: Path, tmp_path: Path) -> None:
    texts = ["\u1106\u1161\u11af모이", "<|endoftext|> does not end it", "\x00\u200b🇰🇷\r\n\t", "긴 " * 30_000]
    corpus = write_corpus(
        tmp_path / "corpus",
        {"train": [document(text, number=n) for n, text in enumerate(texts)]},
        {"web": 1.0},
    )
    _, progress = pack(corpus, tokenizer, tmp_path / "out", tmp_path / "work", check_every=1)
    tokens = load_tokens(tmp_path / "out")
    vocabulary = Tokenizer.load(tokenizer)
    packed = list(tokens.iter_documents("train", "web"))
    assert [vocabulary.decode(ids[:-1]) for ids, _ in packed] == [nfc(text) for text in texts]
    assert all((ids[:-1] != tokens.eot_id).all() for ids, _ in packed)
    assert any("No documents are held out" in note for note in progress.notes)


def test_empty_documents_are_left_out(tokenizer: Path, tmp_path: Path) -> None:
    corpus = write_corpus(
        tmp_path / "corpus", {"train": [document(""), document("말모이는", number=1)]}, {"web": 1.0}
    )
    pack(corpus, tokenizer, tmp_path / "out", tmp_path / "work")
    assert load_tokens(tmp_path / "out").source("train", "web").num_documents == 1


def refusal(corpus: Path, tokenizer: Path, tmp_path: Path, **settings: Any) -> str:
    with pytest.raises(MalmoiError) as caught:
        pack(corpus, tokenizer, tmp_path / "out", tmp_path / "work", **settings)
    return str(caught.value)


def test_what_cannot_be_packed_is_said(corpus: Path, tokenizer: Path, tmp_path: Path) -> None:
    empty = write_corpus(tmp_path / "empty", {}, {"web": 1.0})
    assert "no training documents" in refusal(empty, tokenizer, tmp_path)
    blank = write_corpus(tmp_path / "blank", {"train": [document("")]}, {"web": 1.0})
    assert "not one token" in refusal(blank, tokenizer, tmp_path)
    (empty / "mixture.json").unlink()
    assert "mixture.json" in refusal(empty, tokenizer, tmp_path)
    foreign = write_corpus(tmp_path / "foreign", {"train": documents(3, "elsewhere")}, {"web": 1.0})
    assert "'elsewhere', which mixture.json does not name" in refusal(foreign, tokenizer, tmp_path)
    evil = write_corpus(tmp_path / "evil", {"train": documents(3, "../../up")}, {"../../up": 1.0})
    assert "cannot be a file name" in refusal(evil, tokenizer, tmp_path)
    assert "tokenizer.json" in refusal(corpus, tmp_path / "nowhere", tmp_path)
    lossy = write_tokenizer(tmp_path / "lossy", lossy=True)
    shouting = write_corpus(tmp_path / "shouting", {"train": [document("THE river")]}, {"web": 1.0})
    assert "'THE river' became 'the river'" in refusal(shouting, lossy, tmp_path)


def test_a_broken_parquet_file_is_named(corpus: Path, tokenizer: Path, tmp_path: Path) -> None:
    path = corpus / "train" / "part-00000.parquet"
    data = path.read_bytes()
    path.write_bytes(data[:-40])
    assert "part-00000.parquet cannot be read" in refusal(corpus, tokenizer, tmp_path)
    broken = bytearray(data)
    broken[60:400] = bytes(340)
    path.write_bytes(bytes(broken))
    assert "part-00000.parquet cannot be read" in refusal(corpus, tokenizer, tmp_path)


def test_a_full_disk_keeps_what_is_done(
    corpus: Path, tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, left = SourceFiles._write, [4]

    def failing(self: SourceFiles, split: str, name: str, suffix: str, data: bytes) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise DiskFull("no room left.")
        original(self, split, name, suffix, data)

    monkeypatch.setattr(SourceFiles, "_write", failing)
    with pytest.raises(DiskFull):
        pack(corpus, tokenizer, tmp_path / "out", tmp_path / "work")
    monkeypatch.undo()
    pack(corpus, tokenizer, tmp_path / "out", tmp_path / "work")
    pack(corpus, tokenizer, tmp_path / "straight", tmp_path / "other-work")
    assert digests(tmp_path / "out") == digests(tmp_path / "straight")


def test_lost_work_is_not_passed_off_as_whole(corpus: Path, tokenizer: Path, tmp_path: Path) -> None:
    pack(corpus, tokenizer, tmp_path / "out", tmp_path / "work")
    os.truncate(tmp_path / "work" / "tokens" / "train" / "web.bin", 10)
    with pytest.raises(InvalidInput, match=r"web\.bin has lost bytes"):
        pack(corpus, tokenizer, tmp_path / "again", tmp_path / "work")
