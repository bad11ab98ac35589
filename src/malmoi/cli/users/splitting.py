"""The options by which `fit` and `eval` say what is held back; both must say the same."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def split_options(command: F) -> F:
    """`--split`, `--share` and `--time`."""
    command = click.option("--time", type=int, help="Of --split time: seconds since 1970 UTC.")(command)
    command = click.option(
        "--share", type=float, default=0.1, show_default=True, help="Of --split users: share held out."
    )(command)
    return click.option(
        "--split",
        type=click.Choice(["leave-one-out", "users", "time"]),
        default="leave-one-out",
        show_default=True,
        help="What is held back: everybody's last event, some users whole, or what came after a time.",
    )(command)


def split_table(method: str, share: float, time: int | None) -> dict[str, Any]:
    """As `SplitSettings` reads it."""
    table: dict[str, Any] = {"method": method, "share": share}
    if time is not None:
        table["time"] = time
    return table
