import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from malmoi.cli.tokenizer import tokenizer
from malmoi.core.errors import Conflict, InvalidInput, NotFound

TEXT = "The model reads every document and writes what it has found. 12 + 34\n" * 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "one.txt").write_text(TEXT)
    (tmp_path / "data" / "two.py").write_text("def total(values):\n    return sum(values)\n" * 20)
    result = invoke("train", tmp_path / "data", "--kind", "byte", "--vocab-size", 512, "-o", tmp_path / "out")
    assert "out: 512 tokens" in result
    return tmp_path / "out"


def invoke(*args: object) -> str:
    result = CliRunner().invoke(tokenizer, [str(arg) for arg in args], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_text_is_shown_token_by_token(folder: Path) -> None:
    out = invoke("encode", "-t", folder, "reads 12\x1b[2J <|im_end|>")
    assert " |1|2|" in out
    assert "\x1b" not in out
    assert "bytes a token" in out
    ids = invoke("encode", "-t", folder, "--ids", "<|im_end|>").split()
    assert min(map(int, ids)) >= 128


def test_tokenizers_are_compared(folder: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    table = invoke(
        "eval", folder, "--data", data, "--against", folder / "tokenizer.json", "-o", tmp_path / "r"
    )
    assert "en: 1 documents" in table
    assert "code: 1 documents" in table
    assert (tmp_path / "r" / "report.html").is_file()
    report = json.loads(invoke("eval", folder, "--data", data, "--json"))
    assert report["scores"]["out"]["en"]["exact"] == 1.0


def test_wrong_arguments_are_explained(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(Conflict, match="there already"):
        invoke("train", tmp_path / "data", "-o", folder)
    with pytest.raises(InvalidInput, match="too small"):
        invoke("train", tmp_path / "data", "--vocab-size", 10, "-o", tmp_path / "new")
    with pytest.raises(InvalidInput, match="no file or folder"):
        invoke("train", tmp_path / "missing.txt", "-o", tmp_path / "new")
    with pytest.raises(InvalidInput, match=r"either files or --corpus"):
        invoke("train", "-o", tmp_path / "new")
    with pytest.raises(InvalidInput, match="either a text or --file"):
        invoke("encode", "-t", folder)
    with pytest.raises(NotFound, match="nothing"):
        invoke("encode", "-t", "nothing", "text")
    assert not (tmp_path / "new").exists()
