"""PDF by pdfium: the lines of every page with their places; `pdflayout` makes blocks of them."""

import ctypes
import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

from malmoi.assist.retrieval.parsing import pdflayout, recognition
from malmoi.assist.retrieval.parsing.limits import ParseLimits
from malmoi.assist.retrieval.parsing.pdflayout import Line, recognised_lines, title_key
from malmoi.assist.retrieval.parsing.recognition import LONGEST_SIDE, UNSURE, Picture
from malmoi.assist.retrieval.parsing.writer import Writer
from malmoi.core.errors import DocumentUnreadable, MissingExtra

_PROPERTIES = {
    "Title": "title",
    "Author": "author",
    "Subject": "subject",
    "Keywords": "keywords",
    "CreationDate": "created",
    "ModDate": "changed",
    "Creator": "program",
}
_DATE = re.compile(r"D:(\d{4})(\d\d)?(\d\d)?")
_MAY_COPY = 1 << 4  # of the permissions of an encrypted file (ISO 32000-1, table 22)
_DOTS_PER_INCH = 200
_FEW_WORDS = 10  # characters; a page with fewer, and with a picture, is one
_MOST_BOOKMARKS = 5000
_LONGEST_LINE = 100_000


def read(content: bytes, writer: Writer, limits: ParseLimits) -> None:
    """Write the blocks of a PDF file."""
    try:
        import pypdfium2
        from pypdfium2 import raw
    except ImportError as error:
        raise MissingExtra("Reading PDF files", "documents") from error
    try:
        document = pypdfium2.PdfDocument(content)
        count = len(document)
    except pypdfium2.PdfiumError as error:
        if raw.FPDF_GetLastError() == raw.FPDF_ERR_PASSWORD or "password" in str(error).lower():
            raise DocumentUnreadable(
                f"{writer.name!r} is encrypted.", reason="encrypted", fix="Save it without a password."
            ) from error
        raise DocumentUnreadable(
            f"{writer.name!r} is damaged: {str(error)[:200]}",
            reason="damaged",
            fix="Load it down again, or print it to a new PDF.",
        ) from error
    if count > limits.pages:
        raise DocumentUnreadable(
            f"{writer.name!r} has {count:,} pages; at most {limits.pages:,} are read.",
            reason="too_large",
            fix="Cut it into several files.",
        )
    writer.pages = count
    _tell_properties(document, writer)
    if not raw.FPDF_GetDocPermissions(document) & _MAY_COPY:
        writer.remark("Its author asks that text not be copied out of it.")
    pages: list[list[Line]] = []
    pictures: list[int] = []
    recognised: list[int] = []
    doubtful: list[int] = []
    reader = recognition.recogniser() if writer.recognise else None
    left = 2 * writer.left
    for number in range(count):
        try:
            page = document[number]
        except pypdfium2.PdfiumError:
            writer.remark(f"Page {number + 1} could not be read.")
            pages.append([])
            continue
        lines = _lines(page, raw, left, writer)
        left -= sum(len(line.text) for line in lines)
        pages.append(lines)
        if sum(len(line.text.strip()) for line in lines) < _FEW_WORDS and _has_picture(page, raw):
            if reader is not None and number + 1 in writer.recognise:
                found = reader.read(_drawn(page))
                pages[-1] = recognised_lines(found.text, page.get_height())
                (recognised if found.confidence >= UNSURE else doubtful).append(number + 1)
            else:
                pictures.append(number + 1)
        page.close()
    if pictures and limits.pictures and not writer.recognise and recognition.is_installed():
        writer.waiting = pictures
    if recognised:
        writer.remark(f"{_listed(recognised)}: text recognised in a picture, which may hold mistakes.")
    if doubtful:
        writer.remark(f"{_listed(doubtful)}: text recognised in a picture, which is doubtful.")
    if pictures:
        writer.remark(
            f"{_listed(pictures)} of {count} without text: a picture that would need text recognition."
        )
    pdflayout.write(pages, _bookmarks(document, pypdfium2), writer)


