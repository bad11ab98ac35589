"""Cut a document into passages: spans that are searched and cited as one.

Passages follow the document's own borders. A section (what stands beneath a heading) begins a new passage
unless the one before is still short; paragraphs, items and small tables stay whole; a long paragraph is cut
between sentences, a long table between rows, long code between lines. Every character that is not white space
lies in exactly one passage, and no passage is longer than `most`.

A passage is a span and nothing else, so the heading row of a table that was cut cannot be repeated in it:
the passages behind the first carry that row as the last of their `headings`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from malmoi.assist.retrieval.document import Block, Document, Passage
from malmoi.assist.retrieval.sentences import sentence_spans
from malmoi.core.errors import InvalidInput

_LONGEST_HEADING = 200


@dataclass(frozen=True, slots=True)
class _Unit:
    """What is not cut any more; `headings` are those above it, `row` the heading row of a cut table."""

    start: int
    end: int
    block: Block
    headings: tuple[str, ...]
    opens: bool = False  # a heading
    row: str = ""


def split_passages(
    document: Document, *, target: int = 500, most: int = 900, least: int = 120
) -> list[Passage]:
    """Passages of a document, in order.

    Args:
        document: its blocks may leave out parts of its text; those count as paragraphs.
        target: characters that a passage should have.
        most: characters that it may have.
        least: a shorter one is put together with its neighbour where that fits.

    Raises:
        InvalidInput: the sizes are not `0 < least <= target <= most`.
    """
    if not 0 < least <= target <= most:
        raise InvalidInput(
            f"sizes of passages must be 0 < least <= target <= most, not {least}, {target}, {most}.",
            field="least",
        )
    groups: list[list[_Unit]] = []
    for unit in _units(document, most):
        if groups and _joins(groups[-1], unit, target, most, least):
            groups[-1].append(unit)
        else:
            groups.append([unit])
    return [_passage(group) for group in _mended(groups, most, least)]


def _joins(group: list[_Unit], unit: _Unit, target: int, most: int, least: int) -> bool:
    """Whether a unit goes on with the passage that is open."""
    length, together = group[-1].end - group[0].start, unit.end - group[0].start
    if together > most:
        return False
    if all(held.opens for held in group):
        return True  # a heading stays with what it heads
    if unit.opens:
        return length < least
    return together <= target or length < least


def _mended(groups: list[list[_Unit]], most: int, least: int) -> list[list[_Unit]]:
    """Headings that were left alone at an end go to what follows; short ends join what they end."""
    mended: list[list[_Unit]] = []
    for group in groups:
        before = mended[-1] if mended else None
        is_short = group[-1].end - group[0].start < least
        if before and is_short and not group[0].opens and group[-1].end - before[0].start <= most:
            before.extend(group)
        else:
            mended.append(list(group))
    return mended


def _passage(group: list[_Unit]) -> Passage:
    first = group[0]
    headings = (*first.headings, first.row) if first.row else first.headings
    return Passage(first.start, group[-1].end, headings, first.block.page, first.block.place)


def _units(document: Document, most: int) -> Iterator[_Unit]:
    path: list[tuple[int, str]] = []
    for block in _covering(document):
        is_heading = block.kind == "heading"
        if is_heading:
            level = max(block.level, 1)
            path = [above for above in path if above[0] < level]
        headings = tuple(title for _, title in path)
        row = _first_row(document.text, block) if block.kind == "table" else ""
        for place, (start, end) in enumerate(_pieces(document.text, block, most)):
            yield _Unit(start, end, block, headings, is_heading and place == 0, row if place else "")
        if is_heading:
            title = " ".join(document.text[block.start : block.end].split())
            path.append((level, title[:_LONGEST_HEADING]))


def _covering(document: Document) -> Iterator[Block]:
    """The blocks, and a paragraph for every stretch of words between them."""
    behind = 0
    for block in (*document.blocks, None):
        start = block.start if block is not None else len(document.text)
        between = document.text[behind:start]
        if between.strip():
            stripped = between.strip()
            begin = behind + len(between) - len(between.lstrip())
            yield Block("paragraph", begin, begin + len(stripped))
        if block is not None:
            yield block
            behind = block.end


def _pieces(text: str, block: Block, most: int) -> Iterator[tuple[int, int]]:
    """The spans of a block that are put together to passages again: all of it, where that fits."""
    if block.end - block.start <= most:
        if text[block.start : block.end].strip():
            yield block.start, block.end
        return
    if block.kind in ("table", "code"):
        spans = _lines(text, block.start, block.end)
    else:
        spans = (
            (block.start + start, block.start + end)
            for start, end in sentence_spans(text[block.start : block.end])
        )
    for start, end in spans:
        yield from _short(text, start, end, most)


def _lines(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end:
        line_end = text.find("\n", start, end)
        line_end = end if line_end < 0 else line_end
        if text[start:line_end].strip():
            yield start, line_end
        start = line_end + 1


def _short(text: str, start: int, end: int, most: int) -> Iterator[tuple[int, int]]:
    """A span in pieces of at most `most` characters, cut at white space where there is any."""
    while end - start > most:
        cut = max(text.rfind(mark, start + most // 2, start + most) for mark in " \t\n") + 1
        cut = cut or start + most
        piece = text[start:cut].rstrip()
        if piece:
            yield start, start + len(piece)
        start = cut
        while start < end and text[start].isspace():
            start += 1
    if text[start:end].strip():
        yield start, end


def _first_row(text: str, block: Block) -> str:
    line = text[block.start : block.end].partition("\n")[0]
    return " | ".join(cell for cell in line.split("\t") if cell)[:_LONGEST_HEADING]
