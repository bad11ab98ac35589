"""`malmoi users refresh`: encode again those users who have done something new."""

from pathlib import Path

import click

from malmoi.cli.options import home_option


@click.command()
@click.argument("collection")
@click.argument("logs")
@click.option("--model", help="Model to encode with.  [default: the one of the collection]")
@click.option("--prune", is_flag=True, help="Take out users who are not in the logs.")
@click.option(
    "--batch", default=256, show_default=True, type=click.IntRange(1), help="Histories encoded at once."
)
@click.option("--quiet", is_flag=True, help="Show no progress.")
@home_option
def refresh(
    collection: str, logs: str, model: str | None, prune: bool, batch: int, quiet: bool, home: Path
) -> None:
    """Bring a COLLECTION up to date with LOGS, which hold everything that the users did until now.

    Only users whose history has changed are encoded; the result is that of encoding everybody, and a second
    run changes nothing. Users who were taken out (malmoi users forget) stay out.

    Example: malmoi users refresh people shop-logs
    """
    from malmoi.cli.live import open_progress
    from malmoi.cli.users.index import describe
    from malmoi.users.index import open_collection
    from malmoi.users.index.refresh import refresh as run
    from malmoi.users.opening import find_version, open_logs, open_model

    found = open_collection(home, collection)
    opened = open_model(home, model or find_version(home, found.meta.model))
    with open_progress(quiet) as progress:
        done = run(
            home, collection, opened.encoder, open_logs(home, logs),
            model=opened.version, prune=prune, batch=batch, progress=progress,
        )  # fmt: skip
    click.echo(f"{collection}: {describe(done)}")
