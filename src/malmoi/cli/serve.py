"""`malmoi serve`: the gateway and the apps."""

from collections.abc import Sequence
from pathlib import Path

import click

from malmoi.cli.options import config_options, home_option, read_settings


@click.command()
@click.option(
    "--model",
    metavar="NAME",
    help="Model that answers by default: a name of `malmoi models ls`, or a reference such as "
    "http://host/v1#model.  [default: standard]",
)
@click.option(
    "--host",
    metavar="ADDRESS",
    help="Address to listen on; any but loopback needs an account first.  [default: 127.0.0.1]",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.  [default: 8080]"
)
@home_option
@config_options
@click.option("--open", "open_browser", is_flag=True, help="Open the chat in a browser once it is ready.")
def serve(
    model: str | None,
    host: str | None,
    port: int | None,
    home: Path,
    config_file: Path | None,
    overrides: Sequence[str],
    open_browser: bool,
) -> None:
    """Open the apps and the APIs.

    The chat is at http://127.0.0.1:8080, the OpenAI API at /v1, the Studio API at /v1/chat-completions/MODEL
    and /v3/chat-completions/MODEL. A model that is not here yet is downloaded first; the browser shows how
    far it is. On loopback no log-in is needed until somebody has a password (malmoi accounts add NAME).
    """
    from malmoi.core.registry import Registry
    from malmoi.serve.app import App
    from malmoi.serve.server import run

    chosen = [f"models.default={model}"] if model else []
    chosen += [f"http.host={host}"] if host else []
    chosen += [f"http.port={port}"] if port is not None else []
    settings = read_settings(home, config_file, [*overrides, *chosen])
    registry: Registry[App] = Registry("app")
    apps = [registry.get(name) for name in registry.names()]

    def ready(address: str) -> None:
        click.echo(f"Malmoi is at {address}  (Ctrl+C stops it)")
        if open_browser:
            click.launch(address)

    run(settings, apps=apps, on_ready=ready)
