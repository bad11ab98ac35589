"""`malmoi safety measure`: measure a classifier on test files, harmless texts and tricks."""

import json
from pathlib import Path
from typing import Any

import click

from malmoi.cli.options import home_option


@click.command()
@click.argument("classifier", default="latest")
@click.option(
    "--data",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the datasets.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@home_option
def measure(classifier: str, data: Path, as_json: bool, quiet: bool, home: Path) -> None:
    """Measure CLASSIFIER (an id or name in the store, a folder, or `latest`).

    Test files are read if they are there; texts that training held out are changed by tricks that hide words;
    harmless texts show how often it would refuse without a reason; and single texts are timed.

    Example: malmoi safety measure safety-ko --data ~/data
    """
    from datetime import UTC, datetime

    from malmoi.cli.live import open_progress
    from malmoi.cli.safety.figures import find_classifier, show_figures
    from malmoi.core.files import write_json
    from malmoi.engine.classify import load_classifier
    from malmoi.evals.safety.measure import measure as measure_classifier

    loaded = load_classifier(find_classifier(classifier, home))
    with open_progress(quiet) as progress:
        found = measure_classifier(loaded, data, progress=progress)
    found["date"] = datetime.now(UTC).date().isoformat()
    path = home / "reports" / f"{loaded.about.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}.json"
    write_json(path, found)
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    show_figures(loaded.about)
    _show(found)
    click.echo(f"\nAll figures: {path}")


def _show(found: dict[str, Any]) -> None:
    from malmoi.cli.safety.figures import spread

    for name, figures in found["test"].items():
        click.echo(
            f"test files, {name}: macro-F1 {spread(figures['macro_f1'])} on {figures['texts']:,} texts"
        )
    for name, points in found["harmless"].items():
        click.secho(f"\nharmless texts flagged, {name}", bold=True)
        for point, sets in points.items():
            listed = ", ".join(f"{each} {100 * row[0]:.1f} %" for each, row in sets.items())
            click.echo(f"  {point:<22}{listed}")
    if found["tricks"]:
        click.secho("\nmacro-F1 with tricks", bold=True)
    for name, tricks in found["tricks"].items():
        listed = ", ".join(f"{trick} {value:.3f}" for trick, value in tricks.items())
        click.echo(f"  {name:<16}as written {found['held_out'][name]['macro_f1']:.3f}, {listed}")
    if any(found["encoder"].values()):
        listed = ", ".join(f"{each} {100 * share:.1f} %" for each, share in found["encoder"].items())
        click.echo(f"\ntexts that need the encoder: {listed}")
    speed = found["speed"]
    click.echo(f"\none text: median {speed['median_ms']} ms, 95th percentile {speed['p95_ms']} ms")
    for reason in found["skipped"]:
        click.echo(f"not measured: {reason}")
