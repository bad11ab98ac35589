"""`malmoi evals`: judge a model, look at the answers, compare, and study how it learns from examples."""

from collections.abc import Mapping

import click

from malmoi.cli import LazyGroup

# name -> (where it is, what it does), in the order of the help.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "run": ("malmoi.cli.evals.run:run", "Judge a model on a suite of tasks."),
    "tasks": ("malmoi.cli.evals.list:tasks", "List the tasks, and whether their files are on disk."),
    "suites": ("malmoi.cli.evals.list:suites", "List the suites."),
    "show": ("malmoi.cli.evals.show:show", "Show an evaluation: figures, intervals, what to know."),
    "compare": ("malmoi.cli.evals.compare:compare", "Compare two models item by item."),
    "judge": ("malmoi.cli.evals.judge:judge", "Let a model judge the conversations of others."),
    "leaderboard": ("malmoi.cli.evals.leaderboard:leaderboard", "Show all models side by side."),
    "contamination": ("malmoi.cli.evals.contamination:contamination", "Find what a corpus saw of a suite."),
    "labels": ("malmoi.cli.evals.labels:labels", "Do the labels of demonstrations matter to a model?"),
    "corpora": ("malmoi.cli.evals.corpora:corpora", "What do the sources of its text teach a model?"),
}


@click.group(cls=LazyGroup, table=COMMANDS)
def evals() -> None:
    """Judge a model: benchmarks with intervals, every answer kept."""
