"""Lines of PDF pages to blocks: reading order, page furniture, paragraphs, headings.

A PDF knows no paragraphs, only glyphs at places. What is done here is therefore careful guessing:

- Lines stay in the order of the file, in which most programs write what is read first; a page whose order
  jumps up and down is sorted by cutting it along its white gaps (recursive XY-cut, Nagy & Seth 1984).
- Lines at the upper or lower edge that come back on most pages, but for their digits, are left out.
- Headings are the titles of the outline, where the file has one; else lines set clearly larger than the rest.
- Lines are joined to paragraphs. Whether a Korean word was cut at a line's end is seen by the space that most
  programs leave there, else by whether the joined word stands elsewhere in the document.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from malmoi.assist.retrieval.document import BlockKind
from malmoi.assist.retrieval.parsing.writer import Writer
from malmoi.core.hangul import is_cjk

_EDGE = 0.09  # of a page's height: where heads and feet stand
_OFTEN = 0.4  # of the pages: a line that comes back on so many is furniture
_FEW_PAGES = 3  # in a shorter file a number at the edge may be anything
_LARGER = 1.15  # times the usual size: a heading
_LONGEST_HEADING = 120
_HYPHEN = "\ufffe"  # pdfium's sign for a hyphen that it has joined
_MOST_COLUMNS = 4
_MOST_SORTED = 3000  # lines of a page that is worth sorting
_LEADING = 14.0  # points from line to line of recognised text
_DEEPEST_CUT = 12
_ITEM = re.compile(
    r"\s*(?:[-*•·▪◦○●■□▶※]\s|\(?(?:\d{1,3}|[가나다라마바사아자차카타파하])\)\s|(?:\d{1,3}|[가나라마바])\.\s|[①-⑳]|제\s?\d{1,3}\s?[조장절항])"
)
_PAGE_NUMBER = re.compile(
    r"\s*(?:[-–—]\s?)?(?:p\.?\s?|page\s)?(?:\d{1,4}|[ivxlc]{1,6})(?:\s?(?:/|of)\s?\d{1,4})?(?:\s?[-–—]|\s?쪽|\s?페이지)?\s*$",
    re.I,
)
_NUMBER = re.compile(r"(?<!\d)\d{1,4}(?!\d)")
_NUMBERED = re.compile(r"\s*(?:\d{1,3}(?:\.\d{1,3})*\.?|[A-Z](?:\.\d{1,3})+|제\s?\d{1,3}\s?[장절편부])\s+")
_LEADERS = re.compile(r"(?: ?[.·…]){5,}")  # of a table of contents
_DONE = re.compile(r"[.!?:;。][\"'”’)\]]*\s*$")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a page, in points from the lower left corner; `height` is that of the page."""

    text: str
    left: float
    right: float
    top: float
    bottom: float
    size: float
    height: float


def title_key(text: str) -> str:
    """A title for comparing: without white space, and without its number, which outlines often lack."""
    bare = "".join(_NUMBERED.sub("", text).split())
    return bare or "".join(text.split())


def recognised_lines(text: str, height: float) -> list[Line]:
    """Lines of recognised text, set so that its empty lines divide paragraphs."""
    lines: list[Line] = []
    bottom = height * (1 - 2 * _EDGE)
    for words in text.split("\n"):
        # An empty line is so far that it never counts for a usual step.
        bottom -= _LEADING if words.strip() else 4 * _LEADING
        if words.strip():
            lines.append(Line(words.strip(), 0.0, 1.0, bottom + 10, bottom, 10.0, height))
    return lines


def write(pages: Sequence[list[Line]], bookmarks: Mapping[int, Mapping[str, int]], writer: Writer) -> None:
    """Write the blocks of all pages."""
    pages = _without_numbers(_without_furniture(pages, writer))
    pages = [_ordered(lines) for lines in pages]
    levels = _levels(pages)
    joiner = _Joiner(pages)
    pitch = _pitch(pages)
    for number, lines in enumerate(pages):
        titles = bookmarks.get(number, {})
        for paragraph in _paragraphs(lines, levels if not bookmarks else {}, titles, pitch):
            text = joiner.join(paragraph)
            level = titles.get(title_key(text), 0)
            if not bookmarks and len(text) <= _LONGEST_HEADING:
                level = levels.get(_rounded(paragraph[0].size), 0)
            place = f"p. {number + 1}"
            if level:
                writer.add("heading", text, level=level, page=number + 1, place=place)
            else:
                kind: BlockKind = "list_item" if _ITEM.match(text) else "paragraph"
                writer.add(kind, text, page=number + 1, place=place)


