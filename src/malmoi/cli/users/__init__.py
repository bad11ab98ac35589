"""`malmoi users`: understand users by what they did: logs, recommendation, vectors, graphs."""

from collections.abc import Mapping

import click

from malmoi.cli import LazyGroup

# name -> (where it is, what it does), in the order of the help.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "graph": ("malmoi.cli.users.graph:graph", "Classify the nodes of a graph, seed by seed."),
    "index": ("malmoi.cli.users.index:index", "Encode all users into a collection."),
    "refresh": ("malmoi.cli.users.refresh:refresh", "Encode users with new events again."),
    "collections": ("malmoi.cli.users.collections:collections", "List collections, or go back a version."),
    "campaign": ("malmoi.cli.users.campaign:campaign", "Learn from answers who will answer a campaign."),
    "forget": ("malmoi.cli.users.forget:forget", "Take users out of a collection for good."),
}


@click.group(cls=LazyGroup, table=COMMANDS)
def users() -> None:
    """Understand users by what they did: recommendation, user vectors, graphs."""
