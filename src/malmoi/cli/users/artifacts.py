"""Recipes of one stage that the commands of `malmoi users` make and run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from malmoi.core.recipe import Recipe
    from malmoi.core.store import Artifact


def short_name(logs: "Artifact") -> str:
    """What recipes over these logs are called, so that their artifacts sort beside them."""
    from malmoi.users.opening import LOGS_SUFFIX

    return logs.manifest.name.removesuffix(LOGS_SUFFIX)[:30].rstrip("._-") or "users"


def kept_name(logs: "Artifact", name: str) -> str | None:
    """What to say where logs with this content were there before, under another name than NAME-logs."""
    from malmoi.users.opening import LOGS_SUFFIX

    if logs.manifest.name == name + LOGS_SUFFIX:
        return None
    return f"  The same logs had been made before; they keep the name {short_name(logs)}."


def build_recipe(
    name: str, stage: str, table: Mapping[str, Any], *, seed: int, overrides: Sequence[tuple[str, ...]] = ()
) -> "Recipe":
    """A recipe of one stage.

    Args:
        name: of the recipe.
        stage: of the stage; the artifact is called "name-stage", or just the name where both are alike.
        table: the stage's.
        seed: of the recipe.
        overrides: (prefix, "a.b=c"): settings below a table of the stage.

    Raises:
        ConfigError: a wrong setting; the message names it.
    """
    from malmoi.core.config import ConfigTree, parse_override
    from malmoi.core.recipe import check_recipe
    from malmoi.factory.stages import build_stages

    tree = ConfigTree()
    tree.merge({"name": name, "seed": seed, "stages": {stage: dict(table)}}, origin="the command")
    for *prefix, override in overrides:
        path, text = parse_override(override)
        tree.put(("stages", stage, *prefix, *path), text, None, origin=f"--set {override}")
    return check_recipe(tree, build_stages())


def run_recipe(recipe: "Recipe", home: Path, *, quiet: bool, data: Path | None = None) -> "Artifact":
    """Run a recipe of one stage with progress; what it made, or had made before."""
    from click import echo
    from click.exceptions import Exit

    from malmoi.cli.live import open_progress
    from malmoi.core.runner import RunOptions
    from malmoi.core.runner import run_recipe as run

    try:
        with open_progress(quiet=quiet) as progress:
            options = RunOptions(home=home, data=data, progress=progress)
            finished = run(recipe, options)
    except KeyboardInterrupt:
        echo("Stopped. The same command goes on from here.", err=True)
        raise Exit(130) from None
    made = finished.record.stages[-1].artifact
    assert made is not None, "a finished stage has made an artifact"
    return options.store.artifact(made)
