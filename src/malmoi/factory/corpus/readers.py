"""Files to documents, as a stream: never a whole large file in memory, and no bad input stops the run.

What cannot be read (a file, a line, a row) is counted in `Problems` with its place; how each kind of file is
read stands in `formats/`. A file that a wildcard finds is left out if it is hidden, a note or licence of the
data set, or of a kind that is not text; a path written out in full is always read.
"""

import os
import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from malmoi.core.errors import InvalidInput
from malmoi.factory.corpus.documents import Document
from malmoi.factory.corpus.formats import kinds
from malmoi.factory.corpus.formats.html import MAX_HTML_BYTES, html_text
from malmoi.factory.corpus.formats.opening import Unreadable, open_bytes
from malmoi.factory.corpus.formats.rows import Row, read_json_lines, read_json_list, read_parquet, read_table
from malmoi.factory.corpus.formats.text import MAX_CHARACTERS, read_text
from malmoi.factory.corpus.problems import Problems, printable
from malmoi.factory.corpus.sources import SourceSettings

USUAL_FIELDS = ("text", "content", "document", "body", "article", "review", "comment", "sentence", "code")
"""Names that the text of a row usually has, most telling first."""
LOOSE_FILES = "files"
"""The source of the files that lie in no subfolder."""


def read_source(
    source: SourceSettings, data: Path, problems: Problems, *, rank: int = 0, world_size: int = 1
) -> Iterator[Document]:
    """The documents of one source, files in the order of their names, records in the order of the file.

    Args:
        source: what to read and how.
        data: the folder that the source's paths are relative to.
        problems: takes what could not be read; what a wildcard leaves out is counted by rank 0 alone.
        rank: this reader's number; it reads every `world_size`-th file.
        world_size: how many readers share the files.

    Raises:
        InvalidInput: the data folder does not exist.
    """
    files = find_files(source, data, problems if rank == 0 else Problems())
    shift = zlib.crc32(source.name.encode())  # so that sources of one file each do not all go to rank 0
    for number, relative in enumerate(files):
        if (number + shift) % world_size == rank:
            yield from read_file(source, data, relative, problems)


def find_files(source: SourceSettings, data: Path, problems: Problems) -> list[str]:
    """Paths of the source's files relative to `data`, with `/`, sorted.

    Raises:
        InvalidInput: the data folder does not exist.
    """
    _require_folder(data)
    root = data.resolve()
    found: set[str] = set()
    for pattern in source.paths:
        written_out = not re.search(r"[*?\[]", pattern)
        # A last `**` alone would find folders only.
        wanted = f"{pattern}/*" if pattern.endswith("**") else pattern
        matches = [data / pattern] if written_out else data.glob(wanted)
        if "**" in pattern:
            _count_closed(data, pattern, problems)
        for path in matches:
            if path.is_dir() and not written_out:
                continue
            relative = path.relative_to(data).as_posix()
            if not path.is_file():
                problems.add("missing_file", relative)
            elif not path.resolve().is_relative_to(root):
                problems.add("outside_folder", relative, "a link to a place outside the data folder")
            elif written_out or (left := kinds.left_out(relative)) is None:
                found.add(relative)
            else:
                problems.add(left, relative)
    return sorted(found)


def _count_closed(data: Path, pattern: str, problems: Problems) -> None:
    """Count the folders that `glob` passes over because nobody may look into them."""
    start = data / pattern.partition("**")[0]
    if re.search(r"[*?\[]", str(start.relative_to(data))):
        return  # a wildcard before the `**`: where to begin is not known

    def count(error: OSError) -> None:
        problems.add("closed_folder", Path(error.filename).relative_to(data).as_posix(), error.strerror or "")

    for _ in os.walk(start, onerror=count):
        pass


def discover_sources(data: Path, problems: Problems) -> list[SourceSettings]:
    """A source for every folder directly inside `data` that holds text, and one for the loose files.

    Raises:
        InvalidInput: the data folder does not exist.
    """
    _require_folder(data)
    sources: list[SourceSettings] = []
    names: set[str] = set()
    loose = False
    for entry in sorted(data.iterdir()):
        if entry.is_dir() and not entry.name.startswith("."):
            pattern = f"{_literal(entry.name)}/**/*"
            files = (p for p in entry.rglob("*") if p.is_file())
            if entry.resolve().is_relative_to(data.resolve()) and any(
                kinds.left_out(path.relative_to(data).as_posix()) is None for path in files
            ):
                sources.append(SourceSettings(name=_source_name(entry.name, names), paths=(pattern,)))
            else:
                problems.add("no_text_inside", entry.name)
        elif entry.is_file():
            loose = loose or kinds.left_out(entry.name) is None
    if loose:
        sources.append(SourceSettings(name=_source_name(LOOSE_FILES, names), paths=("*",)))
    return sources


def _require_folder(data: Path) -> None:
    if not data.is_dir():
        raise InvalidInput(
            f"the data folder {data} does not exist.", fix="Give an existing folder with --data."
        )


def _literal(name: str) -> str:
    """`name` as a glob that means itself."""
    return re.sub(r"([*?\[])", r"[\1]", name)


def _source_name(folder: str, taken: set[str]) -> str:
    """A source's name for a folder: its own, with what names may not hold replaced; unique."""
    base = re.sub(r"[^\w.-]+", "-", folder).strip("._-")[:48] or "source"
    name, number = base, 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    taken.add(name)
    return name


