"""The documents of an evaluation: files of a folder, and the texts of its `*.jsonl.gz`.

A row of such a file is `{"src": name, "text": ...}`, or `{"src": name, "ko": ...}` a paragraph, whose
paragraphs follow one another. A document is named by its folder and `src`, or by its file.
"""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

from malmoi.core.errors import InvalidInput

_SUFFIXES = (".txt", ".md", ".html", ".pdf", ".docx", ".hwpx", ".hwp")


def read_corpus(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of each document, by name; licences and notes beside the data are left out.

    Args:
        folder: of the documents, or a single document.

    Raises:
        InvalidInput: there are none, or a row is not as it should be; the message names file and line.
    """
    if folder.is_file():
        yield folder.name, folder.read_bytes()
        return
    if not folder.is_dir():
        raise InvalidInput(f"{folder} is not a folder.", field="data")
    names = 0
    for room in sorted(path for path in folder.iterdir() if path.is_dir()):
        packed = room / "docs_ko.jsonl.gz"
        if not packed.is_file():
            packed = room / "pairs.jsonl.gz"
        if packed.is_file() and _fits(packed):
            texts = _texts(packed)
            for name in sorted(texts):
                names += 1
                # Markdown says what stands where; all else in such files is text, whatever it once was.
                end = "" if name.endswith(".md") else ".txt"
                yield f"{room.name}/{name}{end}", texts[name].encode()
    for path in sorted(folder.glob("*")):
        if path.suffix in _SUFFIXES and path.is_file():
            names += 1
            yield path.name, path.read_bytes()
    if not names:
        raise InvalidInput(f"there are no documents in {folder}.", field="data")


def _fits(path: Path) -> bool:
    """Whether the rows are documents: sets of other kinds may lie beside them."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        row = json.loads(next(lines, "{}"))
    return isinstance(row, dict) and "src" in row and ("text" in row or "ko" in row)


def _texts(path: Path) -> dict[str, str]:
    paragraphs: dict[str, list[str]] = {}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
                paragraphs.setdefault(row["src"], []).append(row["text"] if "text" in row else row["ko"])
            except (ValueError, KeyError, TypeError) as error:
                raise InvalidInput(f"{path}: line {number} is no row of a document.") from error
    return {name: "\n\n".join(parts) for name, parts in paragraphs.items()}
