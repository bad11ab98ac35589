"""Markdown by lines: headings, lists, tables, code, quotes, front matter; marks within a line are taken off.

Not the whole of CommonMark: what matters is where a block begins and what kind it is. Time grows with the
text alone.
"""

import re
from collections.abc import Sequence

from malmoi.assist.retrieval.document import BlockKind
from malmoi.assist.retrieval.parsing.clean import clean
from malmoi.assist.retrieval.parsing.writer import Writer

_FENCE = re.compile(r"[ ]{0,3}(`{3,}|~{3,})[^`]*$")
_ATX = re.compile(r"[ ]{0,3}(#{1,6})(?:[ \t]+(.*))?$")
_SETEXT = re.compile(r"[ ]{0,3}(?:=+|-{2,})[ \t]*$")
_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]+(?=\S)")
_RULE = re.compile(r"[ ]{0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$")
_TABLE_RULE = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_FIELD = re.compile(r"([A-Za-z_][\w-]{0,60}):[ \t]*(.*)$")

_TAG = re.compile(r"</?[A-Za-z][\w.-]{0,60}(?:\s[^<>]{0,500})?/?>")
_HEADING_ID = re.compile(r"[ \t]*(?:\{/\*[^*]{0,100}\*/\}|\{#[^}]{0,100}\})[ \t]*$")
_IMAGE = re.compile(r"!\[([^\]\n]{0,300})\]\([^()\n]{0,1000}\)")
_LINK = re.compile(r"\[([^\[\]\n]{1,500})\]\([^()\n]{0,1000}(?:\([^()\n]{0,200}\)[^()\n]{0,200})?\)")
_LINK_TARGET = re.compile(r"[ ]{0,3}\[[^\]\n]{1,200}\]:[ \t]*\S+")
_CODE_SPAN = re.compile(r"(?<!`)`([^`\n]{1,500})`(?!`)")
# Korean particles follow emphasis without a space; within Latin words and formulas a star is a star.
_STRONG = re.compile(r"\*\*(?=\S)((?:[^*\n]|\*(?!\*)){1,500}?)(?<=\S)\*\*")
_EMPHASIS = re.compile(r"(?<![A-Za-z0-9_*\\])\*(?=[^\s*])([^*\n]{1,500})(?<=\S)\*(?![A-Za-z0-9_*])")
_UNDERSCORE = re.compile(r"(?<![\w\\])_{1,2}(?=[^\s_])([^_\n]{1,500})(?<=\S)_{1,2}(?![A-Za-z0-9_])")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")


def read(text: str, writer: Writer, *, place: str = "") -> None:
    """Write the blocks of a Markdown text.

    Args:
        text: all of it.
        writer: takes the blocks.
        place: of every block, as in `Block.place`.
    """
    lines = _without_comments(clean(text)).split("\n")
    _Reader(lines, writer, place).run(_front_matter(lines, writer) if writer.is_empty else 0)


