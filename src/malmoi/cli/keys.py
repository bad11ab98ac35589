"""`malmoi keys`: API keys for programs."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from malmoi.cli.options import config_options, home_option, read_settings

if TYPE_CHECKING:
    from malmoi.serve.db.tables import Account
    from malmoi.serve.identity import Identity

# As serve/identity/principal.py has them; importing that takes as long as the server does.
SCOPES = (
    "inference",
    "chat",
    "models",
    "usage",
    "admin",
    "documents",
    "skills",
    "users",
    "audience",
    "redteam",
    "redteam_results",
)


@click.group()
def keys() -> None:
    """Manage API keys.

    A program sends its key as `Authorization: Bearer mm_...` or `X-Api-Key: mm_...`.
    """


@keys.command()
@click.argument("name")
@click.option("--account", help="Whose key it is.  [default: the only account]")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    default=("inference",),
    show_default=True,
    help="What the key may do. Repeatable.",
)
@click.option("--days", type=click.IntRange(1, 3650), help="Days after which the key ends.  [default: never]")
@click.option("--requests-per-minute", type=click.IntRange(1), help="Most requests per minute.")
@click.option("--tokens-per-minute", type=click.IntRange(1), help="Most tokens per minute.")
@click.option("--tokens-per-day", type=click.IntRange(1), help="Most tokens per UTC day.")
@home_option
@config_options
def add(
    name: str,
    account: str | None,
    scopes: tuple[str, ...],
    days: int | None,
    requests_per_minute: int | None,
    tokens_per_minute: int | None,
    tokens_per_day: int | None,
    home: Path,
    config_file: Path | None,
    overrides: Sequence[str],
) -> None:
    """Make a key. It is shown this once, alone on standard output, and cannot be found again."""
    from datetime import timedelta

    from malmoi.cli.database import open_identity
    from malmoi.serve.db import utc_now
    from malmoi.serve.identity import KeyLimits, Role, account_principal

    settings = read_settings(home, config_file, overrides)

    async def run() -> None:
        async with open_identity(settings) as identity:
            owner = await _whose(identity, account)
            key, secret = await identity.keys.create(
                account_principal(owner.id, owner.name, Role(owner.role)),
                name,
                scopes,
                expires_at=utc_now() + timedelta(days=days) if days else None,
                limits=KeyLimits(requests_per_minute, tokens_per_minute, tokens_per_day),
            )
            click.echo(f"Key {key.id} of {owner.name}, for {', '.join(key.scopes)}:", err=True)
            click.echo(str(secret))

    asyncio.run(run())


@keys.command("ls")
@home_option
@config_options
def list_keys(home: Path, config_file: Path | None, overrides: Sequence[str]) -> None:
    """List the keys of all accounts that are not revoked."""
    from malmoi.cli.database import open_identity

    settings = read_settings(home, config_file, overrides)

    async def run() -> None:
        async with open_identity(settings) as identity:
            names = {account.id: account.name for account in await identity.accounts.all()}
            for key in await identity.keys.all():
                used = f"used {key.used_at:%Y-%m-%d}" if key.used_at else "never used"
                ends = f", ends {key.expires_at:%Y-%m-%d}" if key.expires_at else ""
                whose = names.get(key.account_id, "?")
                click.echo(f"{key.id}  {key.name}  {whose}  {','.join(key.scopes)}  {used}{ends}")

    asyncio.run(run())


@keys.command()
@click.argument("key_id")
@home_option
@config_options
def revoke(key_id: str, home: Path, config_file: Path | None, overrides: Sequence[str]) -> None:
    """Revoke a key, at once; KEY_ID is the first column of `malmoi keys ls`."""
    from malmoi.cli.database import open_identity

    settings = read_settings(home, config_file, overrides)

    async def run() -> None:
        async with open_identity(settings) as identity:
            await identity.keys.revoke(None, key_id)
            click.echo(f"Revoked {key_id}.")

    asyncio.run(run())


async def _whose(identity: "Identity", name: str | None) -> "Account":
    from malmoi.cli.accounts import named

    if name is not None:
        return await named(identity, name)
    found = await identity.accounts.all()
    if len(found) != 1:
        listed = ", ".join(account.name for account in found)
        raise click.UsageError(f"there are several accounts ({listed}); say whose key with --account.")
    return found[0]
