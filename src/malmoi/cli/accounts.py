"""`malmoi accounts`: the people who may log in."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from malmoi.cli.options import config_options, home_option, read_settings

if TYPE_CHECKING:
    from malmoi.serve.db.tables import Account
    from malmoi.serve.identity import Identity, Principal

ROLES = (
    "owner",
    "admin",
    "member",
    "auditor",
    "annotator",
    "analyst",
)  # as serve/identity/principal.py, which is not imported for --help

password_option = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input instead of asking."
)


@click.group()
def accounts() -> None:
    """Manage the people who may log in.

    A server that only this machine can reach needs none. The first account is an owner, and takes over what
    the local owner has made so far; from then on everybody logs in.
    """


@accounts.command()
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), help="[default: owner for the first account, then member]")
@password_option
@home_option
@config_options
def add(
    name: str,
    role: str | None,
    password_stdin: bool,
    home: Path,
    config_file: Path | None,
    overrides: Sequence[str],
) -> None:
    """Add an account."""
    from malmoi.cli.database import open_identity
    from malmoi.serve.identity import Role

    settings = read_settings(home, config_file, overrides)
    password = _read_password(password_stdin)

    async def run() -> None:
        async with open_identity(settings) as identity:
            account = await identity.accounts.add(None, name, password, Role(role) if role else None)
            click.echo(f"Added {account.name} ({account.role}).")

    asyncio.run(run())


@accounts.command("ls")
@home_option
@config_options
def list_accounts(home: Path, config_file: Path | None, overrides: Sequence[str]) -> None:
    """List accounts."""
    from malmoi.cli.database import open_identity

    settings = read_settings(home, config_file, overrides)

    async def run() -> None:
        async with open_identity(settings) as identity:
            for account in await identity.accounts.all():
                note = " disabled" if account.disabled else ""
                note += "" if account.password_hash else " (no password: for this machine only)"
                click.echo(f"{account.name}  {account.role}  {account.created_at:%Y-%m-%d}{note}")

    asyncio.run(run())


@accounts.command()
@click.argument("name")
@password_option
@home_option
@config_options
def passwd(
    name: str, password_stdin: bool, home: Path, config_file: Path | None, overrides: Sequence[str]
) -> None:
    """Set an account's password; its sessions end."""
    from malmoi.cli.database import open_identity

    settings = read_settings(home, config_file, overrides)
    password = _read_password(password_stdin)

    async def run() -> None:
        async with open_identity(settings) as identity:
            account = await named(identity, name)
            await identity.accounts.set_password(None, account.id, password)
            click.echo(f"{account.name} has a new password.")

    asyncio.run(run())


@accounts.command()
@click.argument("name")
@click.argument("role", type=click.Choice(ROLES))
@home_option
@config_options
def role(name: str, role: str, home: Path, config_file: Path | None, overrides: Sequence[str]) -> None:
    """Make an account something else."""
    from malmoi.cli.database import open_identity
    from malmoi.serve.identity import Role

    settings = read_settings(home, config_file, overrides)

    async def run() -> None:
        async with open_identity(settings) as identity:
            account = await named(identity, name)
            await identity.accounts.change(None, account.id, role=Role(role))
            click.echo(f"{account.name} is {role} now.")

    asyncio.run(run())


@accounts.command()
@click.argument("name")
@click.option("--undo", is_flag=True, help="Let the account in again.")
@home_option
@config_options
def disable(name: str, undo: bool, home: Path, config_file: Path | None, overrides: Sequence[str]) -> None:
    """Shut an account out, its sessions and keys with it."""
    from malmoi.cli.database import open_identity

    settings = read_settings(home, config_file, overrides)

    async def run() -> None:
        async with open_identity(settings) as identity:
            account = await named(identity, name)
            await identity.accounts.change(None, account.id, disabled=not undo)
            click.echo(f"{account.name} is {'let in again' if undo else 'shut out'}.")

    asyncio.run(run())


@accounts.command("rm")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@home_option
@config_options
def remove(name: str, yes: bool, home: Path, config_file: Path | None, overrides: Sequence[str]) -> None:
    """Delete an account with its conversations and keys; its usage stays."""
    from malmoi.cli.database import open_identity

    settings = read_settings(home, config_file, overrides)
    if not yes:
        click.confirm(f"Delete {name} with all conversations and keys?", abort=True)

    async def run() -> None:
        async with open_identity(settings) as identity:
            account = await named(identity, name)
            await identity.accounts.remove(None, account.id)
            click.echo(f"Deleted {account.name}.")

    asyncio.run(run())


async def named(identity: "Identity", name: str) -> "Account":
    """The account of that name.

    Raises:
        UnknownName: there is none; the message holds the nearest names.
    """
    from malmoi.core.errors import UnknownName

    account = await identity.accounts.named(name)
    if account is None:
        known = [account.name for account in await identity.accounts.all()]
        raise UnknownName("account", name, known)
    return account


async def acting(identity: "Identity", name: str | None) -> "Principal":
    """Who a command works for: the account of that name, or else the only one.

    Raises:
        UnknownName: there is no such account.
    """
    from malmoi.serve.identity import Role, account_principal

    if name is not None:
        owner = await named(identity, name)
    else:
        known = await identity.accounts.all()
        if len(known) != 1:
            listed = ", ".join(one.name for one in known)
            raise click.UsageError(f"there are several accounts ({listed}); say who with --account.")
        owner = known[0]
    return account_principal(owner.id, owner.name, Role(owner.role))


def _read_password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password
