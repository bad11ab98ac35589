"""`malmoi documents add` and `reindex`."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from malmoi.cli.documents.opening import account_option, open_documents, size_of
from malmoi.cli.options import config_options, home_option, read_settings

if TYPE_CHECKING:
    from malmoi.cli.documents.opening import Opened

_CHUNK = 1 << 20
_POLL = 0.3


@dataclass(frozen=True, slots=True)
class Found:
    """A file to be added, and what it will be called."""

    path: Path
    name: str
    size: int
    title: str
    """Of its format."""


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--collection", required=True, metavar="NAME", help="Where they belong; made if need be.")
@account_option
@click.option("--dry-run", is_flag=True, help="Only tell what would be read.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@home_option
@config_options
def add(
    paths: tuple[Path, ...],
    collection: str,
    account: str | None,
    dry_run: bool,
    quiet: bool,
    home: Path,
    config_file: Path | None,
    overrides: Sequence[str],
) -> None:
    """Add files and folders to a collection, and index them.

    Of folders, every file is taken whose format is known; hidden ones are left out. The same content is in a
    collection once, and a file with the name of an older one takes its place.
    """
    settings = read_settings(home, config_file, overrides)
    files, skipped = collect_files(paths)
    if dry_run:
        for file in files:
            click.echo(f"{file.name}  {file.title}  {size_of(file.size)}")
        total = size_of(sum(file.size for file in files))
        click.echo(f"{len(files)} files, {total}; {skipped} of other formats are left out.", err=True)
        return

    async def run() -> int:
        async with open_documents(settings, account) as opened:
            return await _add(opened, collection, files, skipped, quiet)

    failed = asyncio.run(run())
    if failed:
        raise SystemExit(1)


@click.command()
@click.option("--collection", required=True, metavar="NAME", help="Which collection.")
@click.option("--failed", "only_failed", is_flag=True, help="Only documents that could not be indexed.")
@account_option
@click.option("--quiet", is_flag=True, help="Show no progress.")
@home_option
@config_options
def reindex(
    collection: str,
    only_failed: bool,
    account: str | None,
    quiet: bool,
    home: Path,
    config_file: Path | None,
    overrides: Sequence[str],
) -> None:
    """Read and index the documents of a collection anew, such as after documents.embedder has changed."""
    settings = read_settings(home, config_file, overrides)

    async def run() -> None:
        async with open_documents(settings, account) as opened:
            found = await opened.collection(collection)
            library = opened.documents.library
            count = await library.again_all(opened.principal, found.id, only_failed=only_failed)
            await wait_until_indexed(opened, found.id, count, quiet=quiet)
            click.echo(f"Indexed {count} documents of {found.name!r} anew.")

    asyncio.run(run())


def collect_files(paths: Sequence[Path]) -> tuple[list[Found], int]:
    """The files to be added, and how many files of folders are of no known format."""
    from malmoi.assist.retrieval.parsing.formats import by_extension

    found: list[Found] = []
    skipped = 0
    for path in paths:
        if path.is_file():
            known = by_extension(path.name)
            title = known.title if known else "by its content"
            found.append(Found(path, path.name, path.stat().st_size, title))
            continue
        root = path.resolve()
        for file in sorted(root.rglob("*")):
            inside = file.relative_to(root)
            if any(part.startswith(".") for part in inside.parts) or not file.is_file():
                continue
            known = by_extension(file.name)
            if known is None:
                skipped += 1
            else:
                name = f"{root.name}/{inside.as_posix()}"
                found.append(Found(file, name, file.stat().st_size, known.title))
    return found, skipped


async def _add(opened: "Opened", collection: str, files: Sequence[Found], skipped: int, quiet: bool) -> int:
    from malmoi.cli.live import open_progress
    from malmoi.core.errors import MalmoiError, UnknownName
    from malmoi.serve.documents.types import NewCollection

    documents, principal = opened.documents, opened.principal
    try:
        home = await opened.collection(collection)
    except UnknownName:
        home = await documents.collections.create(principal, NewCollection(name=collection))
    ids: dict[str, str] = {}
    known = failed = 0
    with open_progress(quiet) as progress, progress.task("Copy", total=len(files), unit="files") as task:
        for file in files:
            try:
                row, is_new = await documents.library.add(principal, home.id, file.name, _chunks(file.path))
            except (MalmoiError, OSError) as error:
                failed += 1
                progress.note(f"{file.name}: {error}")
            else:
                known += not is_new
                ids[row.id] = file.name
            task.advance()
    await wait_until_indexed(opened, home.id, len(ids), quiet=quiet)
    for document_id, name in ids.items():
        row = await documents.library.get(principal, document_id)
        if row.status == "failed":
            failed += 1
            told = row.error or {}
            click.echo(f"{name}: {told.get('message', '')} {told.get('fix', '')}".rstrip(), err=True)
    parts = [f"Added {len(ids) - known} documents to {home.name!r}"]
    parts += [f"{known} were there already"] if known else []
    parts += [f"{failed} could not be read"] if failed else []
    parts += [f"{skipped} of other formats were left out"] if skipped else []
    click.echo("; ".join(parts) + ".")
    return failed


async def wait_until_indexed(opened: "Opened", collection_id: str, count: int, *, quiet: bool) -> None:
    """Index what waits, or wait for the server that does, and show how far it is."""
    from malmoi.cli.live import open_progress
    from malmoi.core.errors import Conflict

    work = asyncio.create_task(opened.documents.indexer.finish())
    left = count
    with open_progress(quiet) as progress, progress.task("Index", total=count, unit="files") as task:
        while True:
            done, _ = await asyncio.wait([work], timeout=_POLL)
            if done and isinstance(error := work.exception(), Conflict):
                work = asyncio.create_task(_wait_for_others(opened, collection_id))
                progress.note("The server indexes them.")
                continue
            if done and error is not None:
                raise error
            shown = await opened.documents.collections.get(opened.principal, collection_id)
            left = min(left, shown.unfinished)
            task.at(count - left)
            if done:
                return


async def _wait_for_others(opened: "Opened", collection_id: str) -> None:
    while (await opened.documents.collections.get(opened.principal, collection_id)).unfinished:
        await asyncio.sleep(_POLL)


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield chunk
