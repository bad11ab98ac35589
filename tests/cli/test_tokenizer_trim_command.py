"""`malmoi tokenizer trim`: what it prints and refuses."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from malmoi.cli.tokenizer_trim import trim
from malmoi.core.errors import InvalidInput, NotFound, UnknownName
from trim_models import KOREAN, write_spm_gguf


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_spm_gguf(tmp_path / "tiny.gguf")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("\n".join(KOREAN), encoding="utf-8")
    return path


def run(*args: object) -> str:
    result = CliRunner().invoke(trim, [*map(str, args), "--quiet"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_dry_run_writes_nothing(model: Path, text: Path, home: Path) -> None:
    shown = run(model, "--data", text, "--size", 350, "--dry-run", "--home", home)
    assert "455 -> 350 tokens" in shown
    assert "Nothing was written" in shown
    assert list(home.iterdir()) == []


def test_the_result_and_how_to_install_it(model: Path, text: Path, home: Path) -> None:
    shown = run(model, "--data", text, "--size", 350, "--name", "tiny-ko", "--home", home, "--no-measure")
    made = home / "trimmed" / "tiny-ko" / "model.gguf"
    assert made.is_file()
    assert f"malmoi models add path:{made} --name tiny-ko" in shown


def test_json(model: Path, text: Path, home: Path) -> None:
    shown = json.loads(run(model, "--data", text, "--size", 350, "--dry-run", "--json", "--home", home))
    assert shown["vocabulary_after"] == 350
    assert "kept" not in shown


def test_what_is_missing_is_said(model: Path, text: Path, home: Path) -> None:
    with pytest.raises(InvalidInput, match="no texts are named"):
        run(model, "--dry-run", "--home", home)
    with pytest.raises(InvalidInput, match="say where the result goes"):
        run(model, "--data", text, "--home", home)
    with pytest.raises(InvalidInput, match="no file or folder"):
        run(model, "--data", home / "none.txt", "--dry-run", "--home", home)
    with pytest.raises(NotFound, match="'small' is not installed"):
        run("small", "--data", text, "--dry-run", "--home", home)
    with pytest.raises(UnknownName, match="did you mean"):
        run("smal", "--data", text, "--dry-run", "--home", home)
