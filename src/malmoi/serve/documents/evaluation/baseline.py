"""The plain way to cut and embed documents, to compare with: pieces of 1,000 characters that overlap by 200.

It does what the usual recursive splitter does with its usual sizes: cut at blank lines where that fits, else
at line ends, else at spaces; embed the piece alone.
"""

from malmoi.assist.retrieval.document import Document, Passage

SIZE = 1000
OVERLAP = 200
_BORDERS = ("\n\n", "\n", " ")


def plain_pieces(document: Document) -> list[Passage]:
    """Pieces of a text, whatever stands in it."""
    text, pieces, start = document.text, [], 0
    while start < len(text):
        end = min(start + SIZE, len(text))
        if end < len(text):
            end = _border(text, start + SIZE // 2, end)
        if text[start:end].strip():
            pieces.append(Passage(start, end))
        if end == len(text):
            break
        start = _border(text, end - OVERLAP, end - 1)
    return pieces


def plain_texts(passage: Passage, text: str, title: str) -> list[str]:
    """The piece alone, without what stands above it."""
    del passage, title
    return [text]


def _border(text: str, least: int, most: int) -> int:
    """The last place between the two where a piece may end; the latter where there is none."""
    for mark in _BORDERS:
        at = text.rfind(mark, least, most)
        if at >= 0:
            return at + len(mark)
    return most
