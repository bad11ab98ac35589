import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tokenizer_samples import WordwiseAnalyzer, documents, write_corpus

from malmoi.core.errors import ConfigError, InvalidInput
from malmoi.core.stage import SilentProgress, StageContext
from malmoi.core.store import Store
from malmoi.factory.tokenizer.stage import TokenizerConfig, TokenizerStage
from malmoi.factory.tokenizer.tokenizer import Tokenizer


@dataclass
class FakeArtifact:
    path: Path


class Notes(SilentProgress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture(autouse=True)
def analyzer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kiwi takes seconds to open; what it says is tested elsewhere."""
    for module in ("morphemes", "report"):
        monkeypatch.setattr(
            f"malmoi.factory.tokenizer.{module}.open_analyzer", lambda workers=2: WordwiseAnalyzer()
        )


def run(tmp_path: Path, name: str, **settings: Any) -> tuple[Path, dict[str, Any], Notes]:
    corpus, out, work = tmp_path / "corpus", tmp_path / name, tmp_path / f"{name}-work"
    if not corpus.exists():
        write_corpus(corpus, documents(120), documents(9, seed=1))
    out.mkdir()
    work.mkdir()
    notes = Notes()
    context = StageContext(Store(tmp_path / "store"), "tokenizer", work, 7, tmp_path, notes)
    config = TokenizerConfig(**{"vocab_size": 512, **settings})
    artifact: Any = FakeArtifact(corpus)
    metadata = TokenizerStage().run(config, {"corpus": artifact}, out, context)
    return out, dict(metadata), notes


def test_a_folder_with_a_report(tmp_path: Path) -> None:
    out, metadata, notes = run(tmp_path, "out", against=("missing",))
    assert metadata["vocab_size"] == Tokenizer.load(out).vocab_size == 512
    report = json.loads((out / "about" / "report.json").read_text())
    scores = report["scores"]["this one"]
    assert set(scores) == {"ko", "en", "code"}
    assert all(score["exact"] == 1.0 for score in scores.values())
    assert scores["ko"]["crossed"] < 0.05
    page = (out / "about" / "report.html").read_text()
    assert "<svg" in page
    assert page.count("<table>") == 3
    assert any("Not compared with missing" in line for line in notes.lines)
    assert any("bytes/tok" in line for line in notes.lines)


def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    files = []
    for name in ("one", "two"):
        out, _, _ = run(tmp_path, name, report_bytes=0)
        files.append({p.name: p.read_bytes() for p in out.iterdir()})
    assert files[0] == files[1]
    assert set(files[0]) == {
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "special_tokens.json",
    }


def test_a_corpus_without_held_out_text_has_no_report(tmp_path: Path) -> None:
    write_corpus(tmp_path / "corpus", documents(60), [])
    out, _, notes = run(tmp_path, "out")
    assert (out / "tokenizer.json").is_file()
    assert any("No tokenizer report" in line for line in notes.lines)


def test_wrong_sizes_are_found_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="too small"):
        run(tmp_path, "out", vocab_size=100)
    assert not list((tmp_path / "out").iterdir())


def test_workers_and_the_report_do_not_change_the_key() -> None:
    one = TokenizerConfig(workers=1, report_bytes=0, against=("small",)).result_settings()
    assert one == TokenizerConfig().result_settings()
    assert one != TokenizerConfig(kind="byte").result_settings()


def test_unknown_settings_are_errors() -> None:
    from malmoi.core.config import load_config

    with pytest.raises(ConfigError, match="vocab_siz"):
        load_config(TokenizerConfig, overrides=["vocab_siz=4096"])
