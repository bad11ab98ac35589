"""HWP 5: paragraphs, headings by outline, tables, text boxes, notes, memos and equations.

Heads and feet of pages and hidden comments are left out. Other files of the same container (old Office files,
encrypted new ones) are told apart here, and refused.
"""

import io
import struct
import zlib
from typing import Any

from malmoi.assist.retrieval.parsing.hwp5records import (
    CTRL_HEADER,
    EQUATION,
    LIST_HEADER,
    MEMO_LIST,
    PARA_HEADER,
    PARA_TEXT,
    TABLE,
    Record,
    letters,
    tree,
)
from malmoi.assist.retrieval.parsing.hwp5styles import Styles
from malmoi.assist.retrieval.parsing.hwp5summary import summary
from malmoi.assist.retrieval.parsing.limits import ParseLimits
from malmoi.assist.retrieval.parsing.numbering import Numbering
from malmoi.assist.retrieval.parsing.paragraphs import write_paragraph
from malmoi.assist.retrieval.parsing.writer import Writer
from malmoi.core.errors import DocumentUnreadable, MissingExtra

_SIGNATURE = b"HWP Document File"
_COMPRESSED, _PASSWORD, _DISTRIBUTION, _DRM = 1 << 0, 1 << 1, 1 << 2, 1 << 4
_CERTIFICATE, _CERTIFICATE_DRM = 1 << 8, 1 << 10
_OTHERS = (
    ("WordDocument", "an old Word document (doc)", "docx"),
    ("Workbook", "an old Excel workbook (xls)", "xlsx"),
    ("Book", "an old Excel workbook (xls)", "xlsx"),
    ("PowerPoint Document", "an old PowerPoint file (ppt)", "pptx"),
)
_PROPERTIES = {2: "title", 3: "subject", 4: "author", 5: "keywords", 6: "description"}
_CHUNK = 1 << 16
_FREE = 1 << 20  # unpacked bytes of a stream before its ratio counts
_MOST_SECTIONS = 10_000
_MOST_COLUMNS = 1000
_OUTLINE_AT = 18  # in the control of a section: the numbering of its outline


def read(content: bytes, writer: Writer, limits: ParseLimits) -> None:
    """Write the blocks of an hwp file."""
    try:
        import olefile
    except ImportError as error:
        raise MissingExtra("Reading HWP files", "documents") from error
    try:
        with olefile.OleFileIO(io.BytesIO(content)) as compound:
            _Reader(compound, writer, limits).run()
    # What olefile meets in a damaged file comes as any of these.
    except (OSError, ValueError, TypeError, IndexError, KeyError, AttributeError, struct.error) as error:
        raise DocumentUnreadable(
            f"{writer.name!r} is damaged: {str(error)[:200]}.",
            reason="damaged",
            fix="Open it with the program that made it and save it anew.",
        ) from error