def _without_furniture(pages: Sequence[list[Line]], writer: Writer) -> list[list[Line]]:
    """The pages without the lines that come back on most of them; a remark tells of each."""
    seen = Counter(key for lines in pages for key in {_key(line) for line in lines if _at_edge(line)})
    usual = max(3.0, _OFTEN * sum(bool(lines) for lines in pages))
    furniture = {key for key, count in seen.items() if count >= usual} | _numbered(pages)
    if not furniture:
        return list(pages)
    for _, words in sorted(furniture):
        if words.strip("#-–—/ .|pP쪽페이지"):
            writer.remark(f"Left out, since it stands on most pages: {words[:100]!r}.")
    return [[line for line in lines if not (_at_edge(line) and _key(line) in furniture)] for lines in pages]


def _numbered(pages: Sequence[list[Line]]) -> set[tuple[bool, str]]:
    """Lines at the edge with a number that grows with the pages, such as the heads of one chapter."""
    seen: Counter[tuple[tuple[bool, str], int]] = Counter()
    for page, lines in enumerate(pages):
        for line in lines:
            if _at_edge(line):
                offsets = {int(number) - page for number in _NUMBER.findall(line.text)}
                seen.update((_key(line), offset) for offset in offsets)
    return {key for (key, _), count in seen.items() if count >= _FEW_PAGES}


def _without_numbers(pages: Sequence[list[Line]]) -> list[list[Line]]:
    """The pages without lines at the edge that are only a page number."""
    if len(pages) < _FEW_PAGES:
        return list(pages)
    return [
        [line for line in lines if not (_at_edge(line) and _PAGE_NUMBER.match(line.text))] for lines in pages
    ]


def _key(line: Line) -> tuple[bool, str]:
    return line.bottom > line.height / 2, re.sub(r"\d+", "#", " ".join(line.text.split()))


def _at_edge(line: Line) -> bool:
    return line.bottom > (1 - _EDGE) * line.height or line.top < _EDGE * line.height


def _ordered(lines: list[Line]) -> list[Line]:
    """The lines as they are read."""
    rises = [(before, after) for before, after in pairwise(lines) if after.bottom > before.top]
    jumps = any(after.left < before.right for before, after in rises)
    # A rise to the right begins a column, but no page has many of them.
    if not (jumps or len(rises) > _MOST_COLUMNS) or len(lines) > _MOST_SORTED:
        return lines
    return _cut(lines, 0)


def _cut(lines: list[Line], depth: int) -> list[Line]:
    """Left of the widest upright gap before what is right of it; above the widest level gap before below."""
    if len(lines) < 2 or depth > _DEEPEST_CUT:
        return sorted(lines, key=lambda line: (-line.top, line.left))
    size = median(line.size for line in lines) or 1.0
    upright = _gap([(line.left, line.right) for line in lines])
    if upright is not None and upright[0] >= size:
        left = [line for line in lines if line.right <= upright[1]]
        right = [line for line in lines if line.right > upright[1]]
        if min(len(left), len(right)) >= 3:
            return _cut(left, depth + 1) + _cut(right, depth + 1)
    level = _gap([(line.bottom, line.top) for line in lines])
    if level is not None and level[0] > 0:
        above = [line for line in lines if line.top > level[1]]
        below = [line for line in lines if line.top <= level[1]]
        if above and below:
            return _cut(above, depth + 1) + _cut(below, depth + 1)
    return sorted(lines, key=lambda line: (-line.top, line.left))


def _gap(spans: list[tuple[float, float]]) -> tuple[float, float] | None:
    """The widest stretch that no span covers, and where it begins."""
    spans = sorted(spans)
    reach, best = spans[0][1], None
    for start, end in spans[1:]:
        if start > reach and (best is None or start - reach > best[0]):
            best = (start - reach, reach)
        reach = max(reach, end)
    return best


