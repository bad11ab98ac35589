"""Jupyter notebooks: cells of text as Markdown, cells of code as code, printed output as code."""

import json
from typing import Any

from malmoi.assist.retrieval.parsing import markdown
from malmoi.assist.retrieval.parsing.writer import Writer
from malmoi.core.errors import DocumentUnreadable


def read(text: str, writer: Writer) -> None:
    """Write the cells, in order."""
    try:
        notebook = json.loads(text)
        cells = notebook["cells"]
        if not isinstance(cells, list):
            raise TypeError("cells")
    except (ValueError, KeyError, TypeError) as error:
        raise DocumentUnreadable(
            f"{writer.name!r} is a damaged notebook: {str(error)[:200]}.", reason="damaged"
        ) from error
    for number, cell in enumerate(cells, 1):
        if not isinstance(cell, dict):
            continue
        source, place = _joined(cell.get("source")), f"cell {number}"
        if cell.get("cell_type") == "markdown":
            markdown.read(source, writer, place=place)
        else:
            writer.add("code", source, place=place)
        outputs = cell.get("outputs")
        for output in outputs if isinstance(outputs, list) else ():
            if isinstance(output, dict):
                data = output.get("data")
                plain = data.get("text/plain") if isinstance(data, dict) else output.get("text")
                writer.add("code", _joined(plain), place=f"{place}, output")


def _joined(source: Any) -> str:
    if isinstance(source, list):
        return "".join(line for line in source if isinstance(line, str))
    return source if isinstance(source, str) else ""
