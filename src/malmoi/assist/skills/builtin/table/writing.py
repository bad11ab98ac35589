"""A table as Markdown, as a workbook and as a document. What a cell says is text, and is never a formula."""

import io
import re
from collections.abc import Callable

from malmoi.assist.skills.builtin.table.grid import Grid, number
from malmoi.assist.skills.operation import File
from malmoi.core.errors import MissingExtra

_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
_BAD_NAME = re.compile(r"[^\w가-힣 .()-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_PLAIN_NUMBER = re.compile(r"-?(?:\d{1,3}(?:,\d{3})+|\d{1,15})(?:\.\d+)?")


def markdown(grid: Grid) -> str:
    """The table in Markdown; pipes and line ends in cells are kept from breaking it."""
    lines = [
        "| " + " | ".join(map(_escaped, grid.columns)) + " |",
        "| " + " | ".join("---" for _ in grid.columns) + " |",
    ]
    lines += ["| " + " | ".join(map(_escaped, row)) + " |" for row in grid.rows]
    return "\n".join(lines) + "\n"


def _escaped(cell: str) -> str:
    return cell.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def write(grid: Grid, form: str, name: str) -> File:
    """The table as a file.

    Args:
        grid: the table.
        form: "markdown", "xlsx" or "docx".
        name: of the file, without its ending; signs that file systems do not take are left out.

    Raises:
        MissingExtra: the library that writes this form is not installed.
    """
    ending, media_type, make = _FORMS[form]
    stem = _BAD_NAME.sub("", name).strip(" .")[:60] or "table"
    return File(f"{stem}.{ending}", media_type, make(grid, stem))


def _markdown_bytes(grid: Grid, _title: str) -> bytes:
    return markdown(grid).encode()


def _workbook(grid: Grid, title: str) -> bytes:
    try:
        from openpyxl import Workbook
        from openpyxl.styles import Font
        from openpyxl.utils import get_column_letter
    except ImportError as error:
        raise MissingExtra("Writing workbooks", "documents") from error
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = re.sub(r"[\\/*?:\[\]]", "", title)[:31] or "Sheet1"
    for across, name in enumerate(grid.columns, 1):
        _put(sheet, 1, across, name, as_text=True)
        sheet.cell(1, across).font = Font(bold=True)
        widest = max([len(name), *(len(row[across - 1]) for row in grid.rows)])
        sheet.column_dimensions[get_column_letter(across)].width = min(max(widest * 1.6 + 2, 8), 60)
    for down, row in enumerate(grid.rows, 2):
        for across, cell in enumerate(row, 1):
            _put(sheet, down, across, cell)
    sheet.freeze_panes = "A2"
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _put(sheet: object, down: int, across: int, text: str, *, as_text: bool = False) -> None:
    """Put text into a cell: as a number where it is one, else as text that no program takes for a formula."""
    cell = sheet.cell(down, across)  # type: ignore[attr-defined]
    value = number(text) if not as_text and _PLAIN_NUMBER.fullmatch(text) else None
    if value is not None and not (text.startswith("0") and text.isdigit() and len(text) > 1):
        cell.value = int(value) if value == int(value) else value
        if "," in text:
            cell.number_format = "#,##0.##" if "." in text else "#,##0"
        return
    cell.value = _CONTROL.sub("", text)
    if text.startswith(_FORMULA_SIGNS):
        # A string by its type, and marked as quoted, so that it stays one when it is edited.
        cell.data_type = "s"
        cell.style = "Normal"
        cell.quotePrefix = True


def _document(grid: Grid, title: str) -> bytes:
    try:
        from docx import Document
    except ImportError as error:
        raise MissingExtra("Writing documents", "documents") from error
    document = Document()
    document.add_heading(_CONTROL.sub("", title), level=1)
    table = document.add_table(rows=1, cols=max(1, len(grid.columns)))
    table.style = "Table Grid"
    for cell, name in zip(table.rows[0].cells, grid.columns, strict=False):
        cell.text = ""
        cell.paragraphs[0].add_run(_CONTROL.sub("", name)).bold = True
    for row in grid.rows:
        for cell, text in zip(table.add_row().cells, row, strict=False):
            cell.text = _CONTROL.sub("", text)
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


_FORMS: dict[str, tuple[str, str, Callable[[Grid, str], bytes]]] = {
    "markdown": ("md", "text/markdown", _markdown_bytes),
    "xlsx": ("xlsx", _XLSX, _workbook),
    "docx": ("docx", _DOCX, _document),
}