def read_file(source: SourceSettings, data: Path, relative: str, problems: Problems) -> Iterator[Document]:
    """The documents of one file; whatever is wrong with it is counted and ends at most this file."""
    path = data / relative
    kind = kinds.kind_of(relative)
    try:
        if kind is kinds.Kind.TEXT or kind is kinds.Kind.CODE:
            cut = source.documents if kind is kinds.Kind.TEXT else "file"
            with open_bytes(path) as stream:
                for number, text in read_text(stream, cut):
                    if isinstance(text, Unreadable):
                        problems.add(text.reason, f"{relative}#{number}", text.detail)
                    else:
                        yield _document(source, relative, number, text, {})
        elif kind is kinds.Kind.HTML:
            text = _read_page(path)
            if text:
                yield _document(source, relative, 1, text, {})
            else:
                problems.add("empty_text", relative)
        else:
            yield from _row_documents(source, relative, _rows(source, path, kind), problems)
    except Unreadable as error:
        problems.add(error.reason, relative, error.detail)


def _read_page(path: Path) -> str:
    with open_bytes(path) as stream:
        page = stream.read(MAX_HTML_BYTES + 1)
    if len(page) > MAX_HTML_BYTES:
        raise Unreadable("file_too_large", f"a page of more than {MAX_HTML_BYTES >> 20} MB")
    return html_text(page)


def _rows(
    source: SourceSettings, path: Path, kind: kinds.Kind | None
) -> Iterator[tuple[int, Row | Unreadable]]:
    if kind is kinds.Kind.JSON_LINES:
        return read_json_lines(path)
    if kind is kinds.Kind.JSON_LIST:
        return read_json_list(path)
    if kind is kinds.Kind.PARQUET:
        own = (source.id_field, source.url_field, source.license_field, source.group_by)
        wanted = (*(source.fields or USUAL_FIELDS), *(name for name in own if name))
        return read_parquet(path, wanted)
    if kind in (kinds.Kind.CSV, kinds.Kind.TSV):
        is_csv = kind is kinds.Kind.CSV
        quoted = is_csv if source.quoted is None else source.quoted
        return read_table(path, delimiter="," if is_csv else "\t", quoted=quoted, columns=source.columns)
    raise Unreadable("unknown_kind", "known by its suffix: " + " ".join(sorted(kinds.SUFFIXES)))


def _row_documents(
    source: SourceSettings,
    relative: str,
    rows: Iterator[tuple[int, Row | Unreadable]],
    problems: Problems,
) -> Iterator[Document]:
    """A document for each row, or for each run of rows with the same `group_by`."""
    texts: list[str] = []
    size = 0
    first: tuple[int, Row] | None = None
    for number, row in rows:
        if isinstance(row, Unreadable):
            problems.add(row.reason, f"{relative}#{number}", row.detail)
            continue
        text = _row_text(source, row)
        if isinstance(text, Unreadable):
            problems.add(text.reason, f"{relative}#{number}", text.detail)
            continue
        if source.group_by is None:
            yield _document(source, relative, number, text, row)
            continue
        same = first is not None and row.get(source.group_by) == first[1].get(source.group_by)
        if first is not None and (not same or size > MAX_CHARACTERS):
            yield _document(source, relative, first[0], "\n".join(texts), first[1])
            texts, size, first = [], 0, None
        if first is None:
            first = (number, row)
        texts.append(text)
        size += len(text)
    if first is not None:
        yield _document(source, relative, first[0], "\n".join(texts), first[1])


def _row_text(source: SourceSettings, row: Row) -> str | Unreadable:
    if source.fields:
        parts = []
        for name in source.fields:
            value = _string(row.get(name))
            if value is None:
                return Unreadable("missing_field", f"no text in {name!r}; the row has {_names(row)}")
            parts.append(value)
        text = "\n".join(parts)
        return text if text.strip() else Unreadable("empty_text")
    for name in USUAL_FIELDS:
        if name in row:
            value = _string(row[name])
            if value is not None:
                return value if value and not value.isspace() else Unreadable("empty_text")
    return Unreadable("missing_field", f"set `fields`: the row has {_names(row)}")


def _names(row: Row) -> str:
    return ", ".join(sorted(map(str, row))[:12]) or "no fields"


def _string(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
        return "\n".join(value)
    return None


def _document(
    source: SourceSettings, relative: str, number: int, text: str, row: Mapping[str, Any]
) -> Document:
    origin = f"{printable(relative)}#{number}"
    address = row.get(source.url_field)
    own_id = row.get(source.id_field) if source.id_field else None
    own_license = row.get(source.license_field) if source.license_field else None
    # Names become strings of the corpus: half characters of JSON's \ud800 must not travel in them.
    named = isinstance(own_id, (str, int)) and not isinstance(own_id, bool)
    return Document(
        id=f"{source.name}:{_whole(str(own_id)) if named else origin}",
        text=text,
        source=source.name,
        language=source.language,
        license=_whole(own_license) if isinstance(own_license, str) and own_license else source.license,
        origin=f"{origin} {_whole(address)}" if isinstance(address, str) and "://" in address else origin,
    )


def _whole(name: str) -> str:
    return name.encode("utf-8", "replace").decode("utf-8")
