"""One file into the import's database: good rows become events, bad rows are counted with their reason.

A row is counted from 1, without the header and blank lines. Each file is one transaction, so an import that
was killed goes on with the next file.
"""

from dataclasses import dataclass
from pathlib import Path

from malmoi.core.errors import InvalidInput
from malmoi.users.data.columns import ROW, Expression, Table, layout_of, open_table
from malmoi.users.data.database import Database
from malmoi.users.data.known import expand, stage_amazon_seq
from malmoi.users.data.schema import ImportSettings, LogSchema, Source, TextColumns, TimeUnit, find_files
from malmoi.users.data.texts import TextTemplate

LATEST = 253_402_300_799
"""The last second of the year 9999."""
LONGEST_ID = 1000

_TIMES: dict[TimeUnit, tuple[str, str]] = {
    "iso": ("CAST(floor(epoch(try_cast(t AS TIMESTAMPTZ))) AS BIGINT)", "no ISO 8601 time"),
    "s": ("try_cast(floor(try_cast(t AS DOUBLE)) AS BIGINT)", "no number of seconds"),
    "ms": ("try_cast(floor(try_cast(t AS DOUBLE) / 1000) AS BIGINT)", "no number of milliseconds"),
}


@dataclass(frozen=True)
class StagedFile:
    """A file that will be, or has been, read.

    Attributes:
        number: of the file, in the order of sources.
        path: of the file.
        schema: of its events; None: it is a file of items.
        columns: of texts: those of `schema`, or of the file of items.
        service_name: of its rows, where no column names it.
    """

    number: int
    path: Path
    schema: LogSchema | None
    columns: TextColumns
    service_name: str

    @property
    def texts(self) -> TextTemplate:
        """How its rows become texts."""
        return TextTemplate(self.columns.text, self.columns.template)


def plan_files(settings: ImportSettings, base: Path | None) -> list[StagedFile]:
    """All files of all sources in order: each source's events, then its items.

    Raises:
        InvalidInput: a pattern matches nothing.
    """
    planned: list[StagedFile] = []

    def add(path: Path, schema: LogSchema | None, columns: TextColumns, service: str) -> None:
        planned.append(StagedFile(len(planned), path, schema, columns, service))

    for source in settings.sources:
        for path in find_files(source.files, base):
            known: Source = expand(source, path)
            add(path, known, known, known.service_name)
            if known.items is not None and known is not source:  # a published format's own file of items
                for beside in find_files(known.items.files, base):
                    add(beside, None, known.items, known.service_name)
        if source.items is not None:
            for path in find_files(source.items.files, base):
                add(path, None, source.items, source.service_name)
    return planned


def stage(database: Database, file: StagedFile, settings: ImportSettings) -> None:
    """Read one file, unless it was read to the end before.

    Raises:
        InvalidInput: a column is missing, or no row can be used, or (strict) a row is bad.
    """
    status = file.path.stat()
    known = database.rows("SELECT path, size, changed FROM files WHERE number = ?", [file.number])
    if known == [(str(file.path), status.st_size, status.st_mtime_ns)]:
        return
    sequences = isinstance(file.schema, Source) and file.schema.format == "amazon_seq"
    if not sequences:
        _read(database, file, settings)
    with database.transaction():
        for table in ("files", "events", "words", "rejects", "counted"):
            column = "number" if table == "files" else "file"
            database.run(f"DELETE FROM {table} WHERE {column} = ?", [file.number])  # noqa: S608 - names of ours
        if sequences:
            rows = stage_amazon_seq(database, file.number, file.path, file.service_name, settings.limit)
        else:
            rows = _enter(database, file, settings)
        _check(database, file, settings, rows)
        database.run(
            "INSERT INTO files VALUES (?, ?, ?, ?, ?)",
            [file.number, str(file.path), status.st_size, status.st_mtime_ns, rows],
        )


