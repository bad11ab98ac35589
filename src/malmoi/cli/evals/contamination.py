"""`malmoi evals contamination`: which items of a suite a corpus has seen."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from malmoi.cli.options import home_option
from malmoi.core.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from malmoi.evals.contamination import TaskOverlap
    from malmoi.tasks.base import Example


@click.command()
@click.option(
    "--corpus", required=True, metavar="ARTIFACT", help="Id of a corpus in the store, or its folder."
)
@click.option("--suite", required=True, metavar="NAME", help="A suite, or a file of your own.")
@click.option(
    "--data",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder that the files of the tasks lie under.",
)
@click.option(
    "--report", metavar="ID", help="Also the scores of this evaluation with and without seen items."
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@home_option
def contamination(
    corpus: str, suite: str, data: Path, report: str | None, as_json: bool, quiet: bool, home: Path
) -> None:
    """Find the items of a suite that a training corpus holds, and the scores without them.

    An item is seen where a document shares 13 words or 20 Korean letters in a row with it, or holds a short
    text of it whole.

    Example: malmoi evals contamination --corpus corpus-tiny-1a2b3c4d --suite korean --data data
    """
    from malmoi.cli.live import open_progress
    from malmoi.core.files import write_json
    from malmoi.core.store import Store
    from malmoi.evals.contamination import find_overlap, with_scores
    from malmoi.evals.leaderboard import find_report
    from malmoi.evals.results import read_items, read_result
    from malmoi.factory.corpus.documents import read_documents

    store = Store(home / "store")
    folder = Path(corpus) if (Path(corpus) / "mixture.json").is_file() else store.artifact(corpus).path
    tasks, skipped = _examples(suite, data)
    with open_progress(quiet=quiet) as progress:
        overlaps = find_overlap(read_documents(folder), tasks, progress=progress)
    if report is not None:
        where = find_report(store, report)
        overlaps = with_scores(overlaps, read_result(where), read_items(where))
    path = home / "evals" / f"contamination-{folder.name}-{Path(suite).stem}.json"
    found = {
        "corpus": folder.name,
        "suite": suite,
        "tasks": [overlap.as_json() for overlap in overlaps],
        "skipped": skipped,
    }
    write_json(path, found)
    if as_json:
        click.echo(json.dumps(found | {"file": str(path)}, ensure_ascii=False, indent=1))
        return
    _print(overlaps)
    if skipped:
        click.echo(f"not looked at, for their files are not there: {', '.join(skipped)}")
    click.echo(f"every seen item: {path}")


def _examples(suite: str, data: Path) -> "tuple[dict[str, list[Example]], dict[str, str]]":
    """The examples of a suite's tasks that are there; and why the others are not."""
    from malmoi.evals.suites import read_suite
    from malmoi.tasks.catalog import known_tasks
    from malmoi.tasks.table import open_task

    tasks: dict[str, list[Example]] = {}
    skipped: dict[str, str] = {}
    for entry in read_suite(suite).expanded(list(known_tasks())):
        try:
            task = open_task(entry.name, data)
            tasks[entry.name] = list(task.examples(task.info.split))
        except NotFound as error:
            skipped[entry.name] = str(error).removeprefix(f"{entry.name}: ")
    if not tasks:
        raise InvalidInput(
            f"no task of the suite {suite} has its files under {data}.",
            fix=next(iter(skipped.values()), "Name a suite that has tasks."),
        )
    return tasks, skipped


def _print(overlaps: "list[TaskOverlap]") -> None:
    from malmoi.cli.evals.tables import table
    from malmoi.evals.report.remarks import figure_text, percent

    scored = any(overlap.all is not None for overlap in overlaps)
    rows = [["task", "items", "seen", "share", *(["score", "unseen alone", "seen alone"] if scored else [])]]
    for overlap in overlaps:
        row = [overlap.task, f"{overlap.items:,}", f"{len(overlap.seen):,}", percent(overlap.share)]
        if scored:
            figures = (overlap.all, overlap.clean, overlap.seen_items)
            row += ["" if figure is None else figure_text(figure.value) for figure in figures]
        rows.append(row)
    for line in table(rows, right=set(range(1, len(rows[0])))):
        click.echo(line)
    for overlap in overlaps:
        for item in overlap.seen[:3]:
            from malmoi.cli.live import printable

            found = printable(" ".join(item.found.split())[:70])
            click.echo(f"  {item.task} {item.id}: {percent(item.coverage)} in {item.document}: {found}")
