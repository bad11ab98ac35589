"""The options by which `fit` and `eval` say what is held back; both must say the same."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

_SHARE = 0.1
F = TypeVar("F", bound=Callable[..., Any])


def split_options(command: F) -> F:
    """`--split`, `--share`, `--split-seed` and `--time`."""
    command = click.option("--time", type=int, help="Of --split time: seconds since 1970 UTC.")(command)
    command = click.option(
        "--split-seed",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        help="Of --split users: which users are held out.",
    )(command)
    command = click.option(
        "--share", type=float, default=_SHARE, show_default=True, help="Of --split users: share held out."
    )(command)
    return click.option(
        "--split",
        type=click.Choice(["leave-one-out", "users", "time"]),
        default="leave-one-out",
        show_default=True,
        help="What is held back: everybody's last event, some users whole, or what came after a time.",
    )(command)


def split_table(method: str, share: float, split_seed: int, time: int | None) -> dict[str, Any]:
    """As `SplitSettings` reads it.

    Raises:
        InvalidInput: a split at a time without the time.
    """
    if method == "time" and time is None:
        from malmoi.core.errors import InvalidInput

        raise InvalidInput("--split time needs a time.", fix="Give --time, in seconds since 1970 UTC.")
    table: dict[str, Any] = {"method": method, "share": share, "seed": split_seed}
    if time is not None:
        table["time"] = time
    return table


def split_words(method: str, share: float, split_seed: int, time: int | None) -> str:
    """The options that ask for the same split again, with a space before each; none for the default."""
    if method == "users":
        words = " --split users" + ("" if share == _SHARE else f" --share {share:g}")
        return words + (f" --split-seed {split_seed}" if split_seed else "")
    return f" --split time --time {time}" if method == "time" else ""
