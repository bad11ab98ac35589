"""`malmoi documents`: collections of documents on the command line."""

from collections.abc import Mapping

import click

from malmoi.cli import LazyGroup

# name -> (where it is, what it does), in the order of the help.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "add": ("malmoi.cli.documents.adding:add", "Add files and folders to a collection, and index them."),
    "list": ("malmoi.cli.documents.listing:list_documents", "List collections, or the documents of one."),
    "search": ("malmoi.cli.documents.searching:search", "Find passages for a question."),
    "ask": ("malmoi.cli.documents.asking:ask", "Answer a question, with citations."),
    "remove": ("malmoi.cli.documents.removing:remove", "Delete documents, or a whole collection."),
    "reindex": ("malmoi.cli.documents.adding:reindex", "Read and index documents anew."),
    "evaluate": (
        "malmoi.cli.documents.evaluating:evaluate",
        "Measure how questions find their answers.",
    ),
    "answers": (
        "malmoi.cli.documents.answers:answers",
        "Measure which questions are refused, and what citations hold.",
    ),
}


@click.group(cls=LazyGroup, table=COMMANDS)
def documents() -> None:
    """Keep documents, and find what they say.

    A server may run meanwhile: it then indexes what is added here. Files lie under the home, by the digest of
    their content.
    """