class _Reader:
    """Goes through the lines once; `_held` are those of the paragraph or item that is open."""

    def __init__(self, lines: Sequence[str], writer: Writer, place: str) -> None:
        self._lines = lines
        self._writer = writer
        self._place = place
        self._held: list[str] = []
        self._is_item = False
        self._in_list = False  # what is indented behind an item belongs to it, and is no code

    def run(self, at: int) -> None:
        """From a line to the end."""
        while at < len(self._lines):
            at = self._step(at)
        self._flush()

    def _step(self, at: int) -> int:
        line = self._lines[at]
        if not line.strip() or _LINK_TARGET.match(line):
            self._flush()
        elif fence := _FENCE.match(line):
            return self._code(at, fence[1])
        elif heading := _ATX.match(line):
            self._flush()
            self._heading((heading[2] or "").rstrip("# \t"), len(heading[1]))
        elif self._held and not self._is_item and _SETEXT.match(line):
            title, self._held = " ".join(self._held), []
            self._heading(title, 1 if "=" in line else 2)
        elif "|" in line and at + 1 < len(self._lines) and _is_table_rule(self._lines[at + 1]):
            return self._table(at)
        elif _RULE.match(line):
            self._flush()
        elif (
            not self._held and not self._in_list and line.startswith(("    ", "\t")) and not _ITEM.match(line)
        ):
            return self._indented(at)
        else:
            self._words(line)
        return at + 1

    def _words(self, line: str) -> None:
        if line.lstrip().startswith(">"):
            line = line.lstrip("> \t")
        if item := _ITEM.match(line):
            self._flush()
            self._is_item = self._in_list = True
            # The number of an item is part of what it says; a bullet is not.
            mark = item[0].strip()
            line = line[item.end() :] if mark in "-*+" else f"{mark} {line[item.end() :]}"
        elif not self._held and not line.startswith((" ", "\t")):
            self._in_list = False
        self._held.append(line)

    def _heading(self, title: str, level: int) -> None:
        self._writer.add("heading", inline(_HEADING_ID.sub("", title)), level=level, place=self._place)

    def _code(self, at: int, fence: str) -> int:
        self._flush()
        end = at + 1
        while end < len(self._lines):
            closing = self._lines[end].strip()
            if closing.startswith(fence) and not closing.strip(fence[0]):
                break
            end += 1
        self._writer.add("code", "\n".join(self._lines[at + 1 : end]), place=self._place)
        return end + 1

    def _indented(self, at: int) -> int:
        end = at
        while end < len(self._lines) and (
            not self._lines[end].strip() or self._lines[end].startswith(("    ", "\t"))
        ):
            end += 1
        self._writer.add("code", "\n".join(line[4:] for line in self._lines[at:end]), place=self._place)
        return end

    def _table(self, at: int) -> int:
        self._flush()
        rows, end = [_cells(self._lines[at])], at + 2
        while end < len(self._lines) and "|" in self._lines[end] and self._lines[end].strip():
            rows.append(_cells(self._lines[end]))
            end += 1
        self._writer.table(rows, place=self._place)
        return end

    def _flush(self) -> None:
        if self._held:
            kind: BlockKind = "list_item" if self._is_item else "paragraph"
            self._writer.add(kind, inline("\n".join(self._held)), place=self._place)
        self._held, self._is_item = [], False


def inline(text: str) -> str:
    """Words without the marks of links, emphasis, code and HTML; targets of links are left out."""
    for pattern in (_IMAGE, _LINK, _STRONG):
        text = pattern.sub(r"\1", text)
    pieces = _CODE_SPAN.split(text)
    for place in range(0, len(pieces), 2):  # what is between code; in code nothing is a mark
        piece = pieces[place]
        for pattern in (_EMPHASIS, _UNDERSCORE):
            piece = pattern.sub(r"\1", piece)
        pieces[place] = _ESCAPE.sub(r"\1", _TAG.sub("", piece))
    return "".join(pieces)


def _cells(line: str) -> list[str]:
    line = line.strip().removeprefix("|")
    if line.endswith("|") and not line.endswith("\\|"):
        line = line[:-1]
    return [inline(cell.replace("\\|", "|")) for cell in re.split(r"(?<!\\)\|", line)]


def _is_table_rule(line: str) -> bool:
    return "-" in line and "|" in line and len(line) < 10_000 and _TABLE_RULE.match(line) is not None


def _without_comments(text: str) -> str:
    parts, at = [], 0
    while (start := text.find("<!--", at)) >= 0 and (end := text.find("-->", start)) >= 0:
        parts.append(text[at:start])
        at = end + 3
    return "".join([*parts, text[at:]])


def _front_matter(lines: Sequence[str], writer: Writer) -> int:
    """Take the fields between two lines of three dashes at the very start; the first line behind them."""
    if not lines or lines[0].rstrip() != "---":
        return 0
    end = next((n for n, line in enumerate(lines[1:200], 1) if line.rstrip() in ("---", "...")), 0)
    for line in lines[1:end]:
        if field := _FIELD.match(line):
            value = field[2].strip().strip("\"'")
            writer.property(field[1].lower(), value)
            if field[1].lower() == "title":
                writer.title = writer.title or value[:300]
    return end + 1 if end else 0
