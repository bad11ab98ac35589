"""`malmoi safety`: classifiers of unsafe text, the guard, and red-teaming."""

from collections.abc import Mapping

import click

from malmoi.cli import LazyGroup

# name -> (where it is, what it does), in the order of the help.
COMMANDS: Mapping[str, tuple[str, str]] = {}


@click.group(cls=LazyGroup, table=COMMANDS)
def safety() -> None:
    """Keep a model from harm: classifiers, the guard, red-teaming."""
