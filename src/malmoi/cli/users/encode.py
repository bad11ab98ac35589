"""`malmoi users encode`: a vector for every user of some logs."""

from pathlib import Path

import click

from malmoi.cli.options import home_option


@click.command()
@click.argument("model")
@click.option("--logs", metavar="NAME", help="Whose users.  [default: what the model was fitted on]")
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Parquet file with the columns user and vector.",
)
@click.option("--quiet", is_flag=True, help="Show no progress.")
@home_option
def encode(model: str, logs: str | None, out: Path, quiet: bool, home: Path) -> None:
    """Write a vector of each user of the logs, by a MODEL that reads texts.

    \b
    malmoi users encode demo-clue --out vectors.parquet
    malmoi users encode demo-clue --logs newcomers --out newcomers.parquet

    The users need not be those that the model was fitted on. Stop it whenever you like: the same command goes
    on from there. `malmoi users index` serves vectors.
    """  # noqa: D301 - \b is click's mark for text that keeps its lines
    from malmoi.cli.live import open_progress
    from malmoi.cli.users.recommend import logs_of
    from malmoi.core.errors import InvalidInput
    from malmoi.users.encoding import encode_logs
    from malmoi.users.logs import load_logs
    from malmoi.users.opening import open_model

    if out.suffix != ".parquet":
        raise InvalidInput(
            f"{out} would be a Parquet file by another name.",
            field="out",
            fix="Give a name that ends in .parquet.",
        )
    opened = open_model(home, model)
    size = opened.encoder.size
    found = logs_of(home, opened.artifact, logs)
    loaded = load_logs(found.path)
    out.parent.mkdir(parents=True, exist_ok=True)
    with open_progress(quiet=quiet) as progress:
        encode_logs(opened, loaded, found.digest, out, progress)
    click.echo(f"{len(loaded):,} users, {size} numbers each: {out}")
