import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from malmoi.cli import cli
from malmoi.cli.keys import SCOPES
from malmoi.serve.db import Database
from malmoi.serve.identity import Identity, Principal
from malmoi.serve.identity.principal import KEY_SCOPES
from malmoi.serve.settings import ServeSettings

Run = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def run(home: Path) -> Run:
    return lambda *args, input="": CliRunner().invoke(cli, [*args, "--home", str(home)], input=input)


def find(home: Path, key: str) -> Principal | None:
    async def look() -> Principal | None:
        settings = ServeSettings(home=home)
        database = Database.of(settings)
        found = await Identity(database, settings).keys.find(key)
        await database.close()
        return found

    return asyncio.run(look())


def test_a_key_is_made_listed_and_revoked(run: Run, home: Path) -> None:
    made = run("keys", "add", "nightly", "--scope", "inference", "--scope", "models", "--days", "30")
    assert made.exit_code == 0, made.output
    secret = made.stdout.strip()
    found = find(home, secret)
    assert found is not None
    assert found.scopes == {"inference", "models"}
    listed = run("keys", "ls").output
    assert found.key_id is not None
    assert f"{found.key_id}  nightly  owner  inference,models  never used, ends " in listed
    assert secret not in listed
    assert run("keys", "revoke", found.key_id).output == f"Revoked {found.key_id}.\n"
    assert find(home, secret) is None
    assert run("keys", "ls").output == ""
    again = run("keys", "revoke", found.key_id)
    assert "there is no such key" in str(again.exception)


def test_of_several_accounts_one_must_be_named(run: Run, home: Path) -> None:
    for name in ("kim", "lee"):
        run("accounts", "add", name, "--password-stdin", input="a good password\n")
    unclear = run("keys", "add", "nightly")
    assert unclear.exit_code == 2
    assert "kim, lee" in unclear.output
    made = run("keys", "add", "nightly", "--account", "lee", "--tokens-per-day", "1000")
    found = find(home, made.stdout.strip())
    assert found is not None
    assert (found.name, found.limits.tokens_per_day) == ("lee", 1000)
    refused = run("keys", "add", "nightly", "--account", "lee", "--scope", "admin")
    assert "do not have the right 'admin'" in str(refused.exception)


def test_every_right_of_keys_can_be_given() -> None:
    assert set(SCOPES) == {str(scope) for scope in KEY_SCOPES}