def _lines(page: Any, raw: Any, left: int, writer: Writer) -> list[Line]:
    """The lines of a page as pdfium finds them, in the order of the file."""
    text_page = page.get_textpage()
    count = text_page.count_chars()
    if count > left:
        raise writer.too_long()
    text = _text(text_page, count, raw)
    height = page.get_height()
    lines: list[Line] = []
    start = 0
    while start < len(text):
        end = text.find("\r\n", start)
        end = len(text) if end < 0 else end
        line = text[start:end]
        if line.strip():
            first = start + len(line) - len(line.lstrip())
            last = start + len(line.rstrip()) - 1
            left_box, size = _glyph(text_page, first, raw)
            right_box, _ = _glyph(text_page, last, raw)
            lines.append(
                Line(
                    text=line[:_LONGEST_LINE],
                    left=left_box[0],
                    right=max(right_box[1], left_box[1]),
                    top=left_box[3],
                    bottom=right_box[2],
                    size=size,
                    height=height,
                )
            )
        start = end + 2
    text_page.close()
    return lines


def _drawn(page: Any) -> Picture:
    """A page in grey, large enough for recognition and no larger."""
    width, height = page.get_size()
    scale = min(_DOTS_PER_INCH / 72, LONGEST_SIDE / max(width, height, 1.0))
    bitmap = page.render(scale=scale, grayscale=True)
    drawn = Picture(
        bytes(bitmap.buffer), bitmap.width, bitmap.height, bitmap.stride, max(round(72 * scale), 70)
    )
    bitmap.close()
    return drawn


def _text(text_page: Any, count: int, raw: Any) -> str:
    """All of a page in UTF-16 units, one a character, so that places count as pdfium counts them."""
    if count <= 0:
        return ""
    buffer = (ctypes.c_ushort * (2 * count + 2))()
    written = raw.FPDFText_GetText(text_page, 0, count, buffer)
    return "".join(map(chr, buffer[: max(written - 1, 0)]))


def _glyph(text_page: Any, place: int, raw: Any) -> tuple[tuple[float, float, float, float], float]:
    """The box (left, right, bottom, top) and the type size of one character of the text."""
    index = raw.FPDFText_GetCharIndexFromTextIndex(text_page, place)
    box = raw.FS_RECTF()
    if index < 0 or not raw.FPDFText_GetLooseCharBox(text_page, index, box):
        return (0.0, 0.0, 0.0, 0.0), 0.0
    # The size in the text's own units may be scaled by its matrix; the box is in points.
    size = raw.FPDFText_GetFontSize(text_page, index)
    return (box.left, box.right, box.bottom, box.top), max(abs(box.top - box.bottom), 0.0) or size


def _has_picture(page: Any, raw: Any) -> bool:
    return next(page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=2), None) is not None


def _bookmarks(document: Any, pypdfium2: Any) -> Mapping[int, Mapping[str, int]]:
    """The levels of the outline's titles: by page from 0, by `title_key`."""
    found: dict[int, dict[str, int]] = {}
    try:
        for mark in islice(document.get_toc(max_depth=6), _MOST_BOOKMARKS):
            target = mark.get_dest()
            page = target.get_index() if target is not None else None
            if page is not None and (title := title_key(mark.get_title())):
                found.setdefault(page, {})[title] = mark.level + 1
    except (pypdfium2.PdfiumError, UnicodeDecodeError, ValueError):
        return {}  # a damaged outline is no reason not to read the pages
    return found


def _tell_properties(document: Any, writer: Writer) -> None:
    try:
        told = document.get_metadata_dict(skip_empty=True)
    except UnicodeDecodeError:
        return
    for key, value in told.items():
        if (name := _PROPERTIES.get(key)) is not None:
            date = _DATE.match(value) if key.endswith("Date") else None
            writer.property(name, "-".join(part for part in date.groups() if part) if date else value)


def _listed(pages: list[int]) -> str:
    """Numbers of pages for people: "Pages 3-5, 9"."""
    runs: list[list[int]] = []
    for page in pages:
        if runs and page == runs[-1][1] + 1:
            runs[-1][1] = page
        else:
            runs.append([page, page])
    words = [str(first) if first == last else f"{first}-{last}" for first, last in runs]
    shown = ", ".join(words[:20]) + (" and others" if len(words) > 20 else "")
    return f"Page {shown}" if len(pages) == 1 else f"Pages {shown}"
