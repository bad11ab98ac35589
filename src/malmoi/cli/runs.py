"""`malmoi runs`: what was run, how it went, and how two runs differ."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from malmoi.cli.options import home_option
from malmoi.core.errors import InvalidInput
from malmoi.core.store import Run, Store

if TYPE_CHECKING:
    from malmoi.core.store import StageRecord


@click.group()
def runs() -> None:
    """List, show, compare and repeat runs."""


@runs.command("ls")
@home_option
def list_runs(home: Path) -> None:
    """List runs, oldest first."""
    found = Store(home / "store").runs()
    for run in found:
        began = run.record.started_at.strftime("%Y-%m-%d %H:%M")
        done = sum(stage.status in ("finished", "reused") for stage in run.record.stages)
        click.echo(f"{run.id:<32} {run.status:<11} {began}  {done} stages done")
    if not found:
        click.echo(f"No runs under {home / 'store'} yet. Try: malmoi run tiny-ko")


@runs.command()
@click.argument("run_id")
@click.option("--open", "open_page", is_flag=True, help="Open the pages of its stages in a browser.")
@home_option
def show(run_id: str, open_page: bool, home: Path) -> None:
    """Show a run: its stages, their settings that matter, and their last figures."""
    store = Store(home / "store")
    run = store.run(run_id)
    record = run.record
    click.echo(f"{run.id}  {run.status}  seed {record.seed}  version {record.version}")
    click.echo(f"began {record.started_at:%Y-%m-%d %H:%M:%S}  data {record.data or 'generated'}")
    if record.error:
        click.echo(f"error: {record.error}")
    for stage in record.stages:
        seconds = f"{stage.seconds:.1f} s" if stage.seconds is not None else ""
        click.echo(f"  {stage.name:<16} {stage.status:<9} {seconds:>10}  {stage.artifact or ''}")
        last = _last_metrics(store, stage)
        if last:
            click.echo(" " * 19 + "  ".join(f"{name} {_short(value)}" for name, value in last.items()))
    pages = [page for stage in record.stages for page in _pages(store, stage)]
    for page in pages:
        click.echo(f"  look: {page}")
        if open_page:
            click.launch(str(page))


@runs.command()
@click.argument("first")
@click.argument("second")
@home_option
def diff(first: str, second: str, home: Path) -> None:
    """Show how two runs differ: settings, artifacts and last figures."""
    from malmoi.core.runner import flatten

    store = Store(home / "store")
    one, two = store.run(first), store.run(second)
    settings = [flatten(run.record.config) | {"data": run.record.data} for run in (one, two)]
    _print_differences("settings", *settings)
    _print_differences("content", *[_digests(store, run) for run in (one, two)])
    _print_differences("last figures", *[_figures(store, run) for run in (one, two)])


@runs.command()
@click.argument("run_id")
@click.option("--again", is_flag=True, help="Run every stage again and say whether the results are the same.")
@click.option("--set", "overrides", multiple=True, metavar="STAGE.KEY=VALUE", help="Change one setting.")
@click.option("--dry-run", is_flag=True, help="Say what would run, and why, and end.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@home_option
def rerun(run_id: str, again: bool, overrides: Sequence[str], dry_run: bool, quiet: bool, home: Path) -> None:
    """Run the recipe of a run as it was recorded, with the same data and seed."""
    from malmoi.cli.run import run_and_show, show_plan
    from malmoi.core.config import ConfigTree
    from malmoi.core.recipe import check_recipe, override_recipe
    from malmoi.core.runner import RunOptions
    from malmoi.factory.stages import build_stages

    store = Store(home / "store")
    record = store.run(run_id).record
    if record.data is not None and not Path(record.data).is_dir():
        raise InvalidInput(
            f"the run {run_id} read the folder {record.data}, which is not there.",
            fix="Put it back, or give another with: malmoi run RECIPE --data DIR.",
        )
    before = _digests(store, store.run(run_id))
    tree = ConfigTree()
    tree.merge(record.config, origin=f"the run {run_id}")
    recipe = check_recipe(override_recipe(tree, overrides), build_stages())
    options = RunOptions(home=home, data=Path(record.data) if record.data else None, again=again)
    if dry_run:
        show_plan(recipe, options)
        return
    finished = run_and_show(recipe, options, quiet=quiet)
    after = _digests(store, finished)
    for name in before.keys() & after.keys():
        click.echo(f"  {name:<16} {'the same' if before[name] == after[name] else 'DIFFERENT'}")


@runs.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@home_option
def clean(yes: bool, home: Path) -> None:
    """Remove half-done work that no process is working on; what is finished stays."""
    import shutil

    from malmoi.core.locks import is_locked

    work = home / "store" / "work"
    left = [
        folder
        for folder in sorted(work.glob("*"))
        if folder.is_dir() and not is_locked(folder.with_name(f"{folder.name}.lock"))
    ]
    size = sum(path.stat().st_size for folder in left for path in folder.rglob("*") if path.is_file())
    if not left:
        click.echo("There is no half-done work.")
        return
    if not yes:
        click.confirm(f"Remove the half-done work of {len(left)} stages ({size / 1e6:.1f} MB)?", abort=True)
    for folder in left:
        shutil.rmtree(folder)
        folder.with_name(f"{folder.name}.lock").unlink(missing_ok=True)
    click.echo(f"Removed {size / 1e6:.1f} MB.")


def _last_metrics(store: Store, stage: "StageRecord") -> dict[str, Any]:
    from malmoi.core.stage import Metrics

    if stage.artifact is not None:
        path = _folder(store, stage) / "about" / "metrics.jsonl"
    else:
        path = store.root / "work" / stage.key / "metrics.jsonl"
    last: dict[str, Any] = {}
    for row in Metrics(path).read():
        last.update({name: value for name, value in row.items() if isinstance(value, int | float)})
    return last


def _pages(store: Store, stage: "StageRecord") -> list[Path]:
    return sorted((_folder(store, stage) / "about").glob("*.html")) if stage.artifact else []


def _folder(store: Store, stage: "StageRecord") -> Path:
    assert stage.artifact is not None
    return store.root / "artifacts" / stage.artifact.partition("-")[0] / stage.artifact


def _digests(store: Store, run: Run) -> dict[str, Any]:
    known = {artifact.id: artifact for artifact in store.artifacts()}
    return {
        stage.name: known[stage.artifact].digest[:12]
        for stage in run.record.stages
        if stage.artifact in known
    }


def _figures(store: Store, run: Run) -> dict[str, Any]:
    return {
        f"{stage.name}.{name}": value
        for stage in run.record.stages
        for name, value in _last_metrics(store, stage).items()
    }


def _print_differences(title: str, one: dict[str, Any], two: dict[str, Any]) -> None:
    rows = [name for name in sorted(one.keys() | two.keys()) if one.get(name) != two.get(name)]
    click.echo(f"{title}: {'the same' if not rows else ''}")
    for name in rows:
        click.echo(f"  {name:<40} {_short(one.get(name)):<24} {_short(two.get(name))}")


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return (
        "-" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    )
