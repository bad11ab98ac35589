"""`malmoi routers`: routers on the command line."""

from collections.abc import Mapping

import click

from malmoi.cli import LazyGroup

# name -> (where it is, what it does), in the order of the help.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "list": ("malmoi.cli.routers.listing:list_routers", "List routers."),
    "show": ("malmoi.cli.routers.listing:show", "Show a router, its versions and what was measured."),
    "import": ("malmoi.cli.routers.files:import_router", "Make or replace a router from a file."),
    "export": ("malmoi.cli.routers.files:export", "Write a router, or a version of it, to a file."),
    "try": ("malmoi.cli.routers.trying:try_query", "Tell what a query is for, and why."),
    "freeze": ("malmoi.cli.routers.trying:freeze", "Make a version, and measure it on its own examples."),
    "remove": ("malmoi.cli.routers.removing:remove", "Delete a router with its versions."),
}


@click.group(cls=LazyGroup, table=COMMANDS)
def routers() -> None:
    """Tell, by example queries, which domain a query is for.

    Also what is not answered. NAME is a router's name or id. A server may run meanwhile.
    """
