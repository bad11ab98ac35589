"""Excel: every sheet, one block for each region of cells that touch, values as they are shown.

Of formulas, the value that was kept at the last calculation is read; nothing is calculated here. What a file
claims about the size of a sheet is not believed: only cells that are there take memory.
"""

import re
from collections.abc import Iterator, Sequence

from malmoi.assist.retrieval.parsing.limits import ParseLimits
from malmoi.assist.retrieval.parsing.numberformat import CellFormats
from malmoi.assist.retrieval.parsing.package import Package
from malmoi.assist.retrieval.parsing.regions import Cells, column_name, regions
from malmoi.assist.retrieval.parsing.safexml import Element, attribute, below, child, local, stream_xml
from malmoi.assist.retrieval.parsing.writer import Writer
from malmoi.core.errors import DocumentUnreadable

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_STRICT = "http://purl.oclc.org/ooxml/spreadsheetml/main"
_REFERENCE = re.compile(r"([A-Z]{1,3})(\d{1,7})$")
_HIGHEST_ROW, _HIGHEST_COLUMN = 1_048_576, 16_384


def read(content: bytes, writer: Writer, limits: ParseLimits) -> None:
    """Write the regions of an xlsx file."""
    package = Package(content, name=writer.name, limits=limits)
    part = package.main_part("xl/workbook.xml")
    package.tell_properties(writer)
    book = package.xml(part)
    sheets = child(book, "sheets")
    listed = [sheet for sheet in sheets if local(sheet) == "sheet"] if sheets is not None else []
    if len(listed) > limits.pages:
        raise DocumentUnreadable(
            f"{writer.name!r} has {len(listed):,} sheets; at most {limits.pages:,} are read.",
            reason="too_large",
            fix="Cut it into several files.",
        )
    writer.pages = len(listed)
    targets = package.by_id(part)
    words = _shared(package, part, writer)
    formats = _formats(package, part, book)
    for number, sheet in enumerate(listed, 1):
        target = targets.get(_relation(sheet), "")
        name = (attribute(sheet, "name") or f"Sheet{number}")[:100]
        if target not in package or "worksheet" not in target:
            writer.remark(f"The sheet {name!r} holds no cells that could be read.")
            continue
        if attribute(sheet, "state") in ("hidden", "veryHidden"):
            writer.remark(f"The sheet {name!r} is hidden in the workbook; it was read as well.")
        cells = _cells(package.bytes(target), words, formats, writer, name)
        _write(cells, writer, name, number)


def _write(cells: Cells, writer: Writer, name: str, number: int) -> None:
    for region in regions(cells):
        quoted = name if re.fullmatch(r"\w+", name) else "'" + name.replace("'", "''") + "'"
        first = f"{column_name(region.left)}{region.top}"
        last = f"{column_name(region.right)}{region.bottom}"
        place = f"{quoted}!{first}" + (f":{last}" if last != first else "")
        rows = region.rows()
        if region.bottom == region.top and region.left == region.right:
            writer.add("paragraph", next(rows)[0], page=number, place=place)
        else:
            writer.table(rows, page=number, place=place)


def _shared(package: Package, part: str, writer: Writer) -> list[str]:
    """The table of words that cells point to."""
    words: list[str] = []
    size = 0
    for target in package.related(part, "sharedStrings"):
        for item in _stream(package.bytes(target), "si", target):
            text = _text(item)
            size += len(text)
            if size > 4 * max(writer.left, 1 << 20):
                raise writer.too_long()
            words.append(text)
    return words


def _formats(package: Package, part: str, book: Element) -> CellFormats:
    properties = child(book, "workbookPr")
    from_1904 = properties is not None and attribute(properties, "date1904") in ("1", "true")
    codes: dict[int, str] = {}
    used: list[int] = []
    for target in package.related(part, "styles"):
        styles = package.xml(target)
        for format_ in below(styles, "numFmt"):
            codes[_whole(attribute(format_, "numFmtId"))] = (attribute(format_, "formatCode") or "")[:255]
        cell_formats = child(styles, "cellXfs")
        if cell_formats is not None:
            used += [_whole(attribute(cell_format, "numFmtId")) for cell_format in cell_formats]
    return CellFormats(codes, used, from_1904=from_1904)


def _cells(
    content: bytes, words: Sequence[str], formats: CellFormats, writer: Writer, what: str
) -> dict[int, dict[int, str]]:
    """The cells that hold something: by row, by column, both from 1."""
    found: dict[int, dict[int, str]] = {}
    size, row_number, uncounted = 0, 0, 0
    for row in _stream(content, "row", f"{writer.name!r} ({what})"):
        told = attribute(row, "r")
        row_number = _whole(told) if told else row_number + 1
        if not 0 < row_number <= _HIGHEST_ROW:
            continue
        kept = found.setdefault(row_number, {})
        column = 0
        for cell in row:
            if local(cell) != "c":
                continue
            place = _REFERENCE.match(cell.get("r") or "")
            column = _column(place[1]) if place else column + 1
            text = _value(cell, words, formats)
            uncounted += not text and child(cell, "f") is not None
            if text.strip() and 0 < column <= _HIGHEST_COLUMN:
                kept[column] = text
                size += len(text) + 1
        if size > writer.left:
            raise writer.too_long()
        if not kept:
            del found[row_number]
    if uncounted:
        writer.remark(f"{what}: {uncounted} formulas have no value yet; open and save it with Excel.")
    return found


def _value(cell: Element, words: Sequence[str], formats: CellFormats) -> str:
    kind = cell.get("t") or "n"
    if kind == "inlineStr":
        inline = child(cell, "is")
        return _text(inline) if inline is not None else ""
    value = child(cell, "v")
    text = (value.text or "") if value is not None else ""
    match kind:
        case "s":
            place = _whole(text)
            return words[place] if place < len(words) else ""
        case "b":
            return "TRUE" if text == "1" else "FALSE" if text == "0" else text
        case "n":
            return formats.shown(text, _whole(cell.get("s")))
        case _:  # words of a formula, an error such as #N/A, a date in words
            return text


def _text(item: Element) -> str:
    """The words of a string, without its phonetic guides."""
    parts: list[str] = []
    for element in item:
        if local(element) == "t":
            parts.append(element.text or "")
        elif local(element) == "r":
            parts += [run.text or "" for run in element if local(run) == "t"]
    return "".join(parts)


def _stream(content: bytes, tag: str, what: str) -> Iterator[Element]:
    return stream_xml(content, (f"{{{_MAIN}}}{tag}", f"{{{_STRICT}}}{tag}"), what=what)


def _relation(sheet: Element) -> str:
    return next((str(value) for name, value in sheet.attrib.items() if name.endswith("}id")), "")


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - 64
    return number


def _whole(text: str | None) -> int:
    """A number of the file's own bookkeeping; a huge one where it is none."""
    if text is None:
        return 0
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 1 << 40
