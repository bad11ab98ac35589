"""`malmoi evals compare`: two models on the same items."""

import json
from pathlib import Path

import click

from malmoi.cli.options import home_option


@click.command()
@click.argument("first")
@click.argument("second")
@click.option("--seed", default=0, show_default=True, help="Of the bootstrap and the permutations.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
@click.option("--open", "opened", is_flag=True, help="Open the page in a browser.")
@home_option
def compare(first: str, second: str, seed: int, as_json: bool, opened: bool, home: Path) -> None:
    """Compare two evaluations item by item, and say what is more than noise.

    FIRST and SECOND are ids of reports or runs, or folders that hold results.json.

    Example: malmoi evals compare report-small-korean-1a2b3c4d report-standard-korean-5e6f7a8b
    """
    from malmoi.core.files import write_text
    from malmoi.core.store import Store
    from malmoi.evals.compare import compare_reports
    from malmoi.evals.leaderboard import find_report
    from malmoi.evals.report.remarks import figure_text
    from malmoi.evals.report.tables import render_comparison

    store = Store(home / "store")
    folders = (find_report(store, first), find_report(store, second))
    comparison = compare_reports(*folders, seed=seed)
    page = home / "evals" / f"compare-{folders[0].name}-{folders[1].name}.html"
    write_text(page, render_comparison(comparison))
    if as_json:
        click.echo(json.dumps(comparison.as_json() | {"page": str(page)}, ensure_ascii=False, indent=1))
        return
    from malmoi.cli.evals.tables import table

    rows = [("task", "metric", *comparison.names, "difference", "")]
    rows += [
        (
            one.task,
            one.metric,
            figure_text(one.first),
            figure_text(one.second),
            "–" if one.difference is None else f"{one.difference:+.4f}",
            one.sentence(comparison.names),
        )
        for one in comparison.differences
    ]
    for line in table(rows, right={2, 3, 4}):
        click.echo(line)
    for task, reason in comparison.left_out.items():
        click.echo(f"not compared: {task}: {reason}")
    click.echo(f"look: {page}")
    if opened:
        click.launch(str(page))
