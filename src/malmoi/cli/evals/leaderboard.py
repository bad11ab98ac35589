"""`malmoi evals leaderboard`: the evaluations of a store side by side."""

import json
from pathlib import Path

import click

from malmoi.cli.options import home_option


@click.command()
@click.option("--suite", metavar="NAME", help="Only this suite.")
@click.option("--json", "as_json", is_flag=True, help="Print the boards as JSON.")
@click.option("--open", "opened", is_flag=True, help="Open the page in a browser.")
@home_option
def leaderboard(suite: str | None, as_json: bool, opened: bool, home: Path) -> None:
    """Show the newest result of every model and suite, where results may be compared.

    Runs with other protocols, splits, versions, shots, forms, items or data stand in columns of their own.

    Example: malmoi evals leaderboard --suite korean --open
    """
    from malmoi.core.files import write_text
    from malmoi.core.store import Store
    from malmoi.evals.leaderboard import read_boards
    from malmoi.evals.report.remarks import figure_text
    from malmoi.evals.report.tables import render_leaderboard

    boards = read_boards(Store(home / "store"), suite=suite)
    if as_json:
        click.echo(json.dumps([board.as_json() for board in boards], ensure_ascii=False, indent=1))
        return
    if not boards:
        said = f" of the suite {suite}" if suite else ""
        click.echo(f"No evaluations{said} under {home / 'store'} yet. Try: malmoi evals run")
        return
    from malmoi.cli.evals.tables import table

    for board in boards:
        click.echo(f"{board.suite or 'single tasks'}  protocol {board.protocol}")
        rows = [["model", "mean", *(column.title for column in board.columns)]]
        for row in board.rows:
            figures = [row.figures.get(column) for column in board.columns]
            cells = ["" if one is None else figure_text(one.value) for one in figures]
            rows.append([row.model, figure_text(board.mean(row)), *cells])
        for line in table(rows, right=set(range(1, len(rows[0])))):
            click.echo(f"  {line}")
    page = home / "evals" / "leaderboard.html"
    write_text(page, render_leaderboard(boards))
    click.echo(f"look: {page}")
    if opened:
        click.launch(str(page))