def _read(database: Database, file: StagedFile, settings: ImportSettings) -> None:
    """Make the table `part` of a file; see `_read_part`."""
    for lenient in (False, True):
        for name in ("csv_rejects", "csv_scans", "part"):
            database.run(f"DROP TABLE IF EXISTS {name}")
        table = open_table(
            database,
            file.path,
            layout=layout_of(file.path),
            delimiter=file.columns.delimiter,
            quote=file.columns.quote,
            limit=settings.limit,
            lenient=lenient,
        )
        try:
            _read_part(database, file, table)
        except database.errors() as error:
            # Mixed ends of lines are refused by the strict reader only.
            if lenient or table.layout != "csv":
                raise InvalidInput(
                    f"{file.path} cannot be read: {str(error).strip().splitlines()[0]}", field="files"
                ) from error
        else:
            if table.layout == "csv":
                _add_broken_lines(database)
            return


def _enter(database: Database, file: StagedFile, settings: ImportSettings) -> int:
    """Put the rows of `part` where they belong; how many there were."""
    _keep_rejects(database, file, settings)
    if file.schema is not None:
        database.run(
            "INSERT INTO events SELECT ?, row, u, i, s, moment FROM part WHERE fault IS NULL", [file.number]
        )
    if file.texts.is_given:
        database.run(
            "INSERT INTO words SELECT ?, ?, min(row), i, s, arg_min(fields, row) FROM part "
            "WHERE fault IS NULL AND fields IS NOT NULL GROUP BY i, s",
            [0 if file.schema is None else 1, file.number],
        )
    elif file.schema is None:
        raise InvalidInput(f"{file.path}: a file of items needs text or template.", field="items")
    return database.number("SELECT count(*) FROM part")


def _read_part(database: Database, file: StagedFile, table: Table) -> None:
    """The table `part`: row, u, i, s, moment, fields, fault, value."""
    schema, columns = file.schema, file.columns
    table.require("item", columns.item)
    if schema is not None:
        table.require("user", schema.user)
        if schema.time is not None:
            table.require("time", schema.time)
    if columns.service is not None:
        table.require("service", columns.service)
    if columns.text is not None:
        table.require("text", columns.text)
    needed = file.texts.columns(table.columns)
    nothing = Expression("NULL")
    parts = {
        "u": table.text(schema.user) if schema is not None else Expression("''"),
        "i": table.text(columns.item),
        "s": table.text(columns.service)
        if columns.service is not None
        else Expression("?", (file.service_name,)),
        "t": table.text(schema.time) if schema is not None and schema.time is not None else nothing,
        "deep_u": table.is_nested(schema.user) if schema is not None else Expression("FALSE"),
        "deep_i": table.is_nested(columns.item),
        "fields": table.fields(needed) if file.texts.is_given else nothing,
        "whole": Expression("json_type(source.json) = 'OBJECT'")
        if table.layout == "jsonl"
        else Expression("TRUE"),
    }
    chosen = ", ".join(f"{one.sql} AS {name}" for name, one in parts.items())
    values = [value for one in parts.values() for value in one.values]
    timed = schema is not None and schema.time is not None
    converted, wrong = _TIMES[schema.time_unit] if schema is not None else _TIMES["iso"]
    faults = [("whole IS NOT TRUE", "the line is no JSON object", "''")]
    if schema is not None:
        name = schema.user
        faults += [
            ("deep_u", f"{name} is no text or number", "u"),
            ("u IS NULL OR trim(u) = ''", f"{name} (the user) is empty", "''"),
            (f"length(u) > {LONGEST_ID}", f"{name} is longer than {LONGEST_ID} characters", "left(u, 80)"),
        ]
    faults += [
        ("deep_i", f"{columns.item} is no text or number", "i"),
        ("i IS NULL OR trim(i) = ''", f"{columns.item} (the item) is empty", "''"),
        (
            f"length(i) > {LONGEST_ID}",
            f"{columns.item} is longer than {LONGEST_ID} characters",
            "left(i, 80)",
        ),
        ("s IS NULL OR trim(s) = ''", f"{columns.service} (the service) is empty", "''"),
    ]
    if timed and schema is not None:
        faults += [
            ("t IS NULL OR trim(t) = ''", f"{schema.time} (the time) is empty", "''"),
            (f"moment IS NULL OR abs(moment) > {LATEST}", f"{schema.time} is {wrong}", "left(t, 80)"),
        ]
    reason = " ".join(f"WHEN {when} THEN ?" for when, _, _ in faults)
    shown = " ".join(f"WHEN {when} THEN {value}" for when, _, value in faults)
    sql = (
        f"CREATE TEMP TABLE part AS SELECT row, trim(u) AS u, trim(i) AS i, trim(s) AS s, moment, fields, "  # noqa: S608
        f"CASE {reason} END AS fault, CASE {shown} END AS value "
        f"FROM (SELECT *, {converted if timed else 'CAST(NULL AS BIGINT)'} AS moment "
        f"FROM (SELECT source.{ROW} AS row, {chosen} FROM ({table.relation.sql}) AS source))"
    )
    database.run(sql, [*(text for _, text, _ in faults), *values, *table.relation.values])


