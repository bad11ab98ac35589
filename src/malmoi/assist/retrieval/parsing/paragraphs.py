"""Paragraphs of word processors: what their styles make of them, whichever program wrote them."""

from dataclasses import dataclass

from malmoi.assist.retrieval.parsing.numbering import Numbering
from malmoi.assist.retrieval.parsing.writer import Writer


@dataclass(frozen=True, slots=True)
class ParagraphStyle:
    """What a paragraph is.

    Attributes:
        heading: its level from 1; 0: it is none.
        is_item: of a list, also of one without numbers.
        number: the list that numbers it; empty: none.
        number_level: its level in that list.
    """

    heading: int = 0
    is_item: bool = False
    number: str = ""
    number_level: int = 0


def write_paragraph(writer: Writer, numbering: Numbering, style: ParagraphStyle, text: str) -> None:
    """Write a paragraph with its number; one without text is not counted."""
    if not text.strip():
        return
    number = numbering.next(style.number, style.number_level)
    text = f"{number} {text}" if number else text
    if style.heading:
        writer.add("heading", text, level=style.heading)
    else:
        writer.add("list_item" if style.is_item or style.number else "paragraph", text)
