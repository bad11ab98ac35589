"""`malmoi config`: every setting, its value here, and what it does."""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from malmoi.cli.options import config_options, home_option, read_settings


@click.command()
@home_option
@config_options
@click.option("--json", "as_json", is_flag=True, help="Print the settings as JSON.")
def config(home: Path, config_file: Path | None, overrides: Sequence[str], as_json: bool) -> None:
    """Show every setting, its present value, and what it does.

    A setting comes from the configuration file, then from the environment (http.port is MALMOI_HTTP__PORT),
    then from --set; the later one wins.
    """
    from malmoi.core.config import describe
    from malmoi.serve.settings import ServeSettings

    settings = read_settings(home, config_file, overrides)
    values = settings.model_dump(mode="json")
    if as_json:
        click.echo(json.dumps(values, ensure_ascii=False, indent=2))
        return
    for path, default, text in describe(ServeSettings):
        value = values
        for part in path.split("."):
            value = value[part]
        shown = json.dumps(value, ensure_ascii=False)
        changed = "" if str(value) == default or value in (None, [], {}) else "  (changed)"
        click.echo(f"{click.style(path, bold=True)} = {shown}{changed if path != 'home' else ''}\n    {text}")
