"""Tables as text: comma, semicolon, tab or bar between the cells."""

import csv
import io

from malmoi.assist.retrieval.parsing import plain
from malmoi.assist.retrieval.parsing.clean import clean
from malmoi.assist.retrieval.parsing.writer import Writer

_DELIMITERS = ",\t;|"
_LINES = 50  # are looked at to find the delimiter
_WIDEST = 1 << 16  # characters of such a line


def read(text: str, writer: Writer) -> None:
    """Write the table; a text without any delimiter is read as paragraphs."""
    text = clean(text)
    delimiter = find_delimiter(text)
    if delimiter is None:
        plain.read(text, writer)
        return
    csv.field_size_limit(max(1, 4 * writer.left))
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        kept = writer.table(rows)
    except csv.Error:
        raise writer.too_long() from None
    writer.property("rows", str(len(kept)))
    writer.property("columns", str(max((len(row) for row in kept), default=0)))


def find_delimiter(text: str) -> str | None:
    """The delimiter that cuts most of the first lines into the same number of cells, outside of quotes."""
    lines = [line[:_WIDEST] for line in text[: _LINES * _WIDEST].split("\n")[:_LINES] if line.strip()]
    best, best_score = None, 0.0
    for delimiter in _DELIMITERS:
        counts = [_unquoted(line).count(delimiter) for line in lines]
        usual = max(set(counts), key=lambda count: (counts.count(count), count), default=0)
        if usual == 0:
            usual = max(counts, default=0)
        score = counts.count(usual) / len(lines) + min(usual, 20) / 100 if usual else 0.0
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _unquoted(line: str) -> str:
    return "".join(line.split('"')[::2])
