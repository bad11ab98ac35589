"""`malmoi routers try` and `freeze`."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from malmoi.cli.options import config_options, home_option, read_settings
from malmoi.cli.routers.opening import account_option, open_routers, share_text

if TYPE_CHECKING:
    from malmoi.serve.routers.types import PartFigures, TopicScore


@click.command("try")
@click.argument("name")
@click.argument("query")
@click.option("--version", type=click.IntRange(1), help="By which version.  [default: the router as it is]")
@click.option(
    "--before", multiple=True, metavar="TEXT", help="What the person said before. Repeatable, oldest first."
)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@account_option
@home_option
@config_options
def try_query(
    name: str,
    query: str,
    version: int | None,
    before: tuple[str, ...],
    as_json: bool,
    account: str | None,
    home: Path,
    config_file: Path | None,
    overrides: Sequence[str],
) -> None:
    """Tell what a query is for, and why.

    A domain is chosen if its score is the highest and reaches the threshold, a blocked subject if its score
    reaches it. Counts as usage, as any request to a router.
    """
    settings = read_settings(home, config_file, overrides)

    async def run() -> None:
        async with open_routers(settings, account) as opened:
            routers, owner = opened.routers, opened.principal.account_id
            known = await opened.router(name)
            if version is None:
                content = (await routers.store.get(owner, known.id)).content
            else:
                content = (await routers.store.version(owner, known.id, version)).content
            trace = await routers.route(opened.principal, content, query, before)
            if as_json:
                told = trace.model_dump(mode="json", exclude={"figures"})
                click.echo(json.dumps(told, ensure_ascii=False))
                return
            click.echo(f"domain: {trace.domain or 'none'}")
            _show_scores(trace.domains, [trace.domain], trace.figures.domains)
            if trace.figures.blocked is not None:
                click.echo(f"blocked: {', '.join(trace.blocked) or 'none'}")
                _show_scores(trace.filters, trace.blocked, trace.figures.blocked)
            if content.safety:
                click.echo(f"safety: {', '.join(trace.safety) or 'nothing was found'}")

    asyncio.run(run())


@click.command()
@click.argument("name")
@account_option
@home_option
@config_options
def freeze(
    name: str, account: str | None, home: Path, config_file: Path | None, overrides: Sequence[str]
) -> None:
    """Make a version, and measure it on its own examples.

    Where nothing has changed since the last version, that one is told.
    """
    settings = read_settings(home, config_file, overrides)

    async def run() -> None:
        async with open_routers(settings, account) as opened:
            made = await opened.routers.freeze(opened.principal.account_id, (await opened.router(name)).id)
            click.echo(f"version {made.number}")
            for kind, part in (("domains", made.figures.domains), ("blocked", made.figures.blocked)):
                if part is not None:
                    told = f"found {share_text(part.found)}, left alone {share_text(part.left_alone)}"
                    click.echo(f"{kind}: {told}")

    asyncio.run(run())


def _show_scores(
    scores: Sequence["TopicScore"], chosen: Sequence[str], figures: "PartFigures | None"
) -> None:
    for one in scores:
        mark = "->" if one.name in chosen else "  "
        click.echo(f"{mark} {one.margin:5.2f}  {one.name}  (nearest: {one.nearest})")
    if figures is not None:
        click.echo(f"   {figures.threshold:5.2f}  is the threshold")
