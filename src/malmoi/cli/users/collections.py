"""`malmoi users collections`: which vectors of users there are."""

from pathlib import Path

import click

from malmoi.cli.options import home_option


@click.command()
@click.option("--rollback", metavar="NAME", help="Go back to the version before; again, and it is as it was.")
@home_option
def collections(rollback: str | None, home: Path) -> None:
    """List the collections of users, or bring one back to its version before."""
    from malmoi.users.campaigns import campaign_names
    from malmoi.users.index import collection_names, open_collection

    if rollback is not None:
        open_collection(home, rollback).rollback()
    names = collection_names(home)
    if not names:
        click.echo("There are no collections yet: malmoi users index.")
        return
    rows = [("collection", "users", "numbers", "model", "version", "campaigns")]
    for name in names:
        found = open_collection(home, name)
        meta = found.meta
        campaigns = ", ".join(campaign_names(found)) or "-"
        rows.append((name, f"{meta.count}", f"{meta.size}", meta.model, found.pointer.active, campaigns))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
