"""The columns of a file as SQL expressions: CSV, JSON lines and Parquet alike.

A `Table` gives a relation with a number of each row (from 1, the header and blank lines not counted) and, for
each column that is asked for, an expression of it as text, where the relation is called `source`. Expressions
carry their bound values with them.
"""

import csv
import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from malmoi.core.errors import InvalidInput
from malmoi.users.data.database import Database, quoted

Layout = Literal["csv", "jsonl", "parquet"]
ENDINGS: dict[str, Layout] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".inter": "csv",
    ".item": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
}
_LONGEST_HEADER = 1 << 20  # bytes
TABBED = (".tsv", ".inter", ".item")
ROW = "malmoi_row"
"""The relation's own column: a name that no file is likely to have."""


@dataclass(frozen=True)
class Expression:
    """SQL with `?` in it, and what is bound to them."""

    sql: str
    values: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Table:
    """A file as a relation.

    Attributes:
        path: of the file.
        layout: how it is written.
        columns: their names; None: each row has its own (JSON lines).
        relation: SELECT of the whole file with `ROW`.
        nested: columns that hold lists or tables.
    """

    path: Path
    layout: Layout
    columns: tuple[str, ...] | None
    relation: Expression
    nested: tuple[str, ...] = ()

    def text(self, column: str) -> Expression:
        """A column as text; NULL where it is not there."""
        if self.layout == "jsonl":
            return Expression("json_extract_string(source.json, ?)", (_pointer(column),))
        return Expression(f"CAST(source.{quoted(column)} AS VARCHAR)")

    def is_nested(self, column: str) -> Expression:
        """Whether the value of a column is no text or number."""
        if self.layout == "jsonl":
            return Expression(
                "coalesce(json_type(source.json, ?) IN ('OBJECT', 'ARRAY'), FALSE)", (_pointer(column),)
            )
        return Expression("TRUE" if column in self.nested else "FALSE")

    def fields(self, columns: Sequence[str]) -> Expression:
        """Some columns as a JSON object."""
        parts, values = [], []
        for column in columns:
            parts.append(
                "?, json_extract(source.json, ?)" if self.layout == "jsonl" else f"?, source.{quoted(column)}"
            )
            values.extend([column, _pointer(column)] if self.layout == "jsonl" else [column])
        return Expression(f"CAST(json_object({', '.join(parts)}) AS VARCHAR)", tuple(values))

    def require(self, role: str, column: str) -> None:
        """Check that a column is there.

        Raises:
            InvalidInput: it is not; the message names the file, the columns, and the nearest one.
        """
        if self.columns is None or column in self.columns:
            return
        from difflib import get_close_matches

        near = get_close_matches(column, self.columns, n=1, cutoff=0.5)
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        raise InvalidInput(
            f"{self.path}: there is no column {column!r}{meant}; it has {', '.join(self.columns[:30])}.",
            field=role,
            fix=f'Say in the schema which column it is: {role} = "NAME".',
        )


def layout_of(path: Path) -> Layout:
    """By the file's name.

    Raises:
        InvalidInput: it ends in nothing that is known.
    """
    ending = _ending(path)
    if ending not in ENDINGS:
        raise InvalidInput(
            f"{path}: a file that ends in {ending or 'nothing'} is of no known format.",
            field="format",
            fix=f"It may end in {', '.join(ENDINGS)}, each also with .gz; or give the format.",
        )
    return ENDINGS[ending]


def open_table(
    database: Database,
    path: Path,
    *,
    layout: Layout,
    delimiter: str | None,
    quote: str,
    limit: int | None,
    lenient: bool = False,
) -> Table:
    """Look at a file's columns, and make a relation of it.

    Args:
        database: where it will be read.
        path: of the file.
        layout: how it is written.
        delimiter: of CSV; None: by the file's name.
        quote: of CSV; may be empty.
        limit: rows to read; None: all.
        lenient: whether a CSV file may mix its ends of lines.

    Raises:
        InvalidInput: the file is empty, or cannot be what it should be.
    """
    rows = f"row_number() OVER () AS {ROW}"
    end = f" LIMIT {int(limit)}" if limit is not None else ""
    if layout == "parquet":
        described = _describe(database, path)
        nested = tuple(
            name for name, kind in described if any(c in kind for c in "[(") and "DECIMAL" not in kind
        )
        relation = Expression(f"SELECT {rows}, * FROM read_parquet(?){end}", (str(path),))  # noqa: S608
        return Table(path, layout, tuple(name for name, _ in described), relation, nested)
    if layout == "jsonl":
        relation = Expression(
            f"SELECT {rows}, json FROM "  # noqa: S608 - only a name of ours and a number are put in
            f"read_ndjson_objects(?, ignore_errors=true, compression=?){end}",
            (str(path), _compression(path)),
        )
        return Table(path, layout, None, relation)
    delimiter = delimiter or ("\t" if _ending(path) in TABBED else ",")
    columns = read_header(path, delimiter, quote)
    relation = Expression(
        f"SELECT {rows}, * FROM read_csv(?, auto_detect=false, header=true, "  # noqa: S608 - as above
        "delim=?, quote=?, escape=?, columns=?, compression=?, store_rejects=true, "
        f"rejects_table='csv_rejects', rejects_scan='csv_scans', rejects_limit=0, strict_mode=?){end}",
        (
            str(path),
            delimiter,
            quote,
            quote,
            dict.fromkeys(columns, "VARCHAR"),
            _compression(path),
            not lenient,
        ),
    )
    return Table(path, layout, columns, relation)


def _describe(database: Database, path: Path) -> list[tuple[str, str]]:
    try:
        found = database.rows("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)])
    except database.errors() as error:
        raise InvalidInput(f"{path} is no Parquet file that can be read: {error}.", field="files") from error
    return [(row[0], row[1]) for row in found]


def read_header(path: Path, delimiter: str, quote: str) -> tuple[str, ...]:
    """Names in the first line of a CSV file.

    Raises:
        InvalidInput: the file is empty, no UTF-8, or names a column twice.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as file:
            line = file.readline(_LONGEST_HEADER).decode("utf-8-sig")
        if quote:
            names = next(csv.reader([line], delimiter=delimiter, quotechar=quote), [])
        else:
            names = line.rstrip("\r\n").split(delimiter) if line.strip() else []
    except UnicodeDecodeError:
        raise InvalidInput(
            f"{path} is not UTF-8.", fix=f"Convert it: iconv -f cp949 -t utf-8 {path.name} > new.csv"
        ) from None
    except (OSError, EOFError, csv.Error) as error:
        raise InvalidInput(f"{path} cannot be read: {error}.") from error
    if not names:
        raise InvalidInput(f"{path} is empty.", fix="Its first line must name the columns.")
    folded = [name.casefold() for name in [*names, ROW]]  # the database does not tell A from a
    twice = next((name for name in names if folded.count(name.casefold()) > 1), None)
    if twice is not None:
        raise InvalidInput(f"{path}: two columns are called {twice!r}.", fix="Rename one of them.")
    return tuple(names)


def _pointer(column: str) -> str:
    """A key as a JSON pointer (RFC 6901)."""
    return "/" + column.replace("~", "~0").replace("/", "~1")


def _ending(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def _compression(path: Path) -> str:
    return "gzip" if path.name.lower().endswith(".gz") else "none"
