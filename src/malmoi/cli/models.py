"""`malmoi models`: which models there are, and how they come and go."""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from malmoi.cli.options import home_option

if TYPE_CHECKING:
    from malmoi.engine.catalog import Catalog, ModelCard

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


@click.group()
def models() -> None:
    """List, add, verify and remove models."""


@models.command("ls")
@_json_option
@home_option
def list_models(as_json: bool, home: Path) -> None:
    """List the models of the catalog and those that are installed."""
    catalog = _catalog(home)
    cards = catalog.entries()
    if as_json:
        _print_json([_summary(catalog, card) for card in cards])
        return
    rows = [("NAME", "STATE", "SIZE", "CONTEXT", "LICENSE", "TITLE")]
    for card in cards:
        state = "installed" if catalog.installed(card.name) else "available"
        context = str(card.context_length or "-")
        size = f"{card.size_bytes / 1e6:,.0f} MB" if card.size_bytes else "-"
        rows.append((card.name, state, size, context, card.license or "-", card.title))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@models.command()
@click.argument("ref")
@click.option("--name", help="Name in the catalog.  [default: made from REF]")
@click.option("--sha256", help="Checksum that the file must have.")
@click.option("--copy", is_flag=True, help="Copy the files of a path: instead of using them in place.")
@click.option("--dry-run", is_flag=True, help="Only show what would be downloaded, how much, and where to.")
@_json_option
@home_option
def add(
    ref: str, name: str | None, sha256: str | None, copy: bool, dry_run: bool, as_json: bool, home: Path
) -> None:
    """Download or register a model, check it and install it.

    \b
    REF is one of
      standard                             an entry of the catalog
      hf:ORG/NAME[@REVISION][/FILE.gguf]   a model of the hub
      path:FILE.gguf, path:DIR             files of this machine
      https://HOST/FILE.gguf               one GGUF file

    An interrupted download goes on where it stopped when the same command is run again.
    """  # noqa: D301 - \b is click's mark for text that keeps its lines
    catalog = _catalog(home)
    if dry_run:
        _show_plan(catalog, ref, name=name, sha256=sha256, copy=copy, as_json=as_json)
        return
    from malmoi.cli.progress import download_progress

    wanted = catalog.wanted(ref, name=name, sha256=sha256)
    with download_progress(wanted.card.name) as report:
        card = asyncio.run(catalog.add(ref, name=name, sha256=sha256, copy=copy, progress=report))
    if as_json:
        _print_json(_summary(catalog, card))
    else:
        click.echo(f"{card.name} is installed: {catalog.path(card.name)}")


@models.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@_json_option
@home_option
def verify(names: tuple[str, ...], as_json: bool, home: Path) -> None:
    """Compare every file of a model with its checksum and check it again; without NAME: all models."""
    from malmoi.core.errors import MalmoiError

    catalog = _catalog(home)
    chosen = names or tuple(card.name for card in catalog.entries() if catalog.installed(card.name))
    results, failed = [], None
    for name in chosen:
        try:
            asyncio.run(catalog.verify(name))
        except MalmoiError as error:
            failed = failed or error
            results.append({"name": name, "ok": False, "error": error.message, "fix": error.fix})
        else:
            results.append({"name": name, "ok": True, "error": None, "fix": None})
        if not as_json:
            click.echo(f"{name}: {'whole' if results[-1]['ok'] else results[-1]['error']}")
    if as_json:
        _print_json(results)
    elif not chosen:
        click.echo("No models are installed.")
    if failed is not None:
        raise failed


@models.command("rm")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@home_option
def remove(name: str, yes: bool, home: Path) -> None:
    """Remove an installed model; files that are used in place stay."""
    catalog = _catalog(home)
    if not yes:
        click.confirm(f"Remove {name} from {catalog.destination(name)}?", abort=True)
    catalog.remove(name)
    click.echo(f"Removed {name}.")


@models.command()
@click.argument("name")
@_json_option
@home_option
def info(name: str, as_json: bool, home: Path) -> None:
    """Show everything that is known of a model."""
    catalog = _catalog(home)
    card = catalog.info(name)
    if as_json:
        _print_json(_summary(catalog, card) | card.model_dump(mode="json"))
        return
    shown: list[tuple[str, Any]] = [
        ("name", card.name),
        ("title", card.title),
        ("description", card.description),
        ("state", "installed" if catalog.installed(name) else "available"),
        ("files", catalog.path(name) if catalog.installed(name) else None),
        ("source", card.source),
        ("license", card.license),
        ("languages", ", ".join(card.languages)),
        ("size", f"{card.size_bytes:,} bytes" if card.size_bytes else None),
        ("sha256", card.sha256),
        ("architecture", card.architecture),
        ("parameters", f"{card.parameters:,}" if card.parameters else None),
        ("weights", card.quantization),
        ("context", f"{card.context_length:,} tokens" if card.context_length else None),
        ("vocabulary", f"{card.vocab_size:,} tokens" if card.vocab_size else None),
        ("can", ", ".join(card.capabilities) + (" (base model)" if card.base else "")),
        ("begins with", _token(card.bos_token, card.bos_id)),
        ("ends with", _token(card.eos_token, card.eos_id)),
        ("control tokens", len(card.special_tokens) or None),
        ("chat template", f"{len(card.chat_template)} characters" if card.chat_template else None),
    ]
    for label, value in shown:
        if value not in (None, ""):
            click.echo(f"{label:<15}{value}")


def _show_plan(
    catalog: "Catalog", ref: str, *, name: str | None, sha256: str | None, copy: bool, as_json: bool
) -> None:
    import shutil

    from malmoi.engine.catalog.fetch import plan
    from malmoi.engine.catalog.source import PathSource

    wanted = catalog.wanted(ref, name=name, sha256=sha256)
    found = asyncio.run(plan(wanted.source, wanted.card.size_bytes))
    target = catalog.destination(wanted.card.name)
    in_place = isinstance(wanted.source, PathSource) and not copy
    free = shutil.disk_usage(next(path for path in (target, *target.parents) if path.exists())).free
    told = {
        "name": wanted.card.name,
        "source": wanted.card.source,
        "items": list(found.items),
        "size_bytes": found.size_bytes,
        "destination": str(target),
        "in_place": in_place,
        "free_bytes": free,
        "installed": catalog.installed(wanted.card.name),
    }
    if as_json:
        _print_json(told)
        return
    size = f"{found.size_bytes / 1e6:,.0f} MB" if found.size_bytes else "of unknown size"
    what = "would be used in place" if in_place else f"would be put into {target}"
    click.echo(f"{wanted.card.name}: {len(found.items)} item(s), {size}, {what}")
    click.echo(f"({free / 1e6:,.0f} MB are free there)")
    for item in found.items:
        click.echo(f"  {item}")
    if told["installed"]:
        click.echo("It is installed already; nothing would be done.")


def _catalog(home: Path) -> "Catalog":
    from malmoi.engine.catalog import Catalog

    return Catalog(home)


def _summary(catalog: "Catalog", card: "ModelCard") -> dict[str, Any]:
    installed = catalog.installed(card.name)
    return {
        "name": card.name,
        "title": card.title,
        "installed": installed,
        "path": str(catalog.path(card.name)) if installed else None,
        "size_bytes": card.size_bytes,
        "context_length": card.context_length,
        "license": card.license,
        "capabilities": list(card.capabilities),
        "source": card.source,
    }


def _token(text: str | None, number: int | None) -> str | None:
    return None if text is None else f"{text} ({number})"


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))
