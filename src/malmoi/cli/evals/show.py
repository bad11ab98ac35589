"""`malmoi evals show`: the figures of one evaluation."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from malmoi.cli.options import home_option

if TYPE_CHECKING:
    from malmoi.evals.results import EvalResult


@click.command()
@click.argument("report", default="latest")
@click.option("--open", "opened", is_flag=True, help="Open the page in a browser.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@home_option
def show(report: str, opened: bool, as_json: bool, home: Path) -> None:
    """Show an evaluation: figures, intervals, and what to know about them.

    REPORT is the id of a report or of its run, `latest`, or a folder that holds results.json.

    Example: malmoi evals show latest --open
    """
    from malmoi.core.store import Store
    from malmoi.evals.leaderboard import find_report
    from malmoi.evals.report.page import PAGE, write_page
    from malmoi.evals.results import read_result

    folder = find_report(Store(home / "store"), report)
    result = read_result(folder)
    if as_json:
        click.echo(result.model_dump_json(indent=1))
        return
    _print(result, folder)
    page = folder / PAGE
    if not page.is_file():
        page = write_page(folder)
    click.echo(f"look: {page}")
    if opened:
        click.launch(str(page))


def _print(result: "EvalResult", folder: Path) -> None:
    from malmoi.cli.evals.tables import table
    from malmoi.cli.live import duration
    from malmoi.evals.report.remarks import figure_text, percent, remarks
    from malmoi.evals.results import ItemResult, read_items

    click.echo(
        f"{result.model}  {result.suite or 'single tasks'}  protocol {result.protocol}  {result.started_at}"
    )
    rows = [["task", "metric", "value", "95 %", "guessing", "items", "shots", "form", "cut off", "language"]]
    for task in result.tasks:
        shares = ["" if share is None else percent(share) for share in (task.truncated, task.in_language)]
        about = [f"{task.items:,}", str(task.shots), task.form, *shares]
        for number, one in enumerate(task.metrics):
            span = "" if one.low is None else f"{figure_text(one.low)} – {figure_text(one.high)}"
            chance = "" if one.chance is None else figure_text(one.chance)
            figures = [one.name, figure_text(one.value), span, chance]
            rows.append([task.name, *figures, *about] if number == 0 else ["", *figures, *[""] * len(about)])
    for line in table(rows, right={2, 3, 4, 5, 6, 8, 9}):
        click.echo(line)
    for skipped in result.skipped:
        click.echo(f"skipped {skipped.name}: {skipped.reason} {skipped.fix}".rstrip())
    items: dict[str, list[ItemResult]] = {}
    for item in read_items(folder):
        items.setdefault(item.task, []).append(item)
    for remark in remarks(result, items):
        click.echo(f"- {remark['en']}")
    click.echo(f"{sum(task.items for task in result.tasks):,} items in {duration(result.seconds)}")
