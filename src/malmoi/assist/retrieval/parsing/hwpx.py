"""HWPX (OWPML, KS X 6101): paragraphs, headings by outline, tables, text boxes, notes and equations.

Deleted words of tracked changes, heads and feet of pages and hidden comments are left out.
"""

import posixpath
from collections.abc import Iterator

from malmoi.assist.retrieval.parsing.archive import Archive
from malmoi.assist.retrieval.parsing.hwpxstyles import Styles
from malmoi.assist.retrieval.parsing.limits import ParseLimits
from malmoi.assist.retrieval.parsing.numbering import Numbering
from malmoi.assist.retrieval.parsing.paragraphs import write_paragraph
from malmoi.assist.retrieval.parsing.safexml import Element, attribute, below, child, local, parse_xml
from malmoi.assist.retrieval.parsing.writer import Writer
from malmoi.core.errors import DocumentUnreadable

_PACKAGE = "Contents/content.hpf"
_MANIFEST = "META-INF/manifest.xml"
_HEADER = "Contents/header.xml"
_PROPERTIES = {"title": "title", "creator": "author", "subject": "subject", "description": "description",
               "CreatedDate": "created", "ModifiedDate": "changed", "keyword": "keywords"}  # fmt: skip
_CHARACTERS = {"tab": "\t", "lineBreak": "\n", "nbSpace": " ", "fwSpace": " ", "hyphen": "-"}
_NOTES = frozenset({"footNote", "endNote"})
_LEFT_OUT = frozenset(
    {"header", "footer", "hiddenComment", "secPr", "linesegarray", "shapeComment", "default"}
)
_MOST_COLUMNS = 1000


def read(content: bytes, writer: Writer, limits: ParseLimits) -> None:
    """Write the blocks of an hwpx file."""
    archive = Archive(content, name=writer.name, limits=limits)
    if _is_encrypted(archive, writer.name):
        raise DocumentUnreadable(
            f"{writer.name!r} is encrypted.", reason="encrypted", fix="Save it without a password."
        )
    package = _xml(archive, _PACKAGE, writer.name)
    _tell_properties(package, writer)
    styles = Styles.of(_xml(archive, _HEADER, writer.name) if _HEADER in archive else None)
    sections = _sections(package, archive)
    if not sections:
        raise DocumentUnreadable(f"{writer.name!r} has no sections.", reason="damaged")
    body = _Body(writer, styles)
    for section in sections:
        body.blocks(_xml(archive, section, writer.name))


def _is_encrypted(archive: Archive, name: str) -> bool:
    if archive.is_encrypted:
        return True
    if _MANIFEST not in archive:
        return False
    manifest = _xml(archive, _MANIFEST, name)
    return next(below(manifest, "encryption-data", "EncryptedData"), None) is not None


def _xml(archive: Archive, path: str, name: str) -> Element:
    try:
        return parse_xml(archive.read(path), what=f"{name!r} ({path})")
    except KeyError:
        raise DocumentUnreadable(f"{name!r} lacks its part {path!r}.", reason="damaged") from None


def _sections(package: Element, archive: Archive) -> list[str]:
    """The parts of the body in the order of reading; those that the package forgets come last."""
    items = {attribute(item, "id") or "": attribute(item, "href") or "" for item in below(package, "item")}
    found: list[str] = []
    for reference in below(package, "itemref"):
        href = items.get(attribute(reference, "idref") or "", "")
        for path in (posixpath.normpath(href), posixpath.normpath(f"Contents/{href}")):
            if path in archive and "section" in path.rpartition("/")[2].lower() and path not in found:
                found.append(path)
    rest = [name for name in archive.names if name.startswith("Contents/section") and name.endswith(".xml")]
    return found + sorted((name for name in rest if name not in found), key=lambda name: (len(name), name))


def _tell_properties(package: Element, writer: Writer) -> None:
    for element in below(package, "title", "creator", "subject", "description", "meta"):
        name = attribute(element, "name") if local(element) == "meta" else local(element)
        if (known := _PROPERTIES.get(name or "")) is not None:
            writer.property(known, element.text)


