"""The factory's commands through the whole tree: help for each, and a sentence for whatever is wrong."""

from pathlib import Path

import pytest

from malmoi.cli import main

GROUPS = {
    "corpus": ("look", "try"),
    "tokenizer": ("train", "eval", "encode"),
    "runs": ("ls", "show", "diff", "rerun", "clean"),
    "artifacts": ("ls", "lineage", "verify", "rm"),
}
HELPS = [
    *((command,) for command in ("run", "plan", "ablate", *GROUPS)),
    *((group, command) for group, commands in GROUPS.items() for command in commands),
]


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[object, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    out, errors = capsys.readouterr()
    return ended.value.code or 0, out, errors


@pytest.mark.parametrize("command", HELPS, ids=" ".join)
def test_help(capsys: pytest.CaptureFixture[str], command: tuple[str, ...]) -> None:
    code, out, errors = call(capsys, *command, "--help")
    assert (code, errors) == (0, "")
    assert out.startswith("Usage: ")
    for name in GROUPS.get(command[-1], ()):
        assert name in out


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("corpus", "look"), ("there is no corpus", "malmoi run")),
        (("corpus", "look", "corpus-none"), ("no artifact 'corpus-none'",)),
        (("corpus", "look", "../../etc"), ("no artifact '../../etc'",)),
        (("artifacts", "lineage", "../../etc/passwd"), ("no artifact '../../etc/passwd'",)),
        (("artifacts", "rm", "--yes", ".."), ("no artifact '..'",)),
        (("runs", "show", ".."), ("no run '..'",)),
        (("runs", "diff", "a", "b"), ("no run 'a'",)),
        (("runs", "rerun", "tiny-ko"), ("no run 'tiny-ko'",)),
    ],
    ids=lambda value: " ".join(value),
)
def test_what_is_not_there_is_named(
    capsys: pytest.CaptureFixture[str], home: Path, arguments: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    code, _, errors = call(capsys, *arguments, "--home", home)
    assert code == 1
    for part in parts:
        assert part in errors


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("corpus", "try", "/nowhere.txt"), ("there is no file /nowhere.txt",)),
        (("plan", "--params", "many", "--gpu", "h100"), ("'many' is not a number",)),
        (("plan", "--recipe", "/nowhere.toml", "--gpu", "h100"), ("/nowhere.toml",)),
        (("plan", "--params", "7b", "--gpu", "h10o"), ("did you mean",)),
        (("tokenizer", "encode", "-t", "nothing", "text"), ("nothing",)),
        (("tokenizer", "train", "/nowhere", "-o", "/nowhere/out"), ("/nowhere",)),
        (("ablate", "/nowhere.toml"), ("/nowhere.toml",)),
        (("ablate", "nothing"), ("nothing",)),
    ],
    ids=lambda value: " ".join(value),
)
def test_wrong_arguments_are_explained(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    code, _, errors = call(capsys, *arguments)
    assert code == 1
    assert errors.startswith("malmoi: ")
    for part in parts:
        assert part in errors


def test_an_unknown_option_is_a_matter_of_usage(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, errors = call(capsys, "run", "tiny-ko", "--nothing")
    assert code == 2
    assert "--nothing" in errors
