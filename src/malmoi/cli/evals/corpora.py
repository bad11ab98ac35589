"""`malmoi evals corpora`: what the sources of its text teach a model."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from malmoi.cli.options import home_option
from malmoi.core.errors import InvalidInput

if TYPE_CHECKING:
    from malmoi.core.recipe import Recipe
    from malmoi.core.runner import RunOptions
    from malmoi.evals.corpora.page import CorporaReport
    from malmoi.factory.ablate.study import StudySettings, Trial

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,49}")


@click.command()
@click.option(
    "--data",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder with the sources and the files of the tasks.",
)
@click.option(
    "--recipe",
    default="corpora",
    show_default=True,
    metavar="STUDY",
    help="A study file, or the name of one that comes with Malmoi: corpora, corpora-tiny.",
)
@click.option(
    "--mix",
    "mixes",
    multiple=True,
    metavar="NAME=SOURCE:WEIGHT,...",
    help="A mix of your own beside those of the study, or in place of one of them. Repeatable.",
)
@click.option("--only", metavar="MIX,...", help="Train these mixes of the study alone.")
@click.option("--seeds", metavar="1,2,3", help="Seeds to repeat with, instead of the study's own.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="STAGE.KEY=VALUE",
    help="Change one setting of every training, such as pretrain.num_bytes=500000. Repeatable.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be trained, and end.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@home_option
def corpora(
    data: Path,
    recipe: str,
    mixes: Sequence[str],
    only: str | None,
    seeds: str | None,
    overrides: Sequence[str],
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    home: Path,
) -> None:
    """Find out which sources of text teach a model to learn from examples in its prompt.

    Trains one small model for each mix and seed on equally much text, then measures it on tasks without and
    with demonstrations and on held-out text of every source, and ranks whether bits per byte foretell the
    scores. Stop it whenever you like: what is trained is not trained again.

    Example: malmoi evals corpora --data data --mix mine=reviews:1,docs:3 --only reviews,docs,all --seeds 1,2
    """
    from malmoi.cli.ablate import find_study, parse_changes, parse_seeds
    from malmoi.cli.live import open_progress
    from malmoi.cli.run import checked_data
    from malmoi.core.runner import RunOptions
    from malmoi.evals.corpora.page import render_table, save_corpora
    from malmoi.evals.corpora.results import figures_of, weights_of
    from malmoi.factory.ablate.study import build_recipe, read_figures, read_study, run_study
    from malmoi.factory.stages import build_stages

    file = find_study(recipe)
    settings, base = read_study(file)
    settings = choose_mixes(settings, mixes, only)
    if seeds is not None:
        settings = settings.model_copy(update={"seeds": parse_seeds(seeds)})
    figures_of(settings)
    changes = parse_changes(overrides)
    stages = build_stages()
    recipes = {
        name: build_recipe(settings, base, name, settings.seeds[0], stages, changes)
        for name in settings.variants
    }
    weights = {name: weights_of(settings, name) for name in settings.variants}
    if dry_run:
        for name, shares in weights.items():
            shown = ", ".join(f"{source} {share:.0%}" for source, share in shares.items())
            click.echo(f"{name:<20} seeds {','.join(map(str, settings.seeds))}  {shown}")
        return
    trials: list[Trial] = []
    beside: dict[str, float] = {}
    with open_progress(quiet=quiet) as progress:
        options = RunOptions(home=home, data=checked_data(data), progress=progress)
        for trial in run_study(settings, base, stages, options, changes):
            trials.append(trial)
            beside = read_figures(options.store, options.store.run(trial.run), _beside(settings))
            shown = "  ".join(
                f"{name.rpartition('/')[2]} {value:.3f}" for name, value in trial.values.items()
            )
            progress.note(f"{trial.variant}, seed {trial.seed}: {shown}")
    report = _report(settings, recipes, trials, beside, options)
    made = [
        stage.artifact
        for trial in trials
        for stage in options.store.run(trial.run).record.stages
        if stage.artifact and stage.name == settings.repeat
    ]
    saved = save_corpora(options.store, file.stem, report, list(dict.fromkeys(made)))
    if as_json:
        click.echo(report.model_dump_json(indent=1))
        return
    click.echo(settings.title)
    click.echo(render_table(report))
    click.echo(f"look: {saved.path / 'about' / 'corpora.html'}")


def _beside(settings: "StudySettings") -> tuple[str, ...]:
    from malmoi.evals.corpora.results import beside_scores

    return beside_scores(settings)


def _report(
    settings: "StudySettings",
    recipes: Mapping[str, "Recipe"],
    trials: "Sequence[Trial]",
    beside: Mapping[str, float],
    options: "RunOptions",
) -> "CorporaReport":
    import platform
    from datetime import UTC, datetime

    from malmoi import __version__
    from malmoi.evals.corpora.page import CorporaReport
    from malmoi.evals.corpora.ranks import rank_mixes
    from malmoi.evals.corpora.results import build_mixes, compare_additions, figures_of, whole_seeds

    configs = {step.name: step.config for step in next(iter(recipes.values())).steps}
    budget = getattr(configs[settings.repeat], "num_bytes", None)
    mixes = build_mixes(settings, trials, beside, _epochs(settings, trials, budget, options))
    whole = whole_seeds(settings, trials)
    return CorporaReport(
        title=settings.title,
        finished_at=datetime.now(UTC),
        seeds=tuple(next(iter(whole.values()))),
        num_bytes=budget,
        shots={stage: int(getattr(configs[stage], "shots", 0)) for stage in figures_of(settings).stages},
        mixes=tuple(mixes),
        ranks=tuple(rank_mixes(mixes)),
        additions=tuple(compare_additions(mixes)),
        versions={"malmoi": __version__, "python": platform.python_version()},
    )


def _epochs(
    settings: "StudySettings", trials: "Sequence[Trial]", budget: int | None, options: "RunOptions"
) -> dict[str, dict[str, float]]:
    """Mix -> source -> how often its text was seen; empty where the budget is not in bytes."""
    from malmoi.evals.corpora.results import weights_of
    from malmoi.factory.corpus.documents import read_mixture

    found: dict[str, dict[str, float]] = {}
    for trial in trials:
        if budget is None or trial.variant in found:
            continue
        stages = options.store.run(trial.run).record.stages
        made = [stage.artifact for stage in stages if stage.artifact and stage.artifact.startswith("corpus-")]
        folder = options.store.artifact(made[0]).path if made else None
        if folder is None or not (folder / "mixture.json").is_file():
            continue
        sizes = {source.name: source.bytes for source in read_mixture(folder).sources}
        found[trial.variant] = {
            source: share * budget / sizes[source]
            for source, share in weights_of(settings, trial.variant).items()
            if sizes.get(source)
        }
    return found


def choose_mixes(settings: "StudySettings", mixes: Sequence[str], only: str | None) -> "StudySettings":
    """The study with the mixes of the command line.

    Raises:
        InvalidInput: a mix is not written as it should be, or fewer than two are left.
        UnknownName: `--only` names a mix that the study has not.
    """
    from malmoi.core.errors import UnknownName

    variants = dict(settings.variants)
    if only is not None:
        wanted = [name.strip() for name in only.split(",") if name.strip()]
        for name in wanted:
            if name not in variants:
                raise UnknownName("mix", name, variants)
        variants = {name: variants[name] for name in wanted}
    for text in mixes:
        name, weights = parse_mix(text)
        variants[name] = {f"{settings.repeat}.weights.{source}": share for source, share in weights.items()}
    if len(variants) < 2:
        raise InvalidInput("there is only one mix.", field="only", fix="Name another with --only or --mix.")
    baseline = settings.baseline if settings.baseline in variants else next(iter(variants))
    return settings.model_copy(update={"variants": variants, "baseline": baseline})


def parse_mix(text: str) -> tuple[str, dict[str, float]]:
    """Name and weights of `NAME=SOURCE:WEIGHT,...`; a source without a weight has 1.

    Raises:
        InvalidInput: it is not written so.
    """
    name, equals, rest = text.partition("=")
    weights: dict[str, float] = {}
    for part in rest.split(","):
        source, colon, weight = part.strip().rpartition(":")
        if not colon:
            source, weight = weight, "1"
        try:
            weights[source] = float(weight)
        except ValueError:
            weights[source] = -1.0
    good = all(source and 0.0 < weight < 1e9 for source, weight in weights.items())
    if not equals or not _NAME.fullmatch(name.strip()) or not good:
        raise InvalidInput(
            f"--mix {text!r} is not a mix.", field="mix", fix="Write it as NAME=SOURCE:WEIGHT,SOURCE:WEIGHT."
        )
    return name.strip(), weights
