"""`malmoi documents list`."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import click

from malmoi.cli.documents.opening import account_option, open_documents, size_of
from malmoi.cli.options import config_options, home_option, read_settings


@click.command("list")
@click.argument("collection", required=False)
@account_option
@home_option
@config_options
def list_documents(
    collection: str | None,
    account: str | None,
    home: Path,
    config_file: Path | None,
    overrides: Sequence[str],
) -> None:
    """List collections, or the documents of COLLECTION."""
    settings = read_settings(home, config_file, overrides)

    async def run() -> None:
        async with open_documents(settings, account) as opened:
            documents, principal = opened.documents, opened.principal
            if collection is None:
                for one in await documents.collections.all(principal):
                    whose = "" if one.right == "own" else f"  of {one.owner}, to {one.right}"
                    waiting = f", {one.unfinished} not ready" if one.unfinished else ""
                    click.echo(f"{one.name}  {one.documents} documents{waiting}{whose}")
                if where := await documents.where_vectors_are():
                    click.echo(where, err=True)
                return
            found = await opened.collection(collection)
            cursor: str | None = None
            while True:
                rows, cursor = await documents.library.page(principal, found.id, cursor=cursor, limit=200)
                for row in rows:
                    pages = f"  {row.pages} pages" if row.pages else ""
                    why = f": {row.error['message']}" if row.error else ""
                    click.echo(
                        f"{row.id}  {row.name}  {row.format}  {size_of(row.size)}{pages}  {row.status}{why}"
                    )
                if cursor is None:
                    return

    asyncio.run(run())
