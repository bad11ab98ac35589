"""`malmoi evals`: judge a model, look at the answers, compare, and study how it learns from examples."""

from collections.abc import Mapping

import click

from malmoi.cli import LazyGroup

# name -> (where it is, what it does), in the order of the help.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "labels": ("malmoi.cli.evals.labels:labels", "Do the labels of demonstrations matter to a model?"),
    "corpora": ("malmoi.cli.evals.corpora:corpora", "What do the sources of its text teach a model?"),
}


@click.group(cls=LazyGroup, table=COMMANDS)
def evals() -> None:
    """Judge a model: benchmarks with intervals, every answer kept."""
