"""`malmoi users scaling`: how user vectors get better with compute, batch size, history and data."""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from malmoi.cli.options import home_option


@click.command()
@click.argument("logs")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change the grid, such as widths=[16,32,64,128], batch_sizes=[64,256] or num_steps=500. Repeatable.",
)
@click.option(
    "--seeds", default=1, show_default=True, type=click.IntRange(1, 100), help="Runs of each place."
)
@click.option("--name", default="scaling", show_default=True, help="Name of the report.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@home_option
def scaling(
    logs: str, overrides: Sequence[str], seeds: int, name: str, as_json: bool, quiet: bool, home: Path
) -> None:
    """Train several sizes at several batch sizes on the same LOGS, and fit the law of compute.

    The figure is the place of a held-out user's other service among a fixed pool of users, not the loss of
    training, which depends on the batch size. Each run is kept: stop it whenever you like and run the same
    command again.

    Example: malmoi users scaling shop --set widths=[16,32,64,128] --set batch_sizes=[64,256]
    """
    from malmoi.cli.live import open_progress
    from malmoi.core.config import load_config
    from malmoi.core.store import Store
    from malmoi.users.logs import load_logs
    from malmoi.users.opening import find_logs
    from malmoi.users.scaling.report import build_report, render_table, write_report
    from malmoi.users.scaling.study import ScalingSettings, run_study

    settings = load_config(ScalingSettings, overrides=overrides)
    settings = settings.model_copy(update={"seeds": tuple(range(seeds))})
    store = Store(home / "store")
    found = load_logs(find_logs(store, logs).path)
    with open_progress(quiet) as progress:
        points = run_study(found, settings, store=store, home=home, progress=progress)
    report = build_report(points, settings)
    with store.new_artifact("report", name, metadata={"kind": "scaling"}) as folder:
        write_report(report, folder)
    place = store.artifacts("report")[-1].path
    click.echo(json.dumps(report, ensure_ascii=False, indent=2) if as_json else render_table(report))
    click.echo(f"page: {place / 'report.html'}", err=True)
