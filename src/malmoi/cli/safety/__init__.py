"""`malmoi safety`: classifiers of unsafe text, the guard, and red-teaming."""

from collections.abc import Mapping

import click

from malmoi.cli import LazyGroup

# name -> (where it is, what it does), in the order of the help.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "train": ("malmoi.cli.safety.train:train", "Train a classifier of unsafe text."),
    "measure": ("malmoi.cli.safety.measure:measure", "Measure a classifier: tests, harmless texts, tricks."),
    "score": ("malmoi.cli.safety.score:score", "Say what a classifier thinks of texts."),
    "check": ("malmoi.cli.safety.check:check", "Show what the guard thinks of a text, and why."),
    "policy": ("malmoi.cli.safety.policy:policy", "Check a policy of the guard, and show what it does."),
    "redteam": ("malmoi.cli.safety.redteam:redteam", "Attack a model, and keep what succeeded."),
}


@click.group(cls=LazyGroup, table=COMMANDS)
def safety() -> None:
    """Keep a model from harm: classifiers, the guard, red-teaming."""
