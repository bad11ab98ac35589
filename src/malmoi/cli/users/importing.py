"""`malmoi users import`: files of events become logs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from malmoi.cli.options import home_option

if TYPE_CHECKING:
    from malmoi.users.data.schema import ImportSettings

DRY_ROWS = 1000
_FORMATS = ["auto", "csv", "jsonl", "parquet", "amazon_seq", "recbole", "amazon2018"]


@click.command("import")
@click.argument("files", nargs=-1)
@click.option("--name", default="users", show_default=True, help="Of the logs: NAME-logs.")
@click.option(
    "--schema",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="TOML file that says what the columns mean. Its paths are relative to it.",
)
@click.option("--format", "layout", type=click.Choice(_FORMATS), help="Of FILES.  [default: by their names]")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="A key of the schema, such as min_user=5, time_unit=s or user=customer_id. Repeatable.",
)
@click.option(
    "--dry-run", is_flag=True, help=f"Read {DRY_ROWS} rows of each file, show what they become, end."
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@home_option
def import_(
    files: Sequence[str],
    name: str,
    schema: Path | None,
    layout: str | None,
    overrides: Sequence[str],
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    home: Path,
) -> None:
    """Make logs of FILES of events: CSV, JSON lines, Parquet, also .gz; larger than memory.

    \b
    malmoi users import shop.csv --set user=customer --set item=product --set time_unit=s
    malmoi users import --schema shop.toml --name shop --dry-run
    malmoi users import Beauty.txt --format amazon_seq --name beauty

    The usual columns are user, item and time. Bad rows are counted and kept beside the logs in
    about/rejects.jsonl, and the rest goes on; --set strict=true stops at the first.
    """  # noqa: D301 - \b is click's mark for text that keeps its lines
    settings, base = read_settings(files, schema, layout, overrides)
    if dry_run:
        _show(settings, base, as_json=as_json)
        return
    from malmoi.cli.users.artifacts import build_recipe, kept_name, run_recipe

    table = {"use": "users-logs", "read": settings.model_dump(mode="json", exclude_none=True)}
    made = run_recipe(build_recipe(name, "logs", table, seed=0), home, quiet=quiet, data=base)
    written = (made.path / "about" / "import.json").read_text(encoding="utf-8")
    if as_json:
        click.echo(json.dumps({"artifact": made.id, **json.loads(written)}, ensure_ascii=False))
        return
    from malmoi.users.data.report import ImportReport

    report = ImportReport.model_validate_json(written)
    click.echo(f"made {made.id}")
    if note := kept_name(made, name):
        click.echo(note)
    for line in report.lines():
        click.echo(line)
    if report.bad:
        click.echo(f"  look at bad rows: {made.path / 'about' / 'rejects.jsonl'}")


def read_settings(
    files: Sequence[str], schema: Path | None, layout: str | None, overrides: Sequence[str]
) -> "tuple[ImportSettings, Path]":
    """What to import, and the folder that its paths start from.

    Raises:
        ConfigError: the schema or an override is wrong.
        InvalidInput: neither files nor a schema that names any.
    """
    from malmoi.core.config import parse_override
    from malmoi.core.errors import InvalidInput
    from malmoi.users.data.schema import read_schema

    if not files and schema is None:
        raise InvalidInput("no files are given.", field="files", fix="Give FILES, or --schema FILE.")
    # Files of the command line are relative to where it runs, those of a schema to the schema.
    whole = tuple(str(Path(file).expanduser().absolute()) for file in files)
    values: dict[str, Any] = {}
    for override in overrides:
        path, text = parse_override(override)
        values[".".join(path)] = _value(text)
    settings = read_schema(schema, files=whole, format=layout, overrides=values)  # type: ignore[arg-type]
    base = schema.parent.absolute() if schema is not None else Path.cwd()
    return settings, base


def _value(text: str) -> Any:
    """A TOML value, or else plain text."""
    import tomllib

    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _show(settings: "ImportSettings", base: Path, *, as_json: bool) -> None:
    """The first rows of each file as they would be read."""
    from tempfile import TemporaryDirectory

    from malmoi.cli.evals.tables import table
    from malmoi.users.data.importing import import_logs
    from malmoi.users.logs import load_logs

    # Few rows say nothing about who is rare.
    first = settings.model_copy(update={"limit": DRY_ROWS, "min_user": 1, "min_item": 1})
    with TemporaryDirectory() as folder:
        out, work = Path(folder) / "out", Path(folder) / "work"
        out.mkdir()
        work.mkdir()
        report = import_logs(first, out, work, base=base)
        logs = load_logs(out)
        rejects = (out / "about" / "rejects.jsonl").read_text(encoding="utf-8").splitlines()
        shown = [
            (
                logs.users[user],
                logs.items.services[logs.items.service[item]],
                logs.items.ids[item],
                logs.items.texts[item],
            )
            for user in range(min(5, len(logs)))
            for item in logs.sequence(user)[:2].tolist()
        ]
    if as_json:
        events = [dict(zip(("user", "service", "item", "text"), row, strict=True)) for row in shown]
        bad = [json.loads(line) for line in rejects[:10]]
        click.echo(
            json.dumps(
                {**report.model_dump(mode="json"), "shown": events, "rejects": bad}, ensure_ascii=False
            )
        )
        return
    click.echo(f"the first {DRY_ROWS} rows of each file; nothing is kept:")
    for line in report.lines():
        click.echo(line)
    for line in table([("user", "service", "item", "text"), *shown]):
        click.echo("  " + line)
    for line in rejects[:10]:
        row = json.loads(line)
        value = f" ({row['value']})" if row["value"] else ""
        click.echo(f"  {Path(row['file']).name}, row {row['row']}: {row['reason']}{value}")
