"""`malmoi documents search`."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import click

from malmoi.cli.documents.opening import account_option, open_documents
from malmoi.cli.options import config_options, home_option, read_settings

_SHOWN = 300  # characters of a passage


@click.command()
@click.argument("query")
@click.option(
    "--collection", "names", multiple=True, metavar="NAME", help="Only in these. Repeatable.  [default: all]"
)
@click.option("--limit", type=click.IntRange(1, 50), default=5, show_default=True, help="Most passages.")
@click.option("--json", "as_json", is_flag=True, help="Print whole passages as JSON lines.")
@account_option
@home_option
@config_options
def search(
    query: str,
    names: tuple[str, ...],
    limit: int,
    as_json: bool,
    account: str | None,
    home: Path,
    config_file: Path | None,
    overrides: Sequence[str],
) -> None:
    """Find passages for a question."""
    settings = read_settings(home, config_file, overrides)

    async def run() -> None:
        async with open_documents(settings, account) as opened:
            chosen = [(await opened.collection(name)).id for name in names]
            hits = await opened.documents.search(opened.principal, query, collections=chosen, limit=limit)
            for number, hit in enumerate(hits, start=1):
                if as_json:
                    row = {
                        "document": hit.document_id,
                        "name": hit.name,
                        "start": hit.passage.start,
                        "end": hit.passage.end,
                        "place": hit.passage.place,
                        "headings": hit.passage.headings,
                        "text": hit.text,
                        "score": hit.score,
                        "ranks": dict(hit.ranks),
                    }
                    click.echo(json.dumps(row, ensure_ascii=False))
                    continue
                where = " > ".join(
                    part for part in (hit.name, *hit.passage.headings, hit.passage.place) if part
                )
                ranks = ", ".join(f"{name} {rank}" for name, rank in sorted(hit.ranks.items()))
                click.echo(click.style(f"{number}. {where}", bold=True) + f"  ({ranks})")
                text = " ".join(hit.text.split())
                click.echo(f"   {text[:_SHOWN]}{'…' if len(text) > _SHOWN else ''}")
            if not hits and not as_json:
                click.echo("Nothing was found.", err=True)

    asyncio.run(run())
