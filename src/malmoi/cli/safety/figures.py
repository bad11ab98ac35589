"""Figures of a classifier as tables in the terminal, and the folder of a classifier that was named."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from malmoi.engine.classify.folder import ClassifierFile


def find_classifier(name: str, home: Path) -> Path:
    """The folder of a classifier: a path, an artifact's id, its name, or `latest`.

    Raises:
        InvalidInput: the artifact is no classifier.
        UnknownName: there is none.
    """
    from malmoi.core.errors import InvalidInput, UnknownName
    from malmoi.core.store import Store

    if (folder := Path(name).expanduser()).is_dir():
        return folder
    found = Store(home / "store").artifacts("classifier")
    named = [one for one in found if name in ("latest", one.id, one.manifest.name)]
    if named:
        return named[-1].path
    if not found:
        raise InvalidInput(
            f"there is no classifier under {home / 'store'} yet.",
            fix="Train one: malmoi safety train --data FOLDER",
        )
    raise UnknownName("classifier", name, [*(one.id for one in found), *(one.manifest.name for one in found)])


def show_figures(about: "ClassifierFile") -> None:
    """Print macro-F1 beside the floor for every question, on texts held out."""
    click.secho(
        f"{'question':<16}{'held out':>9}  {'macro-F1':<24}{'floor':<24}{'above the floor'}", bold=True
    )
    for question in about.questions:
        metrics = question.metrics
        if not metrics:
            continue
        click.echo(
            f"{question.name:<16}{metrics['texts']:>9,}  {spread(metrics['macro_f1']):<24}"
            f"{spread(metrics['floor']['macro_f1']):<24}{spread(metrics['over_floor'], '+.3f')}"
        )


def spread(figure: Any, form: str = ".3f") -> str:
    """A figure with its interval."""
    value, low, high = (format(number, form) for number in figure)
    return f"{value} ({low} to {high})"
