"""Plain text and Markdown: a file, a paragraph or a line is a document; a large file becomes several."""

import io
from collections.abc import Iterator
from typing import Literal

from malmoi.factory.corpus.formats.decoding import SAMPLE, LineDecoder, is_binary, recoded, wide_encoding
from malmoi.factory.corpus.formats.opening import Unreadable, read_lines

MAX_CHARACTERS = 1_000_000
"""A longer text is cut, at an empty line if there is one, else at a line end."""


def as_text(stream: io.BufferedReader) -> io.BufferedReader:
    """The stream as bytes of UTF-8 (or CP949), without a byte order mark.

    Raises:
        Unreadable: it is not text.
    """
    head = stream.peek(SAMPLE)[:SAMPLE]
    wide = wide_encoding(head)
    if wide is not None:
        return recoded(stream, wide)
    if is_binary(head):
        raise Unreadable("binary_file")
    if head.startswith(b"\xef\xbb\xbf"):
        stream.read(3)
    return stream


def read_text(
    stream: io.BufferedReader, cut: Literal["file", "paragraph", "line"]
) -> Iterator[tuple[int, str | Unreadable]]:
    """Records of a text file: the number of the first line, and the text or why it is left out.

    A line that is too long is left out alone; one that cannot be decoded takes its record with it.
    """
    decoder = LineDecoder()
    record = _Record()
    for number, raw in read_lines(as_text(stream)):
        if raw is None:
            yield number, Unreadable("line_too_long")
            continue
        line = decoder.decode(raw)
        if line is None:
            record.broken = record.broken or number
            line = ""
        record.add(number, line)
        empty = not line.strip()
        if cut == "line" or (cut == "paragraph" and empty) or record.is_full(empty):
            yield from record.take()
    yield from record.take()


class _Record:
    """Lines gathered so far."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.characters = 0
        self.first = 1
        self.broken = 0

    def add(self, number: int, line: str) -> None:
        if not self.lines:
            self.first = number
        self.lines.append(line)
        self.characters += len(line) + 1

    def is_full(self, at_gap: bool) -> bool:
        return self.characters >= MAX_CHARACTERS or (at_gap and self.characters >= 0.9 * MAX_CHARACTERS)

    def take(self) -> Iterator[tuple[int, str | Unreadable]]:
        text = "\n".join(self.lines)
        if self.broken:
            yield self.broken, Unreadable("broken_encoding", "neither UTF-8 nor CP949")
        elif text.strip():
            yield self.first, text
        self.lines, self.characters, self.broken = [], 0, 0
