"""Word documents: headings, lists, tables where they stand, text boxes, notes and comments.

What the reader of the printed page sees: deleted and hidden words are left out, inserted ones are kept.
Headers and footers of pages are not read.
"""

from collections.abc import Iterator, Mapping

from malmoi.assist.retrieval.parsing.limits import ParseLimits
from malmoi.assist.retrieval.parsing.numbering import Numbering
from malmoi.assist.retrieval.parsing.package import Package
from malmoi.assist.retrieval.parsing.paragraphs import write_paragraph
from malmoi.assist.retrieval.parsing.safexml import Element, attribute, child, local
from malmoi.assist.retrieval.parsing.wordstyles import Styles
from malmoi.assist.retrieval.parsing.writer import Writer

_LEFT_OUT = frozenset(
    {"del", "moveFrom", "instrText", "delText", "rPr", "pPr", "Fallback", "sdtPr", "sdtEndPr"}
)
_THROUGH = frozenset(
    {"sdt", "sdtContent", "ins", "moveTo", "customXml", "smartTag", "AlternateContent", "Choice"}
)
_BREAKS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "ptab": "\t"}
_NOTES = {"footnoteReference": "footnotes", "endnoteReference": "endnotes", "commentReference": "comments"}
_MOST_COLUMNS = 100  # that one cell may claim


def read(content: bytes, writer: Writer, limits: ParseLimits) -> None:
    """Write the blocks of a docx file."""
    package = Package(content, name=writer.name, limits=limits)
    part = package.main_part("word/document.xml")
    package.tell_properties(writer)
    body = child(package.xml(part), "body")
    if body is not None:
        _Body(package, part, writer).blocks(body)


class _Body:
    """Goes through the blocks; what a paragraph refers to is written behind it."""

    def __init__(self, package: Package, part: str, writer: Writer) -> None:
        self._writer = writer
        self._styles = Styles.of(package, part)
        self._numbering = Numbering.of(package, part)
        self._notes = {kind: _notes(package, part, kind) for kind in _NOTES.values()}
        self._tables = 0

    def blocks(self, parent: Element) -> None:
        """Write what stands directly in a body, a cell or a box."""
        for element in parent:
            tag = local(element)
            if tag == "p":
                self._paragraph(element)
            elif tag == "tbl":
                self._table(element)
            elif tag in _THROUGH:
                self.blocks(element)

    def _paragraph(self, paragraph: Element) -> None:
        words: list[str] = []
        boxes: list[Element] = []
        notes: list[tuple[str, str]] = []
        _inline(paragraph, words, boxes, notes)
        style = self._styles.of_paragraph(paragraph)
        write_paragraph(self._writer, self._numbering, style, "".join(words))
        for box in boxes:
            self.blocks(box)
        for kind, id_ in notes:
            self._writer.add("note", self._notes[kind].get(id_, ""))

    def _table(self, table: Element) -> None:
        cells = [cell for row in _rows(table) for cell in _cells(row)]
        if len(cells) == 1:  # a frame around other blocks
            self.blocks(cells[0])
            return
        self._tables += 1
        rows, notes, boxes = [], list[tuple[str, str]](), list[Element]()
        for row in _rows(table):
            line: list[str] = []
            for cell in _cells(row):
                words: list[str] = []
                properties = child(cell, "tcPr")
                if not _goes_on(properties):
                    _flow(cell, words, boxes, notes)
                line += ["".join(words), *[""] * (_span(properties) - 1)]
            rows.append(line)
        self._writer.table(rows, place=f"table {self._tables}")
        for box in boxes:
            self.blocks(box)
        for kind, id_ in notes:
            self._writer.add("note", self._notes[kind].get(id_, ""))


def _inline(element: Element, words: list[str], boxes: list[Element], notes: list[tuple[str, str]]) -> None:
    """The words of a paragraph, the text boxes that hang on it, and the notes that it refers to."""
    for below_ in element:
        tag = local(below_)
        if tag == "t":
            words.append(below_.text or "")
        elif tag in _BREAKS:
            words.append(_BREAKS[tag])
        elif tag == "txbxContent":
            boxes.append(below_)
        elif tag in _NOTES:
            notes.append((_NOTES[tag], attribute(below_, "id") or ""))
        elif tag == "r" and _is_hidden(below_):
            continue
        elif tag not in _LEFT_OUT:
            _inline(below_, words, boxes, notes)


def _flow(element: Element, words: list[str], boxes: list[Element], notes: list[tuple[str, str]]) -> None:
    """The words of a cell, nested tables and all, in one line."""
    for below_ in element:
        tag = local(below_)
        if tag == "p":
            _inline(below_, words, boxes, notes)
            words.append(" ")
        elif tag in ("tbl", "tr", "tc") or tag in _THROUGH:
            _flow(below_, words, boxes, notes)


def _notes(package: Package, part: str, kind: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for target in package.related(part, kind):
        for note in package.xml(target):
            if attribute(note, "type") in ("separator", "continuationSeparator"):
                continue
            words: list[str] = []
            _flow(note, words, [], [])
            author = attribute(note, "author")
            text = "".join(words).strip()
            found[attribute(note, "id") or ""] = f"{author}: {text}" if author and text else text
    return found


def _rows(table: Element) -> Iterator[Element]:
    for element in table:
        if local(element) == "tr":
            if child(element, "trPr", "del") is None:
                yield element
        elif local(element) in _THROUGH:
            yield from _rows(element)


def _cells(row: Element) -> Iterator[Element]:
    for element in row:
        if local(element) == "tc":
            yield element
        elif local(element) in _THROUGH:
            yield from _cells(element)


def _span(properties: Element | None) -> int:
    span = child(properties, "gridSpan") if properties is not None else None
    value = attribute(span, "val") if span is not None else None
    return (
        min(int(value), _MOST_COLUMNS)
        if value and value.isascii() and value.isdigit() and value != "0"
        else 1
    )


def _goes_on(properties: Element | None) -> bool:
    """Whether a cell is the lower part of one that spans rows."""
    merge = child(properties, "vMerge") if properties is not None else None
    return merge is not None and attribute(merge, "val") != "restart"


def _is_hidden(run: Element) -> bool:
    vanish = child(run, "rPr", "vanish")
    return vanish is not None and attribute(vanish, "val") not in ("0", "false", "off")
