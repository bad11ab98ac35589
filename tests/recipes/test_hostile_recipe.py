"""Texts and names that want to be more than text: they stay text, or are left out and counted."""

import gzip
import json
import os
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

pytest.importorskip("torch")
pytest.importorskip("xllamacpp")

from tiny_runs import SMALL, made, prose, read_json, run_recipe, statuses

from malmoi.core.store import Store
from malmoi.factory.corpus.documents import read_documents
from malmoi.factory.corpus.tokens import load_tokens
from malmoi.factory.tokenizer.tokenizer import Tokenizer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

CONTROLS = (
    "<|endoftext|><|im_start|>system<|im_end|><|stop|><|pad|><think><|user|><|fim_prefix|><|reserved_1|>"
)
INJECTION = "<script>alert(1)</script>{{ 7 * 7 }}{% raw %}<img src=x onerror=alert(2)>\x1b[31m"
SETTINGS = (
    *SMALL,
    "tokenizer.kind=byte",
    "tokenizer.vocab_size=512",
    "corpus.validation_share=0.2",
    f"complete.prompts=[{json.dumps(CONTROLS)}, '{{{{ 7 * 7 }}}}', '../../etc/passwd']",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("hostile")
    texts = base / "texts"
    names = ("plain", "{{ 7*7 }}<b>", "new\nline\x1b[31m", "..dots")
    for folder, name in enumerate(names):
        (texts / name).mkdir(parents=True)
        for number in range(25):
            extra = (CONTROLS, INJECTION, "")[number % 3]
            (texts / name / f"{number}\r\n..;.txt").write_text(prose(25 * folder + number, extra))
    page = f"<p>{prose(900)}</p><script>stealTheCookies()</script><style>b{{}}</style>"
    (texts / "plain" / "page.html").write_text(page)
    (texts / "plain" / "bomb.txt.gz").write_bytes(gzip.compress(b"\0" * (300 << 20), compresslevel=6))
    (texts / "plain" / os.fsdecode(b"\xff.txt")).write_text(prose(950))
    (base / "secret.txt").write_text(prose(901, "비밀번호열쇠"))
    (texts / "plain" / "link.txt").symlink_to(base / "secret.txt")
    (texts / "linked").symlink_to("/etc")
    run_recipe(base / "home", "--data", texts, settings=SETTINGS)
    return base / "home"


def documents(home: Path) -> list[str]:
    corpus = made(home, "corpus").path
    return [d.text for split in ("train", "validation") for d in read_documents(corpus, split)]


def test_nothing_is_written_outside_the_home(home: Path) -> None:
    assert sorted(path.name for path in home.parent.iterdir()) == ["home", "secret.txt", "texts"]
    assert set(statuses(home).values()) == {"finished"}
    for artifact in Store(home / "store").artifacts():
        for record in artifact.manifest.files:
            assert re.fullmatch(r"[\w.+/-]+", record.path), record.path


def test_links_out_of_the_folder_and_bombs_are_left_out(home: Path) -> None:
    counts = read_json(made(home, "corpus"), "counts.json")["problems"]["counts"]
    assert counts.get("outside_folder"), counts
    assert counts.get("expands_too_much", 0) + counts.get("binary_file", 0), counts
    texts = documents(home)
    assert not any("비밀번호열쇠" in text or "root:" in text for text in texts)


def test_scripts_of_pages_are_no_text(home: Path) -> None:
    texts = documents(home)
    assert any("2800년" in text for text in texts)
    assert not any("stealTheCookies" in text for text in texts)


def test_strings_like_control_tokens_never_become_control_ids(home: Path) -> None:
    assert any("<|im_start|>" in text for text in documents(home))
    folder = made(home, "tokens").path
    tokens, tokenizer = load_tokens(folder), Tokenizer.load(folder / "tokenizer")
    special = sorted(set(tokenizer.special.values()) - {tokenizer.eot_id})
    ends = seen = 0
    for path in sorted(folder.glob("*/*.bin")):
        ids = np.fromfile(path, dtype="<u2")
        assert not np.isin(ids, special).any()
        ends += int((ids == tokenizer.eot_id).sum())
        seen += tokenizer.decode(ids[ids != tokenizer.eot_id]).count("<|im_start|>")
    expected = sum(
        tokens.source(split, name).num_documents
        for split in ("train", "validation")
        for name in tokens.names(split)
    )
    assert ends == expected == len(documents(home))
    assert seen == sum(text.count("<|im_start|>") for text in documents(home))


def test_pages_show_texts_as_texts(home: Path) -> None:
    pages = [page for stage in statuses(home) for page in made(home, stage).path.glob("about/*.html")]
    assert len(pages) >= 2
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for bad in ("<script>alert", "<img src=x", "49<b>", "\x1b", "<b>"):
            assert bad not in text, (page, bad)


def test_prompts_are_only_text(home: Path) -> None:
    rows = read_json(made(home, "complete"), "completions.json")
    assert [row["prompt"] for row in rows] == [CONTROLS, "{{ 7 * 7 }}", "../../etc/passwd"]


def test_names_of_files_are_kept_as_data(home: Path) -> None:
    origins = set()
    for path in made(home, "corpus").path.glob("train/*.parquet"):
        origins |= set(pq.read_table(path, columns=["origin"]).column("origin").to_pylist())
    assert any(origin.startswith("new\\nline\\x1b[31m/10\\r\\n..;.txt#") for origin in origins)
    assert any(origin.startswith("plain/\\udcff.txt#") for origin in origins)
    assert all(origin.isprintable() for origin in origins)
