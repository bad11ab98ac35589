"""Records of HWP 5 streams: a tag, a level, and bytes; levels make a tree of them.

After Hancom's description of the format, "HWP Document File Formats 5.0" (revision 1.3).
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

NUMBERING, PARA_SHAPE, STYLE = 0x17, 0x19, 0x1A
PARA_HEADER, PARA_TEXT, CTRL_HEADER, LIST_HEADER = 0x42, 0x43, 0x47, 0x48
TABLE, EQUATION, MEMO_LIST = 0x4D, 0x58, 0x5D

_LONG = 0xFFF  # a size that does not fit follows in four bytes
_CONTROL = re.compile("[\x00-\x1f]")
_IN_LINE = frozenset((4, 5, 6, 7, 8, 9, 19, 20))  # controls of eight units
_EXTENDED = frozenset((1, 2, 3, 11, 12, 14, 15, 16, 17, 18, 21, 22, 23))  # the same, with a record each
_UNITS = 8
_SINGLE = {10: "\n", 24: "-", 30: " ", 31: " "}
TAB = 9


@dataclass(slots=True)
class Record:
    """A record, and those beneath it."""

    tag: int
    data: bytes
    below: list["Record"] = field(default_factory=list)

    def number(self, offset: int, size: int) -> int:
        """An unsigned number of its data; 0 behind the end."""
        return int.from_bytes(self.data[offset : offset + size], "little")


def tree(stream: bytes) -> list[Record]:
    """The records of a stream that are beneath no other."""
    roots: list[Record] = []
    open_: list[tuple[int, Record]] = []
    for tag, level, data in _records(stream):
        record = Record(tag, data)
        while open_ and open_[-1][0] >= level:
            open_.pop()
        (open_[-1][1].below if open_ else roots).append(record)
        open_.append((level, record))
    return roots


def _records(stream: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    while at + 4 <= len(stream):
        (head,) = struct.unpack_from("<I", stream, at)
        at += 4
        size = head >> 20
        if size == _LONG:
            if at + 4 > len(stream):
                return
            (size,) = struct.unpack_from("<I", stream, at)
            at += 4
        yield head & 0x3FF, head >> 10 & 0x3FF, stream[at : at + size]
        at += size


def letters(data: bytes) -> Iterator[str | None]:
    """The text of a PARA_TEXT record in pieces; None stands for a control with a record of its own."""
    text = data[: len(data) // 2 * 2].decode("utf-16-le", "surrogatepass")
    if len(text) * 2 != len(data) // 2 * 2:
        # Letters beyond the first plane take two units; controls are counted in units.
        text = "".join(chr(unit) for (unit,) in struct.iter_unpack("<H", data[: len(data) // 2 * 2]))
    at = 0
    while (found := _CONTROL.search(text, at)) is not None:
        yield text[at : found.start()]
        code = ord(found[0])
        if code in _EXTENDED:
            yield None
            at = found.start() + _UNITS
        elif code in _IN_LINE:
            if code == TAB:
                yield "\t"
            at = found.start() + _UNITS
        else:
            yield _SINGLE.get(code, "")
            at = found.start() + 1
    yield text[at:]
