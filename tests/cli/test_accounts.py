from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from malmoi.cli import cli

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def invoke(*args: str, input: str = "") -> Result:
        return CliRunner().invoke(cli, [*args, "--home", str(tmp_path / "home")], input=input)

    return invoke


def test_a_first_account_is_an_owner_and_the_next_a_member(run: Run) -> None:
    assert "owner" in run("accounts", "ls").output
    assert "no password" in run("accounts", "ls").output
    added = run("accounts", "add", "김말모", "--password-stdin", input="a good password\n")
    assert added.exit_code == 0, added.output
    assert added.output == "Added 김말모 (owner).\n"
    asked = run("accounts", "add", "lee", input="a good password\na good password\n")
    assert asked.output.endswith("Added lee (member).\n")
    listed = run("accounts", "ls").output
    assert [line.split()[:2] for line in listed.splitlines()] == [["lee", "member"], ["김말모", "owner"]]
    assert "a good password" not in listed + added.output + asked.output


def test_changing_and_removing(run: Run) -> None:
    for name in ("kim", "lee"):
        assert run("accounts", "add", name, "--password-stdin", input="a good password\n").exit_code == 0
    assert run("accounts", "role", "lee", "auditor").output == "lee is auditor now.\n"
    assert run("accounts", "disable", "lee").output == "lee is shut out.\n"
    assert "disabled" in run("accounts", "ls").output
    assert run("accounts", "disable", "lee", "--undo").output == "lee is let in again.\n"
    assert run("accounts", "passwd", "lee", "--password-stdin", input="another one 2\n").exit_code == 0
    assert run("accounts", "rm", "lee", input="n\n").exit_code != 0
    assert run("accounts", "rm", "lee", "--yes").output == "Deleted lee.\n"


@pytest.mark.parametrize(
    ("args", "input", "message"),
    [
        (("accounts", "add", "lee", "--password-stdin"), "short\n", "8 to 256 characters"),
        (("accounts", "add", "KIM", "--password-stdin"), "a good password\n", "already"),
        (("accounts", "passwd", "kin", "--password-stdin"), "a good password\n", "did you mean 'kim'"),
        (("accounts", "rm", "kim", "--yes"), "", "last owner"),
        (("accounts", "role", "kim", "member"), "", "last owner"),
    ],
)
def test_what_cannot_be_done_says_why(run: Run, args: tuple[str, ...], input: str, message: str) -> None:
    run("accounts", "add", "kim", "--password-stdin", input="a good password\n")
    failed = run(*args, input=input)
    assert failed.exit_code != 0
    assert message in str(failed.exception)