class _Reader:
    """Opens the streams of one file."""

    def __init__(self, compound: Any, writer: Writer, limits: ParseLimits) -> None:
        self._compound = compound
        self._writer = writer
        self._limits = limits
        self._unpacked = 0
        self._compressed = False

    def run(self) -> None:
        """Check the header, then read every section."""
        self._check_kind()
        flags = self._flags()
        self._compressed = bool(flags & _COMPRESSED)
        self._tell_properties()
        styles = Styles(tree(self._stream("DocInfo")))
        body = _Body(self._writer, styles)
        number = 0
        while number < _MOST_SECTIONS and self._compound.exists(f"BodyText/Section{number}"):
            body.section(tree(self._stream(f"BodyText/Section{number}")))
            number += 1
        if not number:
            raise ValueError("it has no sections")

    def _check_kind(self) -> None:
        name = self._writer.name
        if self._compound.exists("EncryptedPackage") or self._compound.exists("EncryptionInfo"):
            raise DocumentUnreadable(
                f"{name!r} is encrypted.", reason="encrypted", fix="Save it without a password."
            )
        for stream, what, better in _OTHERS:
            if self._compound.exists(stream):
                raise DocumentUnreadable(
                    f"{name!r} is {what}, which is not read.",
                    reason="unsupported",
                    fix=f"Save it as {better}.",
                )
        if not self._compound.exists("FileHeader"):
            raise DocumentUnreadable(
                f"{name!r} is a compound file of an unknown kind.",
                reason="unsupported",
                fix="Save it as hwpx.",
            )

    def _flags(self) -> int:
        header = self._compound.openstream("FileHeader").read(256)
        if not header.startswith(_SIGNATURE) or len(header) < 40:
            raise ValueError("its header is none of HWP 5")
        version, flags = int.from_bytes(header[32:36], "little"), int.from_bytes(header[36:40], "little")
        name = self._writer.name
        if version >> 24 != 5:
            raise DocumentUnreadable(
                f"{name!r} is HWP {version >> 24}, which is not read.",
                reason="unsupported",
                fix="Save it as hwpx.",
            )
        if flags & (_PASSWORD | _CERTIFICATE):
            raise DocumentUnreadable(
                f"{name!r} is encrypted.", reason="encrypted", fix="Save it without a password."
            )
        if flags & (_DISTRIBUTION | _DRM | _CERTIFICATE_DRM):
            what = "a distribution document (배포용 문서)" if flags & _DISTRIBUTION else "protected by DRM"
            raise DocumentUnreadable(
                f"{name!r} is {what}: its publisher lets nobody take its text.",
                reason="locked",
                fix="Ask whoever published it for an open copy.",
            )
        return flags

    def _stream(self, name: str) -> bytes:
        packed: bytes = self._compound.openstream(name).read()
        if not self._compressed:
            return packed
        unpacker = zlib.decompressobj(-15)
        found = bytearray()
        waiting = packed
        try:
            while waiting and not unpacker.eof:
                chunk = unpacker.decompress(waiting, _CHUNK)
                waiting = unpacker.unconsumed_tail
                found += chunk
                self._unpacked += len(chunk)
                too_dense = len(found) > _FREE and len(found) > self._limits.ratio * len(packed)
                if too_dense or self._unpacked > self._limits.unpacked_bytes:
                    raise DocumentUnreadable(
                        f"{self._writer.name!r} unpacks to far more than its size.", reason="too_large"
                    )
                if not chunk and not waiting:
                    break
        except zlib.error as error:
            raise ValueError(f"{name}: {error}") from error
        return bytes(found)

    def _tell_properties(self) -> None:
        name = "\x05HwpSummaryInformation"
        if not self._compound.exists(name):
            return
        for key, value in summary(self._compound.openstream(name).read(_CHUNK)).items():
            self._writer.property(_PROPERTIES.get(key, ""), value)


