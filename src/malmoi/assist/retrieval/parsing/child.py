"""The child's side of `parse_file`: find the format, call its reader.

Every reader of ours is imported here, before the lock is put on: behind it, only installed packages can be
imported, which the readers do when they are called.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from malmoi.assist.retrieval.parsing import (
    delimited,
    detect,
    hwp5,
    hwpx,
    mail,
    markdown,
    notebook,
    pdf,
    picture,
    plain,
    slides,
    web,
    word,
    workbook,
)
from malmoi.assist.retrieval.parsing.charset import Decoded
from malmoi.assist.retrieval.parsing.formats import by_extension
from malmoi.assist.retrieval.parsing.limits import ParseLimits
from malmoi.assist.retrieval.parsing.writer import Writer
from malmoi.core.errors import DocumentUnreadable

_BINARY: Mapping[str, Callable[[bytes, Writer, ParseLimits], None]] = {
    "pdf": pdf.read,
    "docx": word.read,
    "xlsx": workbook.read,
    "pptx": slides.read,
    "hwpx": hwpx.read,
    "hwp": hwp5.read,
    "image": picture.read,
}
_TEXT: Mapping[str, Callable[[str, Writer], None]] = {
    "txt": plain.read,
    "md": markdown.read,
    "html": web.read,
    "csv": delimited.read,
    "ipynb": notebook.read,
}


def read(
    content: str, name: str, limits: Mapping[str, Any], recognise: Sequence[int] = ()
) -> Mapping[str, Any]:
    """Read a file.

    Args:
        content: its bytes in base64.
        name: for messages, and to tell kinds of text apart.
        limits: the fields of `ParseLimits`.
        recognise: pages whose pictures are to be read, as `waiting` of an earlier answer lists them.

    Returns:
        What `parse.parse_file` makes a document of. `waiting` are pages that are pictures and could be read;
        it comes alone where there is nothing else in the file.
    """
    data = base64.b64decode(content)
    bounds = ParseLimits(**limits)
    found, decoded = detect.detect(data, name, bounds)
    writer = Writer(found, name=name, characters=bounds.characters, blocks=bounds.blocks, recognise=recognise)
    try:
        _read(found, data, decoded, writer, bounds)
    except RecursionError as error:
        raise DocumentUnreadable(
            f"{name!r} is nested too deep.", reason="damaged", fix="Save it anew, with fewer levels."
        ) from error
    promised = by_extension(name)
    if promised is not None and promised.name != found:
        writer.remark(f"The name promises {promised.title}; the content is {found}.")
    return writer.finish()


def _read(found: str, data: bytes, decoded: Decoded | None, writer: Writer, limits: ParseLimits) -> None:
    if found == "eml":
        mail.read(data, writer)
    elif decoded is None:
        _BINARY[found](data, writer, limits)
    else:
        if len(decoded.text) > 8 * limits.characters:
            raise writer.too_long()
        if decoded.lost:
            writer.remark(f"{decoded.lost} characters could not be read as {decoded.charset}.")
        _TEXT[found](decoded.text, writer)
