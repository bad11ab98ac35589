"""`malmoi users probe`: what a model's vectors of users know of a trait, against floors."""

import json
from pathlib import Path

import click

from malmoi.cli.options import home_option


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option("--logs", required=True, help="Logs that hold the users: a name or id.")
@click.option(
    "--labels",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="CSV file with the columns user and the trait.",
)
@click.option("--column", help="The trait.  [default: the only column beside user]")
@click.option(
    "--probe",
    "kinds",
    multiple=True,
    type=click.Choice(["linear", "mlp"]),
    help="Classifier. Repeatable.  [default: both]",
)
@click.option("--seed", default=0, show_default=True, help="Of the split and the resamples.")
@click.option("--name", default="probe", show_default=True, help="Name of the report.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@home_option
def probe(
    models: tuple[str, ...],
    logs: str,
    labels: Path,
    column: str | None,
    kinds: tuple[str, ...],
    seed: int,
    name: str,
    as_json: bool,
    quiet: bool,
    home: Path,
) -> None:
    """Foretell a trait of users from the frozen vectors of each MODEL.

    A linear and a small nonlinear classifier learn from 70 % of the labelled users and are asked about the
    others. Counts per service and the popularity of what users did are floors that need no model; fit a
    mean-text model and name it too for the floor of texts. Figures go into the store as a report.

    Example: malmoi users probe clue mean-text --logs shop --labels booking.csv
    """
    from malmoi.cli.live import open_progress
    from malmoi.core.files import write_json
    from malmoi.core.store import Store
    from malmoi.users.logs import load_logs
    from malmoi.users.opening import find_logs, open_model
    from malmoi.users.probes import floors, read_labels, render_probes, run_probes
    from malmoi.users.probes.features import model_features

    found = load_logs(find_logs(Store(home / "store"), logs).path)
    trait = read_labels(labels, found.users, column=column)
    vectors = dict(floors(found, trait.rows))
    for model in models:
        vectors[model] = model_features(open_model(home, model).model, found, trait.rows)
    with open_progress(quiet) as progress:
        report = run_probes(
            vectors,
            trait,
            kinds=[kind for kind in ("linear", "mlp") if not kinds or kind in kinds],
            seed=seed,
            progress=progress,
        )
    with Store(home / "store").new_artifact("report", name, metadata={"kind": "probe"}) as folder:
        write_json(folder / "report.json", report.to_json())
    click.echo(
        json.dumps(report.to_json(), ensure_ascii=False, indent=2) if as_json else render_probes(report)
    )
