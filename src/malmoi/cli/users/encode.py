"""`malmoi users encode`: a vector for every user of some logs."""

from pathlib import Path

import click

from malmoi.cli.options import home_option

_BATCH = 256


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

    The users need not be those that the model was fitted on. `malmoi users index` serves vectors.
    """  # noqa: D301 - \b is click's mark for text that keeps its lines
    import pyarrow as pa
    import pyarrow.parquet as pq

    from malmoi.cli.live import open_progress
    from malmoi.cli.users.recommend import logs_of
    from malmoi.users.logs import load_logs
    from malmoi.users.opening import open_model
    from malmoi.users.ranking import match_items, renumbered

    opened = open_model(home, model)
    encoder = opened.encoder
    loaded = load_logs(logs_of(home, opened.artifact, logs).path)
    places = match_items(loaded.items, opened.model.items)
    schema = pa.schema([("user", pa.string()), ("vector", pa.list_(pa.float32(), encoder.size))])
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.tmp")
    try:
        with (
            open_progress(quiet=quiet) as progress,
            progress.task("encoding", total=len(loaded), unit="users") as task,
            pq.ParquetWriter(temporary, schema.with_metadata({"model": opened.version})) as writer,
        ):
            for start in range(0, len(loaded), _BATCH):
                users = range(start, min(start + _BATCH, len(loaded)))
                histories = [loaded.history(user) for user in users]
                if places is not None:
                    histories = [renumbered(history, places) for history in histories]
                vectors = encoder.encode(histories)
                flat = pa.array(vectors.reshape(-1), type=pa.float32())
                column = pa.FixedSizeListArray.from_arrays(flat, encoder.size)
                names = pa.array([loaded.users[user] for user in users])
                writer.write_table(pa.Table.from_arrays([names, column], schema=writer.schema))
                task.advance(len(histories))
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)
    click.echo(f"{len(loaded):,} users, {encoder.size} numbers each: {out}")
