"""Plain text: paragraphs are set apart by empty lines; line ends within them stay."""

import re

from malmoi.assist.retrieval.parsing.clean import clean
from malmoi.assist.retrieval.parsing.writer import Writer

_EMPTY = re.compile(r"\n[^\S\n]*(?:\n[^\S\n]*)+")
_BULLET = re.compile(r"[-*•·▪◦○●■□▶]\s|\(?(?:\d{1,3}|[가나다라마바사아자차카타파하A-Za-z])[.)]\s|[①-⑳]")


def read(text: str, writer: Writer) -> None:
    """Write the paragraphs of a text."""
    for paragraph in _EMPTY.split(clean(text)):
        is_item = _BULLET.match(paragraph.lstrip()) and "\n" not in paragraph.strip()
        writer.add("list_item" if is_item else "paragraph", paragraph)
