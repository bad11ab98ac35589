"""`malmoi safety train`: train a classifier of unsafe text."""

import json
from pathlib import Path

import click

from malmoi.cli.options import home_option


@click.command()
@click.option(
    "--data",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the datasets: safety/KoSBi, safety/SQuARe, korean_hate_speech ...",
)
@click.option("--name", default="safety-ko", show_default=True, help="Name of the classifier in the store.")
@click.option("--only", multiple=True, metavar="DATASET", help="Only this dataset. Repeatable.")
@click.option("--seed", default=0, show_default=True, help="Of splits and resamples.")
@click.option(
    "--encoder/--no-encoder",
    default=True,
    show_default=True,
    help="Let a sentence encoder help where it makes the classifier better.",
)
@click.option(
    "--measure/--no-measure", "measured", default=True, help="Measure it on harmless texts and tricks."
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@home_option
def train(
    data: Path,
    name: str,
    only: tuple[str, ...],
    seed: int,
    encoder: bool,
    measured: bool,
    as_json: bool,
    quiet: bool,
    home: Path,
) -> None:
    """Train a classifier of unsafe text on the datasets under --data.

    A part of every dataset is held out and measured, beside a floor of character n-grams. The classifier goes
    into the store with a page of its figures.

    Example: malmoi safety train --data ~/data --name safety-ko
    """
    from time import monotonic

    from malmoi.cli.live import open_progress
    from malmoi.cli.safety.figures import show_figures
    from malmoi.core.files import write_json, write_text
    from malmoi.core.store import Store
    from malmoi.engine.classify import MixedClassifier
    from malmoi.evals.safety.measure import measure
    from malmoi.evals.safety.page import render_page
    from malmoi.evals.safety.train import TrainSettings
    from malmoi.evals.safety.train import train as train_classifier

    store = Store(home / "store")
    with open_progress(quiet) as progress:
        began = monotonic()
        trained = train_classifier(
            data, name=name, seed=seed, settings=TrainSettings(encoder=encoder), only=only, progress=progress
        )
        seconds = round(monotonic() - began, 1)
        found = {}
        if measured:
            found = measure(MixedClassifier(trained.about, trained.tensors), data, progress=progress)
    licenses = sorted({source.license for question in trained.about.questions for source in question.sources})
    with store.new_artifact("classifier", name, metadata={"seed": seed, "licenses": licenses}) as folder:
        trained.write(folder)
        write_json(folder / "about" / "curves.json", trained.curves)
        write_json(folder / "about" / "measured.json", found | {"train_seconds": seconds})
        write_text(folder / "about" / "report.html", render_page(trained.about, trained.curves, found))
    artifact = store.artifacts("classifier")[-1]
    if as_json:
        click.echo(json.dumps({"id": artifact.id, "seconds": seconds, "measured": found}, ensure_ascii=False))
        return
    show_figures(trained.about)
    click.echo(
        f"\n{artifact.id}  trained in {seconds} s\nThe page: {artifact.path / 'about' / 'report.html'}"
    )
