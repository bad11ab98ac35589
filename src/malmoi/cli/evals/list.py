"""`malmoi evals tasks` and `malmoi evals suites`: what can be run."""

import json
from pathlib import Path

import click

from malmoi.cli.options import home_option


@click.command()
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the tasks' files.  [default: HOME/data]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@home_option
def tasks(data: Path | None, as_json: bool, home: Path) -> None:
    """List the tasks, and whether their files are on disk.

    \b
    malmoi evals tasks --data DATA
    """  # noqa: D301 - as in `malmoi evals run`
    from malmoi.cli.evals.tables import table
    from malmoi.cli.run import checked_data
    from malmoi.core.errors import NotFound
    from malmoi.evals.harness.plan import FileTask
    from malmoi.tasks.table import known_tasks, open_task

    folder = checked_data(data) or home / "data"
    found = []
    for name in known_tasks():
        task = open_task(name, folder)
        missing = ""
        try:
            if isinstance(task, FileTask):
                task.paths(task.info.split)
        except NotFound as error:
            missing = str(error)
        info = task.info
        found.append(
            {
                "name": name,
                "title": info.title,
                "kind": info.kind,
                "metrics": list(info.metrics),
                "shots": info.shots,
                "split": info.split,
                "license": info.license,
                "source": info.source,
                "missing": missing,
            }
        )
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    rows = [("task", "here", "kind", "shots", "metric", "what")]
    for row in found:
        here = "-" if row["missing"] else str(row["split"])
        metrics = row["metrics"]
        assert isinstance(metrics, list)
        rows.append(
            (str(row["name"]), here, str(row["kind"]), str(row["shots"]), str(metrics[0]), str(row["title"]))
        )
    for line in table(rows, right={3}):
        click.echo(line)
    click.echo(f"Files are looked for under {folder}. `malmoi evals run --dry-run` says where to fetch them.")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def suites(as_json: bool) -> None:
    """List the suites and their tasks.

    \b
    malmoi evals suites
    """  # noqa: D301 - as in `malmoi evals run`
    from malmoi.evals.suites import known_suites, read_suite
    from malmoi.tasks.table import known_tasks

    names = list(known_tasks())
    found = {name: read_suite(name) for name in known_suites()}
    if as_json:
        listed = {
            name: {"title": suite.title, "tasks": [task.name for task in suite.expanded(names)]}
            for name, suite in found.items()
        }
        click.echo(json.dumps(listed, ensure_ascii=False, indent=2))
        return
    for name, suite in found.items():
        click.echo(f"{name:<14}{suite.title}")
        click.echo(f"{'':<14}{', '.join(task.name for task in suite.tasks)}")
