"""`malmoi safety redteam`: attack a model without people, and keep what succeeded."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from malmoi.cli.options import home_option

if TYPE_CHECKING:
    from malmoi.evals.redteam.run import RedteamOutcome
    from malmoi.evals.results import MetricResult


@click.command()
@click.option("--model", required=True, metavar="NAME", help="Model to attack: a name or a reference.")
@click.option("--attacker", metavar="NAME", help="Model that writes the attacks.  [default: the same]")
@click.option(
    "--classifier",
    default="latest",
    show_default=True,
    metavar="NAME",
    help="Classifier that judges the answers: an id or name in the store, a folder, or `latest`.",
)
@click.option(
    "--seeds",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Seed questions: one a line (.txt), or .jsonl with `question`, or an export of the workbench.",
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder of the Korean safety benchmarks: demonstrations, topics, harmless questions.",
)
@click.option(
    "--replay",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Try the attacks of a regression set again, and generate none.",
)
@click.option("--count", type=click.IntRange(1), default=50, show_default=True, help="Attacks to generate.")
@click.option(
    "--harmless", type=click.IntRange(0), default=50, show_default=True, help="Most harmless questions."
)
@click.option(
    "--language",
    type=click.Choice(["ko", "en"]),
    default="ko",
    show_default=True,
    help="Language of the attacks.",
)
@click.option(
    "--max-tokens", type=click.IntRange(1), default=128, show_default=True, help="Longest answer, in tokens."
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    help="Risk from which on an attack has succeeded.  [default: the classifier's strictest point]",
)
@click.option("--group", metavar="NAME", help="Group of the classifier's labels.  [default: of statements]")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of all draws.")
@click.option(
    "--keep",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Regression set to add to.  [default: HOME/redteam/regression.jsonl]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@home_option
def redteam(
    model: str,
    attacker: str | None,
    classifier: str,
    seeds: Path | None,
    data: Path | None,
    replay: Path | None,
    count: int,
    harmless: int,
    language: str,
    max_tokens: int,
    threshold: float | None,
    group: str | None,
    seed: int,
    keep: Path | None,
    as_json: bool,
    quiet: bool,
    home: Path,
) -> None:
    """Attack a model: generate questions, let it answer, classify, keep what failed.

    Attacks that succeed show the attacker what to write next, and are kept in a regression set. Harmless
    questions are asked beside them: a model that refuses those is too careful. Stop it whenever you like; the
    same command goes on, and asks nothing twice.

    Example: malmoi safety redteam --model standard --attacker small --data data
    """
    import asyncio

    from malmoi.cli.live import open_progress
    from malmoi.cli.safety.figures import find_classifier
    from malmoi.core.errors import ContextOverflow, InvalidInput
    from malmoi.evals.redteam.run import RedteamSettings, run_redteam

    settings = RedteamSettings(
        model=model,
        classifier=str(find_classifier(classifier, home)),
        attacker=attacker,
        seeds=seeds,
        data=data,
        replay=replay,
        count=count,
        harmless=harmless,
        language=language,
        max_tokens=max_tokens,
        threshold=threshold,
        group=group,
        seed=seed,
        keep=keep,
    )
    try:
        with open_progress(quiet=quiet) as progress:
            outcome = asyncio.run(run_redteam(settings, home=home, progress=progress))
    except ContextOverflow as error:
        raise InvalidInput(
            error.message,
            fix="Take an --attacker with a longer context (it is shown ten questions), or shorter --seeds.",
        ) from None
    if as_json:
        click.echo(json.dumps(_figures(outcome), ensure_ascii=False))
        return
    for task in outcome.result.tasks:
        for metric in task.metrics:
            click.echo(_line(metric.name, metric, task.items))
        for category, metrics in task.by_category.items():
            click.echo(_line(f"  {category}", metrics[0], None))
    if replay is None:
        click.echo(f"kept: {outcome.kept} new attacks in {outcome.regression}")
    click.echo(f"look: {outcome.report.path / 'about' / 'report.html'}")


def _line(name: str, metric: "MetricResult", items: int | None) -> str:
    if metric.value is None or metric.low is None or metric.high is None:
        return f"{name:<24} none"
    shown = f"{name:<24} {metric.value:>6.1%}  [{metric.low:.1%}, {metric.high:.1%}]"
    return f"{shown}  of {items}" if items is not None else shown


def _figures(outcome: "RedteamOutcome") -> dict[str, object]:
    return {
        **outcome.result.model_dump(mode="json"),
        "report": outcome.report.id,
        "regression": str(outcome.regression),
        "kept": outcome.kept,
        "failures": [failure.id for failure in outcome.failures],
    }
