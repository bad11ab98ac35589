"""`malmoi ablate`: what a change is worth, and whether that is more than noise."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from malmoi.cli.options import home_option
from malmoi.core.errors import ConfigError, UnknownName


@click.command()
@click.argument("study", required=False)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of your texts.  [default: a generated corpus]",
)
@click.option("--seeds", metavar="1,2,3", help="Seeds to repeat with, instead of the study's own.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="STAGE.KEY=VALUE",
    help="Change one setting of every variant. Repeatable.",
)
@click.option("--dry-run", is_flag=True, help="Say what would run, and end.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@home_option
def ablate(
    study: str | None,
    data: Path | None,
    seeds: str | None,
    overrides: Sequence[str],
    dry_run: bool,
    quiet: bool,
    home: Path,
) -> None:
    """Find out what a change is worth, and whether it is noise.

    STUDY is a TOML file, or the name of one that comes with Malmoi. Without it, these are listed.

    Each variant is trained with each seed. The table says by how much it differs from the baseline, and
    whether that is inside the noise. Stop it whenever you like: finished runs are not repeated.
    """
    from malmoi.cli.live import open_progress
    from malmoi.cli.run import checked_data
    from malmoi.core.config import read_toml
    from malmoi.core.runner import RunOptions
    from malmoi.factory.ablate.report import compare_trials, render_table, save_study
    from malmoi.factory.ablate.study import Trial, build_recipe, read_study, run_study
    from malmoi.factory.stages import build_stages

    if study is None:
        for name, path in studies().items():
            click.echo(f"{name:<16} {read_toml(path).get('title', '')}")
        return
    file = find_study(study)
    settings, base = read_study(file)
    if seeds is not None:
        settings = settings.model_copy(update={"seeds": parse_seeds(seeds)})
    changes = parse_changes(overrides)
    stages = build_stages()
    if dry_run:
        for seed in settings.seeds:
            for variant in settings.variants:
                recipe = build_recipe(settings, base, variant, seed, stages, changes)
                click.echo(f"{variant:<16} seed {seed}  {' -> '.join(recipe.names())}")
        return
    trials: list[Trial] = []
    with open_progress(quiet=quiet) as progress:
        options = RunOptions(home=home, data=checked_data(data), progress=progress)
        for trial in run_study(settings, base, stages, options, changes):
            trials.append(trial)
            shown = "  ".join(
                f"{name.rpartition('.')[2]} {value:.4f}" for name, value in trial.values.items()
            )
            progress.note(f"{trial.variant}, seed {trial.seed}: {shown}")
    click.echo(settings.title)
    click.echo(render_table(compare_trials(settings, trials)))
    made = [
        stage.artifact
        for trial in trials
        for stage in options.store.run(trial.run).record.stages
        if stage.artifact and stage.name == settings.repeat
    ]
    report = save_study(options.store, file.stem, settings, trials, list(dict.fromkeys(made)))
    click.echo(f"look: {report.path / 'about' / 'study.html'}")


def studies() -> dict[str, Path]:
    """The studies that come with Malmoi, by name."""
    from importlib.resources import files

    folder = Path(str(files("malmoi") / "recipes" / "studies"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def find_study(name: str) -> Path:
    """The study file of this name or path.

    Raises:
        UnknownName: there is none.
    """
    if Path(name).is_file():
        return Path(name)
    known = studies()
    if name not in known:
        raise UnknownName("study", name, known)
    return known[name]


def parse_changes(overrides: Sequence[str]) -> dict[str, Any]:
    """`--set STAGE.key=value` as the settings that a study takes; values are TOML, else text.

    Raises:
        ConfigError: one has no '='.
    """
    import tomllib

    from malmoi.core.config import parse_override

    changes: dict[str, Any] = {}
    for override in overrides:
        keys, text = parse_override(override)
        try:
            changes[".".join(keys)] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            changes[".".join(keys)] = text
    return changes


def parse_seeds(text: str) -> tuple[int, ...]:
    """Seeds written as 1,2,3.

    Raises:
        ConfigError: they are not whole numbers.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise ConfigError(f"--seeds {text!r} is not a list of whole numbers.", fix="Write it as 1,2,3.")
    return tuple(dict.fromkeys(int(part) for part in parts))
