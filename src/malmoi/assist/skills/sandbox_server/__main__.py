"""Run the sandbox alone: `python -m malmoi.assist.skills.sandbox_server --port 8799`."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from malmoi.core.files import write_text


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8799, show_default=True, help="The port to listen on.")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("sandbox"),
    show_default=True,
    help="Where bookings are kept.",
)
@click.option(
    "--openapi",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the OpenAPI documents beneath this folder (<name>/openapi.json) and end.",
)
def main(host: str, port: int, folder: Path, openapi: Path | None) -> None:
    """Serve sample places, rental cars and weather for trying skills."""
    from malmoi.assist.skills.sandbox_server.app import openapi_documents

    if openapi is not None:
        for name, document in openapi_documents().items():
            text = json.dumps(document, ensure_ascii=False, indent=2)
            write_text(openapi / name / "openapi.json", text + "\n")
        return
    _serve(host, port, folder)


def _serve(host: str, port: int, folder: Path) -> None:
    from granian import Granian
    from granian.constants import Interfaces

    from malmoi.assist.skills.sandbox_server.app import sandbox_app

    def load(_target: str) -> Callable[..., Any]:
        return sandbox_app(folder)

    click.echo(f"http://{host}:{port}/", file=sys.stderr)
    Granian(
        "malmoi.assist.skills.sandbox_server.app", address=host, port=port, interface=Interfaces.ASGI
    ).serve(target_loader=load)


if __name__ == "__main__":
    main()
