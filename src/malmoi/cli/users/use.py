"""`malmoi users use`: four uses of user models, from simulated logs to a figure."""

import json
from pathlib import Path

import click

from malmoi.cli.options import home_option


@click.command()
@click.argument("name", metavar="[USE]", required=False)
@click.option("--users", type=click.IntRange(200), default=3000, show_default=True, help="Of the company.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of everything.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@home_option
def use(name: str | None, users: int, seed: int, as_json: bool, quiet: bool, home: Path) -> None:
    """Show a use of user models on a simulated company; without USE, list them.

    \b
    malmoi users use booking       who among new customers will book?
    malmoi users use new-shop      which products of a new shop to show?

    A CLUE is trained for it, which takes about two minutes of one core.
    """  # noqa: D301 - \b is click's mark for text that keeps its lines
    from tempfile import TemporaryDirectory

    from malmoi.cli.evals.tables import table
    from malmoi.cli.live import open_progress
    from malmoi.users.uses import USES, run_use

    if name is None:
        for known, described in USES.items():
            click.echo(f"{known:<10} {described.title}")
        return
    with TemporaryDirectory() as work, open_progress(quiet) as progress:
        result = run_use(name, work=Path(work), home=home, users=users, seed=seed, progress=progress)
    if as_json:
        click.echo(json.dumps(result.to_json(), ensure_ascii=False, indent=2))
        return
    click.echo(result.question)
    rows = [("", result.figure, "95 % interval")]
    rows += [(row.name, f"{row.value:.4f}", f"{row.low:.4f} to {row.high:.4f}") for row in result.rows]
    for line in table(rows, right={1}):
        click.echo(line)
    for remark in result.remarks:
        click.echo(remark)