def _levels(pages: Sequence[list[Line]]) -> dict[float, int]:
    """Levels of headings by type size; none where sizes say nothing reliable."""
    amounts: Counter[float] = Counter()
    for lines in pages:
        for line in lines:
            amounts[_rounded(line.size)] += len(line.text.strip())
    if not amounts:
        return {}
    body = max(amounts, key=lambda size: (amounts[size], -size))
    larger = sorted((size for size in amounts if size >= _LARGER * body), reverse=True)
    if sum(amounts[size] for size in larger) > 0.25 * sum(amounts.values()):
        return {}
    return {size: min(level, 4) for level, size in enumerate(larger, 1)}


def _step(before: Line, after: Line) -> float:
    """From a line down to the next; one that pdfium has joined at a hyphen is two lines high."""
    return before.bottom - (after.top - after.size)


def _rounded(size: float) -> float:
    return round(2 * size) / 2


def _pitch(pages: Sequence[list[Line]]) -> dict[float, float]:
    """The usual distance between lines of each size."""
    steps: dict[float, list[float]] = {}
    for lines in pages:
        for before, after in pairwise(lines):
            step = _step(before, after)
            if _rounded(before.size) == _rounded(after.size) and 0 < step < 4 * before.size:
                steps.setdefault(_rounded(before.size), []).append(step)
    return {size: median(found) for size, found in steps.items()}


def _paragraphs(
    lines: list[Line], levels: Mapping[float, int], titles: Mapping[str, int], pitch: Mapping[float, float]
) -> list[list[Line]]:
    """Lines that belong together."""
    paragraphs: list[list[Line]] = []
    right = max((line.right for line in lines), default=0.0)
    for line in lines:
        if paragraphs and _goes_on(paragraphs[-1], line, right, levels, titles, pitch):
            paragraphs[-1].append(line)
        else:
            paragraphs.append([line])
    return paragraphs


def _goes_on(
    paragraph: list[Line],
    line: Line,
    right: float,
    levels: Mapping[float, int],
    titles: Mapping[str, int],
    pitch: Mapping[float, float],
) -> bool:
    before, size = paragraph[-1], _rounded(line.size)
    if abs(before.size - line.size) > 0.13 * max(before.size, line.size):
        return False
    if title_key(before.text) in titles or title_key(line.text) in titles or _ITEM.match(line.text):
        return False
    step = _step(before, line)
    usual = pitch.get(size, 1.4 * line.size)
    if step <= 0:  # beside it or in the next column
        return step < -2 * usual and not _DONE.search(before.text) and size not in levels
    if step > 1.35 * usual:
        return False
    if size in levels:
        return len(paragraph) < 3
    if line.left > paragraph[-1].left + 0.8 * line.size and len(paragraph) > 1:
        return False  # the first line of the next paragraph is set in
    width = right - before.left
    room = right - before.right
    if room > 0.4 * width:
        return False
    return not (room > 0.12 * width and _DONE.search(before.text))


class _Joiner:
    """Puts lines together; knows the words of the whole document."""

    def __init__(self, pages: Sequence[list[Line]]) -> None:
        self._words: Counter[str] = Counter()
        ends = spaces = 0
        for lines in pages:
            for line in lines:
                self._words.update(line.text.split()[1:-1])
                if is_cjk(line.text.rstrip()[-1:] or " "):
                    ends += 1
                    spaces += line.text[-1:].isspace()
        # Programs that write the space at a line's end write all of them.
        self._trusts_spaces = spaces > 0.1 * ends

    def join(self, paragraph: Sequence[Line]) -> str:
        """The words of a paragraph."""
        text = _repaired(paragraph[0].text)
        for line in paragraph[1:]:
            following = _repaired(line.text)
            text += ("" if self._is_cut(text, following) else " ") + following
        return text

    def _is_cut(self, before: str, after: str) -> bool:
        if before[-1:].isspace() or not (is_cjk(before[-1:] or " ") and is_cjk(after[:1] or " ")):
            return False
        if self._trusts_spaces:
            return True
        head, tail = before.split()[-1], after.split()[0]
        return self._words[head + tail] > min(self._words[head], self._words[tail])


def _repaired(text: str) -> str:
    """Without the signs of hyphens; pairs of surrogates are joined later, when the text is cleaned."""
    return _LEADERS.sub(" …", text.replace(_HYPHEN, "").replace("\x02", ""))
