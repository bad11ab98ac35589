"""`malmoi users forget`: take people out of a collection for good."""

from collections.abc import Sequence
from pathlib import Path

import click

from malmoi.cli.options import home_option


@click.command()
@click.argument("collection")
@click.argument("users", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--readmit", is_flag=True, help="Let users who were taken out come back with the next refresh.")
@home_option
def forget(collection: str, users: Sequence[str], yes: bool, readmit: bool, home: Path) -> None:
    """Take USERS out of a COLLECTION: vectors, what is kept of their histories, and every older version.

    A server that runs sees it with the next request. The next refresh does not bring them back. Logs that
    still hold them are named: an artifact does not change, so import those anew and remove the old ones.

    Example: malmoi users forget people kim
    """
    from malmoi.cli.users.index import ask
    from malmoi.users.index import open_collection
    from malmoi.users.opening import logs_with

    found = open_collection(home, collection)
    names = list(dict.fromkeys(users))
    if readmit:
        found.readmit(names)
        click.echo(f"{collection}: {', '.join(names)} may come back with the next refresh.")
        return
    ask(f"Take {', '.join(names)} out of {collection} for good?", yes=yes)
    found.remove_all(names)
    click.echo(f"{collection}: {len(names)} taken out, {len(found)} left.")
    for artifact in logs_with(home, names):
        click.echo(f"  {artifact} still holds events of them.")
