"""Options that several commands share."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from malmoi.serve.settings import ServeSettings

F = TypeVar("F", bound=Callable[..., Any])

# MALMOI_* variables that are not settings of the configuration tree.
RESERVED = ("MALMOI_CONFIG", "MALMOI_API_KEY", "MALMOI_SCREENSHOTS")


def home_option(command: F) -> F:
    """`--home DIR`: where everything lies that Malmoi writes; the path is absolute."""
    return click.option(
        "--home",
        envvar="MALMOI_HOME",
        default="~/.malmoi",
        show_default=True,
        callback=lambda _context, _option, value: Path(value).expanduser().resolve(),
        help="Directory under which everything lies that Malmoi writes.",
    )(command)


def config_options(command: F) -> F:
    """`--config FILE` and `--set a.b=c`."""
    command = click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        help="Set one setting, such as http.port=9000. Repeatable. `malmoi config` lists them.",
    )(command)
    return click.option(
        "--config",
        "config_file",
        envvar="MALMOI_CONFIG",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Configuration file.  [default: HOME/malmoi.toml if it exists]",
    )(command)


def read_settings(home: Path, config_file: Path | None, overrides: Sequence[str]) -> "ServeSettings":
    """The server's settings from all their sources; `home` comes from its own option."""
    from malmoi.core.config import load_config
    from malmoi.serve.settings import ServeSettings

    usual = home / "malmoi.toml"
    file = config_file or (usual if usual.is_file() else None)
    reserved = [*RESERVED, *(name for name in os.environ if name.startswith("MALMOI_TEST_"))]
    settings = load_config(
        ServeSettings, file=file, environ=os.environ, overrides=overrides, reserved=reserved
    )
    return settings.model_copy(update={"home": home})
