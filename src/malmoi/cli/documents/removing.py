"""`malmoi documents remove`."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import click

from malmoi.cli.documents.opening import account_option, open_documents
from malmoi.cli.options import config_options, home_option, read_settings


@click.command()
@click.argument("names", nargs=-1)
@click.option("--collection", required=True, metavar="NAME", help="Which collection.")
@click.option("--all", "everything", is_flag=True, help="Delete the collection with all its documents.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@account_option
@home_option
@config_options
def remove(
    names: tuple[str, ...],
    collection: str,
    everything: bool,
    yes: bool,
    account: str | None,
    home: Path,
    config_file: Path | None,
    overrides: Sequence[str],
) -> None:
    """Delete documents by name or id, or with --all a whole collection.

    What is deleted is gone: files, passages, terms and vectors.
    """
    if bool(names) == everything:
        raise click.UsageError("name documents, or say --all.")
    settings = read_settings(home, config_file, overrides)

    async def run() -> None:
        async with open_documents(settings, account) as opened:
            from malmoi.core.errors import UnknownName

            documents, principal = opened.documents, opened.principal
            found = await opened.collection(collection)
            if everything:
                if not yes:
                    question = f"Delete {found.name!r} with {found.documents} documents?"
                    click.confirm(question, abort=True, err=True)
                await documents.delete_collection(principal, found.id)
                await documents.tidy()
                click.echo(f"Deleted {found.name!r}.")
                return
            known: dict[str, str] = {}
            cursor: str | None = None
            while True:
                rows, cursor = await documents.library.page(principal, found.id, cursor=cursor, limit=200)
                for row in rows:
                    known.setdefault(row.name, row.id)
                    known[row.id] = row.id
                if cursor is None:
                    break
            for name in names:
                if name not in known:
                    raise UnknownName("document", name, [one for one in known if one != known[one]])
            if not yes:
                click.confirm(f"Delete {', '.join(names)}?", abort=True, err=True)
            for name in names:
                await documents.library.delete(principal, known[name])
                click.echo(f"Deleted {name}.")
            await documents.tidy()

    asyncio.run(run())
