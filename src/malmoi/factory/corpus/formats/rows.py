"""Files of rows: JSON lines, JSON lists, CSV, TSV, parquet. A row is a mapping from field to value."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from malmoi.factory.corpus.formats.decoding import LineDecoder
from malmoi.factory.corpus.formats.opening import MAX_LINE_BYTES, Unreadable, open_bytes, read_lines
from malmoi.factory.corpus.formats.text import as_text

Row = Mapping[str, Any]
MAX_JSON_BYTES = 64 << 20
PARQUET_BATCH = 256


def read_json_lines(path: Path) -> Iterator[tuple[int, Row | Unreadable]]:
    """One object a line; empty lines are passed over."""
    decoder = LineDecoder()
    with open_bytes(path) as stream:
        for number, raw in read_lines(as_text(stream)):
            if raw is None:
                yield number, Unreadable("line_too_long")
            elif raw.strip():
                yield number, _parse(decoder.decode(raw))


def _parse(line: str | None) -> Row | Unreadable:
    if line is None:
        return Unreadable("broken_encoding", "neither UTF-8 nor CP949")
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:  # hostile nesting ends in RecursionError
        return Unreadable("broken_json", str(error))
    return row if isinstance(row, dict) else Unreadable("broken_json", "the line is not an object")


def read_json_list(path: Path) -> Iterator[tuple[int, Row | Unreadable]]:
    """The objects of one JSON list, which is read whole and so has a limit of 64 MB."""
    with open_bytes(path) as stream:
        data = as_text(stream).read(MAX_JSON_BYTES + 1)
    if len(data) > MAX_JSON_BYTES:
        raise Unreadable("file_too_large", "a JSON list of more than 64 MB; write it as .jsonl")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Unreadable("broken_json", str(error)) from error
    for number, row in enumerate(value if isinstance(value, list) else [value], start=1):
        yield number, row if isinstance(row, dict) else Unreadable("broken_json", "not a list of objects")


def read_table(
    path: Path, *, delimiter: str, quoted: bool, columns: tuple[str, ...]
) -> Iterator[tuple[int, Row | Unreadable]]:
    """Rows of .csv or .tsv; the first row names the columns unless `columns` does.

    Args:
        path: the file, perhaps compressed.
        delimiter: between the cells.
        quoted: cells may stand in quotation marks and then hold line ends.
        columns: names where the file has none.
    """
    with open_bytes(path) as stream:
        faults: list[tuple[int, Unreadable]] = []
        cells = _cells(_decoded(as_text(stream), faults), delimiter, quoted)
        names = columns
        for number, row in cells:
            while faults:
                yield faults.pop(0)
            if isinstance(row, Unreadable):
                yield number, row
            elif not names:
                names = tuple(name.strip() for name in row)
            elif len(row) != len(names):
                if row:
                    yield number, Unreadable("broken_row", f"{len(row)} cells, not {len(names)}")
            else:
                yield number, dict(zip(names, row, strict=True))
        yield from faults


def _decoded(stream: io.BufferedReader, faults: list[tuple[int, Unreadable]]) -> Iterator[tuple[int, str]]:
    decoder = LineDecoder()
    for number, raw in read_lines(stream):
        line = decoder.decode(raw) if raw is not None else None
        if line is not None:
            yield number, line
        else:
            reason = "line_too_long" if raw is None else "broken_encoding"
            faults.append((number, Unreadable(reason)))


def _cells(
    lines: Iterator[tuple[int, str]], delimiter: str, quoted: bool
) -> Iterator[tuple[int, list[str] | Unreadable]]:
    if not quoted:
        for number, line in lines:
            yield number, line.split(delimiter) if line else []
        return
    for number, record in _quoted_records(lines):
        if record is None:
            yield number, Unreadable("broken_row", "a quotation mark is never closed")
            continue
        try:
            yield number, next(csv.reader(io.StringIO(record, newline=""), delimiter=delimiter), [])
        except csv.Error as error:
            yield number, Unreadable("broken_row", str(error))


MAX_RECORD_LINES = 2_000


def _quoted_records(lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str | None]]:
    """Lines joined until their quotation marks close; one that never closes costs its own line only."""
    waiting: list[tuple[int, str]] = []
    marks = 0
    size = 0
    for number, line in lines:
        waiting.append((number, line))
        marks += line.count('"')
        size += len(line)
        if marks % 2 == 0:
            yield waiting[0][0], "\n".join(text for _, text in waiting)
        elif len(waiting) < MAX_RECORD_LINES and size < MAX_LINE_BYTES:
            continue
        else:
            yield from _give_up(waiting)
        waiting, marks, size = [], 0, 0
    if waiting:
        yield from _give_up(waiting)


def _give_up(waiting: list[tuple[int, str]]) -> Iterator[tuple[int, str | None]]:
    yield waiting[0][0], None
    for number, line in waiting[1:]:
        yield number, line if line.count('"') % 2 == 0 else None


def read_parquet(path: Path, wanted: tuple[str, ...]) -> Iterator[tuple[int, Row | Unreadable]]:
    """Rows of a parquet file, with the columns of `wanted` that it has.

    Raises:
        Unreadable: it is damaged or not parquet.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            have = [name for name in file.schema_arrow.names if name in wanted]
            for batch in file.iter_batches(batch_size=PARQUET_BATCH, columns=have, use_threads=False):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise Unreadable("broken_parquet", f"after {number} rows: {error}") from error
