"""`malmoi users`: understand users by what they did: logs, recommendation, vectors, graphs."""

from collections.abc import Mapping

import click

from malmoi.cli import LazyGroup

# name -> (where it is, what it does), in the order of the help.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "import": ("malmoi.cli.users.importing:import_", "Make logs of files of events."),
    "simulate": ("malmoi.cli.users.simulate:simulate", "Simulate a company with a known best ranking."),
    "fit": ("malmoi.cli.users.fit:fit", "Fit a model to logs."),
    "eval": ("malmoi.cli.users.evaluate:evaluate", "Rank held-out events by models and baselines."),
    "recommend": ("malmoi.cli.users.recommend:recommend", "Rank items for a history, known or not."),
    "encode": ("malmoi.cli.users.encode:encode", "Write a vector of each user."),
    "probe": ("malmoi.cli.users.probe:probe", "Foretell a trait of users from a model's vectors."),
    "scaling": ("malmoi.cli.users.scaling:scaling", "Fit how vectors get better with compute."),
    "use": ("malmoi.cli.users.use:use", "Show a use, from simulated logs to a figure."),
    "graph": ("malmoi.cli.users.graph:graph", "Classify the nodes of a graph, seed by seed."),
    "index": ("malmoi.cli.users.index:index", "Encode all users into a collection."),
    "refresh": ("malmoi.cli.users.refresh:refresh", "Encode users with new events again."),
    "collections": ("malmoi.cli.users.collections:collections", "List collections, or go back a version."),
    "campaign": ("malmoi.cli.users.campaign:campaign", "Learn from answers who will answer a campaign."),
    "study": ("malmoi.cli.users.study:study", "Compare variants of a method under one budget."),
    "forget": ("malmoi.cli.users.forget:forget", "Take users out of a collection for good."),
}


@click.group(cls=LazyGroup, table=COMMANDS)
def users() -> None:
    """Understand users by what they did: recommend, encode, classify."""