def _add_broken_lines(database: Database) -> None:
    """Lines of a CSV file that are no rows become faulty rows of `part`."""
    database.run(
        "CREATE OR REPLACE TEMP TABLE broken AS SELECT line - 1 AS row, min(error_type) AS kind, "
        "min(left(csv_line, 200)) AS value FROM csv_rejects GROUP BY line"
    )
    # Rows are numbered among those that were read: those that were not are counted in.
    database.run(
        "UPDATE part SET row = part.row + moved.before FROM (SELECT good.row, count(*) AS before FROM "
        "(SELECT row FROM part WHERE fault IS NOT NULL) AS good JOIN "
        "(SELECT row - row_number() OVER (ORDER BY row) AS place FROM broken) AS bad ON bad.place < good.row "
        "GROUP BY good.row) AS moved WHERE part.row = moved.row AND part.fault IS NOT NULL"
    )
    database.run(
        "INSERT INTO part(row, fault, value) SELECT row, CASE kind WHEN 'MISSING COLUMNS' THEN "
        "'the line has too few columns' WHEN 'TOO MANY COLUMNS' THEN 'the line has too many columns' "
        "WHEN 'INVALID ENCODING' THEN 'the line is not UTF-8' WHEN 'UNQUOTED VALUE' THEN "
        "'a quote is not closed, or text follows it' ELSE 'the line is no row: ' || kind::VARCHAR END, "
        "value FROM broken"
    )


def _keep_rejects(database: Database, file: StagedFile, settings: ImportSettings) -> None:
    database.run(
        "INSERT INTO counted SELECT ?, fault, count(*) FROM part WHERE fault IS NOT NULL GROUP BY fault",
        [file.number],
    )
    database.run(
        "INSERT INTO rejects SELECT ?, row, fault, value FROM part WHERE fault IS NOT NULL "
        "ORDER BY row LIMIT ?",
        [file.number, max(1, settings.max_rejects)],
    )


def _check(database: Database, file: StagedFile, settings: ImportSettings, rows: int) -> None:
    """After a file: was anything in it of use?"""
    bad = database.number("SELECT sum(rows) FROM counted WHERE file = ?", [file.number])
    if not bad or (not settings.strict and bad < rows):
        return
    row, reason, value = database.rows(
        "SELECT row, reason, value FROM rejects WHERE file = ? ORDER BY row LIMIT 1", [file.number]
    )[0]
    shown = f" ({value})" if value else ""
    if settings.strict:
        raise InvalidInput(
            f"{file.path}, row {row}: {reason}{shown}.",
            field="files",
            fix="Mend the row, or import without strict: bad rows are then counted and left out.",
        )
    raise InvalidInput(
        f"{file.path}: none of its {rows:,} rows can be used; row {row}: {reason}{shown}.",
        field="files",
        fix="Say in the schema which columns hold user, item and time, and time_unit (iso, s or ms).",
    )