class _Body:
    """Goes through paragraphs; what hangs on one is written behind it."""

    def __init__(self, writer: Writer, styles: Styles) -> None:
        self._writer = writer
        self._styles = styles
        self._numbering = Numbering(styles.lists)
        self._outline = ""
        self._tables = 0

    def section(self, records: list[Record]) -> None:
        """Write a section."""
        for record in records:
            if record.tag == PARA_HEADER:
                self._paragraph(record)
            elif record.tag == MEMO_LIST:
                self._writer.add("note", _flow(record))

    def _paragraph(self, header: Record) -> None:
        text, hanging = self._words(header)
        style = self._styles.of_paragraph(header, self._outline)
        write_paragraph(self._writer, self._numbering, style, text)
        for record in header.below:
            if record.tag == MEMO_LIST:
                self._writer.add("note", _flow(record))
        self._hanging(hanging)

    def _words(self, header: Record) -> tuple[str, list[Record]]:
        for control in header.below:
            if control.tag == CTRL_HEADER and _kind(control) == "secd":
                self._outline = str(control.number(_OUTLINE_AT, 2))
        return _words(header)

    def _hanging(self, controls: list[Record]) -> None:
        for control in controls:
            kind = _kind(control)
            if kind == "tbl ":
                self._table(control)
            elif kind in ("fn  ", "en  "):
                self._writer.add("note", _flow(control))
            elif kind == "gso ":
                for paragraph in _paragraphs(control):
                    self._paragraph(paragraph)

    def _table(self, control: Record) -> None:
        cells, caption = _cells(control)
        if len(cells) == 1:  # a frame around other blocks
            for paragraph in cells[0][1]:
                self._paragraph(paragraph)
            return
        self._tables += 1
        rows: dict[int, dict[int, str]] = {}
        notes: list[Record] = []
        for head, paragraphs in cells:
            column, row = head.number(8, 2), head.number(10, 2)
            if column < _MOST_COLUMNS:
                rows.setdefault(row, {})[column] = _joined(paragraphs, notes)
        self._writer.table(
            ([row.get(column, "") for column in range(max(row) + 1)] for _, row in sorted(rows.items())),
            place=f"table {self._tables}",
        )
        for paragraph in caption:
            self._paragraph(paragraph)
        self._hanging(notes)


def _kind(control: Record) -> str:
    return control.data[3::-1].decode("latin-1")


def _words(header: Record) -> tuple[str, list[Record]]:
    """The text of a paragraph with its equations, and the controls that hang on it."""
    controls = iter([record for record in header.below if record.tag == CTRL_HEADER])
    parts: list[str] = []
    hanging: list[Record] = []
    for record in header.below:
        if record.tag != PARA_TEXT:
            continue
        for piece in letters(record.data):
            control = next(controls, None) if piece is None else None
            if control is not None and _kind(control) == "eqed":
                parts.append(_equation(control))
            elif control is not None:
                hanging.append(control)
            elif piece:
                parts.append(piece)
    return "".join(parts), [*hanging, *controls]


def _equation(control: Record) -> str:
    for record in control.below:
        if record.tag == EQUATION:
            size = 2 * record.number(4, 2)
            return f" {record.data[6 : 6 + size].decode('utf-16-le', 'replace')} "
    return ""


def _cells(control: Record) -> tuple[list[tuple[Record, list[Record]]], list[Record]]:
    """The cells of a table, each its head and its paragraphs; and the paragraphs of its caption."""
    cells: list[tuple[Record, list[Record]]] = []
    caption: list[Record] = []
    in_table = False
    for record in control.below:
        if record.tag == TABLE:
            in_table = True
        elif record.tag == LIST_HEADER and in_table:
            cells.append((record, _inner(record)))
        elif record.tag == PARA_HEADER:
            (cells[-1][1] if cells else caption).append(record)
    return cells, caption


def _inner(record: Record) -> list[Record]:
    """Paragraphs right beneath a record; most programs write them beside it instead."""
    return [below for below in record.below if below.tag == PARA_HEADER]


def _paragraphs(record: Record) -> list[Record]:
    """The paragraphs of a shape and of the shapes in it, but not those that hang on them."""
    found: list[Record] = []
    for below in record.below:
        if below.tag == PARA_HEADER:
            found.append(below)
        elif below.tag != CTRL_HEADER:
            found += _paragraphs(below)
    return found


def _flow(record: Record, notes: list[Record] | None = None) -> str:
    """All words beneath a record in one line."""
    return _joined(_paragraphs(record), notes)


def _joined(paragraphs: list[Record], notes: list[Record] | None = None) -> str:
    parts: list[str] = []
    for paragraph in paragraphs:
        text, hanging = _words(paragraph)
        parts.append(text)
        for control in hanging:
            kind = _kind(control)
            if kind in ("fn  ", "en  ") and notes is not None:
                notes.append(control)
            elif kind in ("tbl ", "gso "):
                parts.append(_flow(control, notes))
    return " ".join(part for part in parts if part.strip())
