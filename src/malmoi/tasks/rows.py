"""Rows of data files: .tsv .csv .jsonl .json .parquet and plain lines, also as .gz or .zst.

Readers are lazy. A row comes with its number: its line in the file, or its place where lines say nothing.
What cannot be read is an error with file and line, never a row left out.
"""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, TextIO, TypeAlias, cast

from malmoi.core.errors import InvalidInput, MissingExtra

Row: TypeAlias = dict[str, Any]
NumberedRow: TypeAlias = tuple[int, Row]

_LONGEST_CELL = 100_000_000  # characters
_LAYOUTS = {
    ".tsv": "tsv", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json",
    ".parquet": "parquet",
}  # fmt: skip
# Layouts of one family, read by functions beside its tasks.
_FAMILY_LAYOUTS = {
    "klue-ner": "malmoi.tasks.klue.files:read_ner",
    "klue-dp": "malmoi.tasks.klue.files:read_dp",
    "bbq": "malmoi.tasks.bbq.files:read_bbq",
}


def find_files(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """The files of the first pattern that has any, sorted by name."""
    for pattern in patterns:
        found = sorted(path for path in folder.glob(pattern) if path.is_file())
        if found:
            return found
    return []


def layout_of(path: Path) -> str:
    """How a file is read by its name, `.gz` and `.zst` aside; unknown endings are plain lines."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in (".gz", ".zst")]
    return _LAYOUTS.get(suffixes[-1], "lines") if suffixes else "lines"


def read_rows(
    path: Path,
    *,
    layout: str = "auto",
    columns: Sequence[str] = (),
    quoted: bool | None = None,
    json_rows: str = "",
) -> Iterator[NumberedRow]:
    """The rows of a file in order.

    Args:
        path: the file.
        layout: `tsv`, `csv`, `jsonl`, `json`, `parquet`, `lines`, a family's own, or `auto`: by its name.
        columns: names for a table without a header.
        quoted: whether cells of a table may be quoted; None: those of .csv may.
        json_rows: keys to the list of rows in a .json file.

    Raises:
        InvalidInput: it is not such a file; the message has file and line.
        MissingExtra: a library that reads it is not installed.
    """
    layout = layout_of(path) if layout == "auto" else layout
    if layout == "parquet":
        yield from _parquet(path)
        return
    readers: dict[str, Callable[[Path, TextIO], Iterator[NumberedRow]]] = {
        "jsonl": _jsonl,
        "json": partial(_json, keys=tuple(key for key in json_rows.split(".") if key)),
        "lines": _lines,
        "tsv": partial(_quoted if quoted else _tabbed, columns=columns, delimiter="\t"),
        "csv": partial(_tabbed if quoted is False else _quoted, columns=columns, delimiter=","),
    }
    if layout in _FAMILY_LAYOUTS:
        module, _, name = _FAMILY_LAYOUTS[layout].partition(":")
        reader = getattr(import_module(module), name)
    else:
        reader = readers[layout]
    with open_text(path) as file:
        yield from reader(path, file)


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    r"""A file as UTF-8 text whose lines end with \n alone, unpacked by its name; a leading mark is dropped.

    Raises:
        InvalidInput: it is not UTF-8, or its packing is broken.
        MissingExtra: it is packed with Zstandard, whose library is not installed.
    """
    with path.open("rb") as raw, _unpacked(path, raw) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="\n")
        try:
            yield text
        except UnicodeDecodeError as error:
            raise InvalidInput(f"{path} is not UTF-8: {error.reason}.", fix="Fetch it again.") from None
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise InvalidInput(f"{path} cannot be unpacked: {error}.", fix="Fetch it again.") from None
        finally:
            text.detach()


@contextmanager
def _unpacked(path: Path, raw: BinaryIO) -> Iterator[BinaryIO]:
    suffix = path.suffix.lower()
    if suffix == ".gz":
        with gzip.open(raw, "rb") as stream:
            yield cast("BinaryIO", stream)
    elif suffix == ".zst":
        try:
            import zstandard
        except ImportError:
            raise MissingExtra(f"reading {path.name}", "train") from None
        try:
            with zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True) as stream:
                yield cast("BinaryIO", stream)
        except zstandard.ZstdError as error:
            raise InvalidInput(f"{path} cannot be unpacked: {error}.", fix="Fetch it again.") from None
    else:
        yield raw


def _tabbed(path: Path, file: TextIO, columns: Sequence[str], delimiter: str) -> Iterator[NumberedRow]:
    """Cells without quoting: whatever stands between two delimiters, quotes, NUL and carriage returns too."""
    header = list(columns)
    for number, line in enumerate(file, start=1):
        line = line.rstrip("\n").removesuffix("\r")
        if not line:
            continue
        cells = line.split(delimiter)
        if header:
            yield number, _named(header, cells, path, number)
        else:
            header = [name.strip() for name in cells]


def _quoted(path: Path, file: TextIO, columns: Sequence[str], delimiter: str) -> Iterator[NumberedRow]:
    """Cells that may be quoted, and then hold line breaks."""
    # The module's only limit is one for the whole process; raised, never lowered.
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_CELL))
    rows = csv.reader(file, delimiter=delimiter, strict=True)
    header = list(columns)
    try:
        for cells in rows:
            if not cells:
                continue
            if header:
                yield rows.line_num, _named(header, cells, path, rows.line_num)
            else:
                header = [name.strip() for name in cells]
    except csv.Error as error:
        raise InvalidInput(f"{path}, line {rows.line_num}: {error}.", fix="Fetch it again.") from None


def _named(header: Sequence[str], cells: Sequence[str], path: Path, number: int) -> Row:
    """Cells by column. Missing ones at the end are left out: an error only where a template asks for them."""
    if any(cells[len(header) :]):
        raise InvalidInput(
            f"{path}, line {number}: it has {len(cells)} cells, the table {len(header)} columns.",
            fix="Fetch it again, or mend the line.",
        )
    return dict(zip(header, cells, strict=False))


def _jsonl(path: Path, file: TextIO) -> Iterator[NumberedRow]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise _broken(f"{path}, line {number}", error) from None
        yield number, _table(row, f"{path}, line {number}")


def _json(path: Path, file: TextIO, keys: Sequence[str]) -> Iterator[NumberedRow]:
    try:
        whole = json.load(file)
    except (json.JSONDecodeError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise _broken(f"{path}, line {line}", error) from None
    for number, row in enumerate(_walk(whole, keys, {}, str(path)), start=1):
        yield number, _table(row, f"{path}, row {number}")


def _walk(value: Any, keys: Sequence[str], holds: Row, where: str) -> Iterator[Any]:
    """The rows under `keys`; a row gets the texts and numbers of the tables on its way, its own first."""
    if isinstance(value, list):
        for item in value:
            if keys:
                yield from _walk(item, keys, holds, where)
            else:
                yield {**holds, **item} if isinstance(item, dict) else item
    elif keys and isinstance(value, dict) and keys[0] in value:
        plain = {name: cell for name, cell in value.items() if not isinstance(cell, (dict, list))}
        yield from _walk(value[keys[0]], keys[1:], {**holds, **plain}, f"{where}: {keys[0]}")
    elif keys:
        raise InvalidInput(f"{where}: there is no key {keys[0]!r}.", fix="Fetch the task's own release.")
    else:
        raise InvalidInput(
            f"{where}: it is not a list of rows.", fix="Say with json_rows where the rows are."
        )


def _lines(path: Path, file: TextIO) -> Iterator[NumberedRow]:
    for number, line in enumerate(file, start=1):
        yield number, {"text": line.rstrip("\n").removesuffix("\r")}


def _parquet(path: Path) -> Iterator[NumberedRow]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra(f"reading {path.name}", "train") from None
    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (pyarrow.ArrowException, OSError) as error:
        raise InvalidInput(
            f"{path}, row {number + 1}: {str(error).splitlines()[0]}", fix="Fetch it again."
        ) from None


def _broken(where: str, error: Exception) -> InvalidInput:
    said = getattr(error, "msg", "") or "it nests too deep"
    return InvalidInput(f"{where}: it is not JSON: {said}.", fix="Fetch it again, or mend the line.")


def _table(row: Any, where: str) -> Row:
    if not isinstance(row, dict):
        raise InvalidInput(f"{where}: it is {type(row).__name__}, not an object with keys.")
    return row
