"""`malmoi users index`: vectors of all users of some logs, to be searched and served."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from malmoi.cli.options import home_option

if TYPE_CHECKING:
    from malmoi.users.index.refresh import Refreshed


@click.command()
@click.argument("model")
@click.argument("logs")
@click.option("--collection", "name", help="Name of the collection.  [default: the model's name]")
@click.option(
    "--batch", default=256, show_default=True, type=click.IntRange(1), help="Histories encoded at once."
)
@click.option("--quiet", is_flag=True, help="Show no progress.")
@home_option
def index(model: str, logs: str, name: str | None, batch: int, quiet: bool, home: Path) -> None:
    """Encode every user of LOGS with MODEL into a new version of a collection.

    MODEL is the name or id of a "users" artifact, LOGS that of a "logs" artifact or a folder of logs. The
    old version stays for going back: malmoi users collections --rollback NAME. A run that was stopped goes
    on where it was.

    Example: malmoi users index clue shop-logs --collection people
    """
    from malmoi.cli.live import open_progress
    from malmoi.users.index.refresh import refresh
    from malmoi.users.opening import open_logs, open_model

    opened = open_model(home, model)
    target = name or opened.name
    with open_progress(quiet) as progress:
        done = refresh(
            home, target, opened.encoder, open_logs(home, logs),
            model=opened.version, full=True, batch=batch, progress=progress,
        )  # fmt: skip
    click.echo(f"{target}: {describe(done)}")


def describe(done: "Refreshed") -> str:
    """One line for a person."""
    import datetime

    parts = [f"{done.encoded} users encoded", f"{done.unchanged} unchanged"]
    if done.removed:
        parts.append(f"{done.removed} removed")
    if done.forgotten:
        parts.append(f"{done.forgotten} left out, because they were taken out before")
    if done.refused:
        parts.append(f"{done.refused} left out, because their names are empty or too long")
    if done.watermark is not None:
        at = datetime.datetime.fromtimestamp(done.watermark, datetime.UTC)
        parts.append(f"events until {at:%Y-%m-%d %H:%M:%S} UTC")
    return ", ".join(parts) + "."


def ask(question: str, *, yes: bool) -> None:
    """Go on only where a person says so.

    Raises:
        click.Abort: the answer is no.
        click.UsageError: nobody can be asked.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("nobody can be asked here; say --yes.")
    click.confirm(question, abort=True)
