"""`malmoi mcp`: documents, skills and models for desktop clients, over standard input and output."""

import asyncio
import os
from pathlib import Path

import click

from malmoi.core.errors import InvalidInput


@click.command()
@click.option(
    "--url",
    default="http://127.0.0.1:8080",
    show_default=True,
    metavar="URL",
    help="Address of the running server.",
)
@click.option(
    "--key-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with an API key.  [default: the variable MALMOI_API_KEY; neither: no key]",
)
def mcp(url: str, key_file: Path | None) -> None:
    """Serve documents and skills to desktop clients (MCP).

    On standard input and output, from a running server, for clients that start their servers themselves;
    others use URL/mcp directly. The client sees what the
    key may: search_documents, read_document and list_collections with the right `documents`, run_skill and
    list_skills with `skills`, list_models with `inference`. Nothing that it can call changes anything.
    """
    from malmoi.serve.mcp.bridge import serve_stdio

    # No option takes the key itself: everybody on the machine can read command lines.
    key = os.environ.get("MALMOI_API_KEY", "").strip()
    if key_file is not None:
        try:
            key = key_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"--key-file {key_file}: it cannot be read: {error}.") from error
    if not key.isascii() or not key.isprintable() or " " in key:
        raise InvalidInput("the API key holds signs that no key has.", fix="Copy it again.")
    asyncio.run(serve_stdio(url, key))
