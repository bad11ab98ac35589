"""`malmoi routers import` and `export`."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from malmoi.cli.options import config_options, home_option, read_settings
from malmoi.cli.routers.opening import account_option, open_routers

if TYPE_CHECKING:
    from malmoi.serve.routers.files import Form
    from malmoi.serve.routers.types import RouterDetail


@click.command("import")
@click.argument("file", type=click.File(encoding="utf-8"))
@click.option("--name", help="Of the router.  [default: as the file says]")
@click.option("--replace", is_flag=True, help="A router of that name gets this content; its versions stay.")
@account_option
@home_option
@config_options
def import_router(
    file: TextIO,
    name: str | None,
    replace: bool,
    account: str | None,
    home: Path,
    config_file: Path | None,
    overrides: Sequence[str],
) -> None:
    """Make or replace a router from a file; - is standard input.

    The file is what `malmoi routers export` writes, or lines by hand:

    \b
      {"name": "front desk", "safety": false}
      {"domain": "weather", "description": "weather and forecasts"}
      {"domain": "weather", "text": "will it rain in Seoul tomorrow"}
      {"blocked": "elections", "text": "who will win"}
      {"text": "recommend a novel"}
    """  # noqa: D301 - \b is click's mark for text that keeps its lines
    from malmoi.core.errors import InvalidInput
    from malmoi.serve.identity.accounts import name_key
    from malmoi.serve.routers.files import read_text
    from malmoi.serve.routers.types import RouterPatch

    settings = read_settings(home, config_file, overrides)
    try:
        wanted = read_text(file.read(), name=name)
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file.name} is no UTF-8 text.") from error
    except InvalidInput as error:
        raise InvalidInput(f"{file.name}: {error.message}", fix=error.fix) from error

    async def run() -> None:
        async with open_routers(settings, account) as opened:
            store, owner = opened.routers.store, opened.principal.account_id
            key = name_key(wanted.name)
            same = [one for one in await store.all(owner) if name_key(one.name) == key]
            if same and replace:
                patch = RouterPatch(description=wanted.description, content=wanted.content)
                click.echo(_told("Replaced", await store.change(owner, same[0].id, patch)))
            else:
                click.echo(_told("Made", await store.create(owner, wanted)))

    asyncio.run(run())


@click.command()
@click.argument("name")
@click.option("--version", type=click.IntRange(1), help="Which version.  [default: the router as it is]")
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "jsonl"]),
    default="json",
    show_default=True,
    help="One object, or a line for each example.",
)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Where to.  [default: standard output]"
)
@account_option
@home_option
@config_options
def export(
    name: str,
    version: int | None,
    form: "Form",
    out: Path | None,
    account: str | None,
    home: Path,
    config_file: Path | None,
    overrides: Sequence[str],
) -> None:
    """Write a router, or a version of it, to a file."""
    from malmoi.core.files import write_text
    from malmoi.serve.routers.files import to_text

    settings = read_settings(home, config_file, overrides)

    async def run() -> None:
        async with open_routers(settings, account) as opened:
            store, owner = opened.routers.store, opened.principal.account_id
            known = await store.get(owner, (await opened.router(name)).id)
            content = known.content
            if version is not None:
                content = (await store.version(owner, known.id, version)).content
            text = to_text(known.name, known.description, content, form)
            if out is None:
                click.echo(text, nl=False)
            else:
                write_text(out, text)
                click.echo(f"Wrote {out}.", err=True)

    asyncio.run(run())


def _told(done: str, router: "RouterDetail") -> str:
    content = router.content
    topics = [*content.domains, *content.blocked]
    examples = len(content.others) + sum(len(one.examples) for one in topics)
    return (
        f"{done} {router.name!r}: {len(content.domains)} domains, {len(content.blocked)} blocked subjects,"
        f" {examples} examples."
    )
