"""`malmoi routers list` and `show`."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from malmoi.cli.options import config_options, home_option, read_settings
from malmoi.cli.routers.opening import account_option, open_routers, share_text

if TYPE_CHECKING:
    from malmoi.serve.routers.types import Content, Figures, TopicBody

_MISSES = 20  # that are shown of each part


@click.command("list")
@account_option
@home_option
@config_options
def list_routers(account: str | None, home: Path, config_file: Path | None, overrides: Sequence[str]) -> None:
    """List routers."""
    settings = read_settings(home, config_file, overrides)

    async def run() -> None:
        async with open_routers(settings, account) as opened:
            store, owner = opened.routers.store, opened.principal.account_id
            for one in await store.all(owner):
                content = (await store.get(owner, one.id)).content
                click.echo(f"{one.name}  {one.id}  {_counted(content)}  {one.versions} versions")

    asyncio.run(run())


@click.command()
@click.argument("name")
@click.option("--version", type=click.IntRange(1), help="Of which version.  [default: the router as it is]")
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
@account_option
@home_option
@config_options
def show(
    name: str,
    version: int | None,
    as_json: bool,
    account: str | None,
    home: Path,
    config_file: Path | None,
    overrides: Sequence[str],
) -> None:
    """Show a router, its versions and what was measured.

    Each example is left out in its turn: "found" says how many are told for what they are, and "left alone"
    for how many other texts nothing is found.
    """
    settings = read_settings(home, config_file, overrides)

    async def run() -> None:
        async with open_routers(settings, account) as opened:
            store, owner = opened.routers.store, opened.principal.account_id
            known = await store.get(owner, (await opened.router(name)).id)
            frozen = await store.version(owner, known.id, version) if version is not None else None
            if as_json:
                told = frozen if frozen is not None else known
                click.echo(json.dumps(told.model_dump(mode="json"), ensure_ascii=False))
                return
            click.echo(f"{known.name}  {known.id}" + (f"  version {version}" if version else ""))
            if known.description:
                click.echo(known.description)
            _show_content(frozen.content if frozen is not None else known.content)
            if frozen is not None:
                _show_figures(frozen.figures)
                return
            for one in await store.versions(owner, known.id):
                click.echo(f"version {one.number}  {one.created_at:%Y-%m-%d %H:%M}{_summed(one.figures)}")

    asyncio.run(run())


def _counted(content: "Content") -> str:
    topics = [*content.domains, *content.blocked]
    examples = len(content.others) + sum(len(one.examples) for one in topics)
    return f"{len(content.domains)} domains  {len(content.blocked)} blocked  {examples} examples"


def _show_content(content: "Content") -> None:
    def line(kind: str, topic: "TopicBody") -> str:
        about = f"  {topic.description}" if topic.description else ""
        return f"{kind} {topic.name}: {len(topic.examples)} examples{about}"

    for topic in content.domains:
        click.echo(line("domain", topic))
    for topic in content.blocked:
        click.echo(line("blocked", topic))
    usual = ", and the usual ones" if content.usual_others else ""
    click.echo(f"others: {len(content.others)}{usual}")
    click.echo(f"safety: {'on' if content.safety else 'off'}")


def _show_figures(figures: "Figures") -> None:
    for kind, part in (("domains", figures.domains), ("blocked", figures.blocked)):
        if part is None:
            continue
        click.echo(f"{kind}: found {share_text(part.found)}, left alone {share_text(part.left_alone)}")
        for topic, share in part.topics.items():
            click.echo(f"  {topic}: {share_text(share)}")
        for miss in part.misses[:_MISSES]:
            own, taken = miss.topic or "none", miss.taken_for or "none"
            click.echo(f"  {miss.text!r} is for {own}, taken for {taken}")
        if len(part.misses) > _MISSES:
            click.echo(f"  and {len(part.misses) - _MISSES} more")


def _summed(figures: "Figures") -> str:
    parts = (("domains", figures.domains), ("blocked", figures.blocked))
    return "".join(
        f"  {kind} found {part.found.count} of {part.found.total},"
        f" left alone {part.left_alone.count} of {part.left_alone.total}"
        for kind, part in parts
        if part is not None
    )
