"""`malmoi routers remove`."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import click

from malmoi.cli.options import config_options, home_option, read_settings
from malmoi.cli.routers.opening import account_option, open_routers


@click.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@account_option
@home_option
@config_options
def remove(
    name: str,
    yes: bool,
    account: str | None,
    home: Path,
    config_file: Path | None,
    overrides: Sequence[str],
) -> None:
    """Delete a router with its versions; programs that use it get an error from then on."""
    settings = read_settings(home, config_file, overrides)

    async def run() -> None:
        async with open_routers(settings, account) as opened:
            known = await opened.router(name)
            if not yes:
                question = f"Delete {known.name!r} with {known.versions} versions?"
                click.confirm(question, abort=True, err=True)
            await opened.routers.store.delete(opened.principal.account_id, known.id)
            click.echo(f"Deleted {known.name!r}.")

    asyncio.run(run())
