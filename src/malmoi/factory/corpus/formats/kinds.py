"""What kind of file a name says it is, and which names are not data."""

from enum import Enum
from pathlib import PurePosixPath

from malmoi.factory.corpus.formats.opening import inner_suffix


class Kind(Enum):
    """How a file is read."""

    TEXT = "text"
    CODE = "code"
    HTML = "html"
    JSON_LINES = "json lines"
    JSON_LIST = "json list"
    CSV = "csv"
    TSV = "tsv"
    PARQUET = "parquet"


_CODE = (
    ".bash .c .cc .clj .cpp .cs .css .cu .dart .el .erl .ex .f90 .fs .go .groovy .h .hpp .hs .java .jl .js"
    " .jsx .kt .lisp .lua .m .ml .mjs .nim .php .pl .ps1 .py .pyi .r .rb .rs .scala .scss .sh .sql .swift"
    " .tcl .ts .tsx .v .vb .vue .zig"
)
CODE_SUFFIXES = frozenset(_CODE.split())
SUFFIXES = {
    ".txt": Kind.TEXT,
    ".md": Kind.TEXT,
    ".markdown": Kind.TEXT,
    ".rst": Kind.TEXT,
    ".html": Kind.HTML,
    ".htm": Kind.HTML,
    ".xhtml": Kind.HTML,
    ".jsonl": Kind.JSON_LINES,
    ".ndjson": Kind.JSON_LINES,
    ".json": Kind.JSON_LIST,
    ".csv": Kind.CSV,
    ".tsv": Kind.TSV,
    ".parquet": Kind.PARQUET,
} | dict.fromkeys(CODE_SUFFIXES, Kind.CODE)
NOTES = ("readme", "notes", "notice", "license", "licence", "copying", "authors", "changelog", "contributing")


def kind_of(name: str) -> Kind | None:
    """The kind by the file's name; None where it is no text that we know."""
    kind = SUFFIXES.get(inner_suffix(name))
    # A parquet file is compressed inside; read through a stream it could not be read in parts.
    return None if kind is Kind.PARQUET and not name.lower().endswith(".parquet") else kind


def left_out(relative: str) -> str | None:
    """Why a file that a wildcard found is not read, as a reason to count; None: it is."""
    parts = PurePosixPath(relative).parts
    if any(part.startswith(".") for part in parts):
        return "hidden_file"
    if parts[-1].lower().startswith(NOTES):
        return "note_file"
    kind = kind_of(relative)
    # .json is seldom a list of documents: settings and indexes are. One that is can be named.
    return "unknown_kind" if kind is None or kind is Kind.JSON_LIST else None
