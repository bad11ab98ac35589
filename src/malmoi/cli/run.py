"""`malmoi run`: from a recipe to what its stages make."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from malmoi.cli.options import home_option
from malmoi.core.errors import ConfigError, InvalidInput, UnknownName

if TYPE_CHECKING:
    from malmoi.core.recipe import Recipe
    from malmoi.core.runner import Planned, RunOptions
    from malmoi.core.store import Run, Store


@click.command()
@click.argument("recipe", required=False)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of your texts (.txt .md .jsonl .parquet .html ...).  [default: a generated corpus]",
)
@click.option("--until", metavar="STAGE", help="Stop after this stage.")
@click.option("--from", "start", metavar="STAGE", help="Run this stage and all after it again.")
@click.option("--again", is_flag=True, help="Run every stage again, even where nothing changed.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="STAGE.KEY=VALUE",
    help="Change one setting of the recipe, such as tokenizer.vocab_size=32000. Repeatable.",
)
@click.option("--dry-run", is_flag=True, help="Say what would run, and why, and end.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@home_option
def run(
    recipe: str | None,
    data: Path | None,
    until: str | None,
    start: str | None,
    again: bool,
    overrides: Sequence[str],
    dry_run: bool,
    quiet: bool,
    home: Path,
) -> None:
    """Run a recipe: from raw text to a model.

    RECIPE is a TOML file, or the name of one that comes with Malmoi. Without it, these are listed.

    A stage whose settings and inputs did not change is not run again. Stop it whenever you like, even by
    kill -9: the same command goes on from there, to the same result.
    """
    from malmoi.core.recipe import check_recipe, read_recipe
    from malmoi.core.runner import RunOptions
    from malmoi.factory.stages import build_stages

    if recipe is None:
        _list_recipes()
        return
    # As torchrun sets them.
    rank, world_size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    checked = check_recipe(read_recipe(find_recipe(recipe), overrides), build_stages())
    options = RunOptions(
        home=home,
        data=checked_data(data),
        until=until,
        start=start,
        again=again,
        rank=rank,
        world_size=world_size,
    )
    if dry_run:
        show_plan(checked, options)
        return
    run_and_show(checked, options, quiet=quiet)


def _list_recipes() -> None:
    from malmoi.core.config import read_toml

    for name, path in recipes().items():
        click.echo(f"{name:<16} {read_toml(path).get('title', '')}")


def recipes() -> dict[str, Path]:
    """The recipes that come with Malmoi, by name."""
    from importlib.resources import files

    folder = Path(str(files("malmoi") / "recipes"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def find_recipe(name: str) -> Path:
    """The file of a recipe given as a path or a name.

    Raises:
        UnknownName: neither.
    """
    if Path(name).is_file():
        return Path(name)
    known = recipes()
    stem = name.removeprefix("recipes/").removesuffix(".toml")
    if stem in known:
        return known[stem]
    if os.sep in name or name.endswith(".toml"):
        raise ConfigError(
            f"there is no recipe {name}.", fix=f"Those that come with Malmoi: {', '.join(known)}."
        )
    raise UnknownName("recipe", name, known)


def show_plan(recipe: "Recipe", options: "RunOptions") -> None:
    """Print what would run, and why."""
    from malmoi.core.runner import plan_recipe

    rows = plan_recipe(recipe, options)
    width = max(len(row.name) for row in rows)
    for row in rows:
        click.echo(f"{row.name:<{width}}  {row.action:<7} {_why(row)}")


def _why(row: "Planned") -> str:
    return f"{row.artifact} ({row.why})" if row.artifact else row.why


def run_and_show(recipe: "Recipe", options: "RunOptions", *, quiet: bool) -> "Run":
    """Run with progress on standard error; what was made goes to standard output."""
    from dataclasses import replace

    from malmoi.cli.live import open_progress
    from malmoi.core.runner import run_recipe

    try:
        with open_progress(quiet=quiet or options.rank > 0) as progress:
            finished = run_recipe(recipe, replace(options, progress=progress))
    except KeyboardInterrupt:
        if options.rank == 0:
            click.echo("Stopped. The same command goes on from here.", err=True)
        raise click.exceptions.Exit(130) from None
    if options.rank == 0:
        click.echo(f"run {finished.id} finished")
        for stage in finished.record.stages:
            seconds = f"{stage.seconds:8.1f} s" if stage.seconds is not None else " " * 10
            click.echo(f"  {stage.name:<16} {stage.status:<9} {seconds}  {stage.artifact}")
        for hint in _hints(finished, options.store):
            click.echo(hint)
    return finished


def _hints(run: "Run", store: "Store") -> list[str]:
    """What can be done now with what was made."""
    made = [store.artifact(stage.artifact) for stage in run.record.stages if stage.artifact]
    hints = [
        f"  look:  {page}" for artifact in made for page in sorted((artifact.path / "about").glob("*.html"))
    ]
    if any(artifact.manifest.kind in ("model", "quantized") for artifact in made):
        hints.append(f"  try:   malmoi chat --model run:{run.id}")
        hints.append(f"  serve: malmoi serve --model run:{run.id}")
    return hints


def checked_data(data: Path | None) -> Path | None:
    """The folder given with --data as an absolute path.

    Raises:
        InvalidInput: there is no such folder.
    """
    if data is None:
        return None
    folder = data.expanduser().resolve()
    if not folder.is_dir():
        raise InvalidInput(f"--data: there is no folder {folder}.", field="data")
    return folder