class _Body:
    """Goes through paragraphs; what hangs on one is written behind it."""

    def __init__(self, writer: Writer, styles: Styles) -> None:
        self._writer = writer
        self._styles = styles
        self._numbering = Numbering(styles.lists)
        self._outline = ""
        self._tables = 0

    def blocks(self, parent: Element) -> None:
        """Write the paragraphs that stand directly in a section, a cell or a box."""
        for element in parent:
            if local(element) == "p":
                self._paragraph(element)

    def _paragraph(self, paragraph: Element) -> None:
        section = next(below(paragraph, "secPr"), None)
        if section is not None:
            self._outline = attribute(section, "outlineShapeIDRef") or self._outline
        words = _Words()
        words.collect(paragraph)
        style = self._styles.of_paragraph(paragraph, self._outline)
        write_paragraph(self._writer, self._numbering, style, "".join(words.text))
        self._hanging(words)

    def _hanging(self, words: "_Words") -> None:
        for kind, element in words.hanging:
            if kind == "table":
                self._table(element)
            elif kind == "note":
                self._writer.add("note", _flow(element))
            else:
                self.blocks(element)

    def _table(self, table: Element) -> None:
        cells = [cell for row in table if local(row) == "tr" for cell in row if local(cell) == "tc"]
        if len(cells) == 1:  # a frame around other blocks
            inner = child(cells[0], "subList")
            if inner is not None:
                self.blocks(inner)
            return
        self._tables += 1
        notes = _Words()
        rows = [_row(row, notes) for row in table if local(row) == "tr"]
        self._writer.table(rows, place=f"table {self._tables}")
        caption = child(table, "caption", "subList")
        if caption is not None:
            self.blocks(caption)
        notes.hanging = [(kind, element) for kind, element in notes.hanging if kind == "note"]
        self._hanging(notes)


class _Words:
    """The text of one paragraph, and what hangs on it."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.hanging: list[tuple[str, Element]] = []
        self._deleted = False

    def collect(self, element: Element) -> None:
        """Take in all that stands beneath an element of a paragraph."""
        for part in element:
            tag = local(part)
            if tag == "t":
                self._letters(part)
            elif tag == "tbl":
                self.hanging.append(("table", part))
            elif tag in _NOTES or (tag == "fieldBegin" and attribute(part, "type") == "MEMO"):
                self.hanging.append(("note", part))
            elif tag == "subList":  # of a text box or a caption
                self.hanging.append(("box", part))
            elif tag == "script":
                self._put(f" {part.text or ''} ")
            elif tag not in _LEFT_OUT:
                self.collect(part)

    def _letters(self, text: Element) -> None:
        self._put(text.text)
        for mark in text:
            tag = local(mark)
            if tag in ("deleteBegin", "deleteEnd"):
                self._deleted = tag == "deleteBegin"
            self._put(_CHARACTERS.get(tag))
            self._put(mark.tail)

    def _put(self, text: str | None) -> None:
        if text and not self._deleted:
            self.text.append(text)


def _row(row: Element, notes: _Words) -> list[str]:
    """The cells of a row at their columns; columns that other cells cover are empty."""
    cells: dict[int, str] = {}
    for place, cell in enumerate(element for element in row if local(element) == "tc"):
        address = child(cell, "cellAddr")
        column = _whole(attribute(address, "colAddr"), place) if address is not None else place
        inner = child(cell, "subList")
        if column < _MOST_COLUMNS:
            cells[column] = _flow(inner, notes) if inner is not None else ""
    return [cells.get(column, "") for column in range(max(cells, default=-1) + 1)]


def _flow(element: Element, notes: _Words | None = None) -> str:
    """The words of a cell or a note in one line, nested tables and boxes and all."""
    parts: list[str] = []
    for paragraph in _direct(element):
        words = _Words()
        words.collect(paragraph)
        parts.append("".join(words.text))
        for kind, hanging in words.hanging:
            if kind == "note" and notes is not None:
                notes.hanging.append((kind, hanging))
            elif kind == "table":
                parts += [_flow(cell) for cell in below(hanging, "subList") if _owner(cell) is hanging]
            elif kind == "box":
                parts.append(_flow(hanging, notes))
    return " ".join(part for part in parts if part.strip())


def _direct(element: Element) -> Iterator[Element]:
    for part in element:
        if local(part) == "p":
            yield part
        elif local(part) == "subList":
            yield from _direct(part)


def _owner(inner: Element) -> Element | None:
    """The table that a cell's text belongs to."""
    above = inner.getparent()
    while above is not None and local(above) != "tbl":
        above = above.getparent()
    return above


def _whole(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 7 else otherwise
