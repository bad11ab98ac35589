import json
import subprocess
import sys
from pathlib import Path

import pytest

from children import children_seconds
from malmoi.cli import COMMANDS, cli, main

HEAVY = (
    "torch",
    "transformers",
    "fastapi",
    "sqlalchemy",
    "xllamacpp",
    "numpy",
    "httpx",
    "pydantic",
    "jinja2",
)


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    program = (
        "import sys\nsys.argv = ['malmoi', '--help']\nfrom malmoi.cli import main\n"
        "try:\n    main()\nexcept SystemExit: pass\n"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    times = []
    for _ in range(3):
        start = children_seconds()
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        times.append(children_seconds() - start)
    assert "HEAVY []" in done.stdout
    assert all(name in done.stdout for name in COMMANDS)
    assert min(times) < 0.5


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert COMMANDS[name][1].rstrip(".") in capsys.readouterr().out


def test_every_option_is_explained() -> None:
    context = cli.make_context("malmoi", ["--version"], resilient_parsing=True)
    missing = []

    def walk(command: object, path: str) -> None:
        for parameter in getattr(command, "params", []):
            if parameter.param_type_name == "option" and not parameter.help:
                missing.append(f"{path} {parameter.name}")
        for name in command.list_commands(context) if hasattr(command, "list_commands") else ():
            walk(command.get_command(context, name), f"{path} {name}")  # type: ignore[attr-defined]

    walk(cli, "malmoi")
    assert missing == []


def test_an_unknown_command_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serv"])
    assert ended.value.code == 2
    assert "Did you mean serve" in capsys.readouterr().err


def test_an_error_is_a_sentence_and_its_fix(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["config", "--home", str(home), "--set", "http.prot=1"])
    assert ended.value.code == 1
    shown = capsys.readouterr().err
    assert "there is no setting http.prot" in shown
    assert "Did you mean http.port?" in shown
    assert "Traceback" not in shown


def test_config_shows_every_source(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "malmoi.toml").write_text("[http]\nport = 9000\n")
    with pytest.raises(SystemExit):
        main(["config", "--home", str(home), "--set", "models.default=small", "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert shown["http"]["port"] == 9000
    assert shown["models"]["default"] == "small"
    assert shown["home"] == str(home)
