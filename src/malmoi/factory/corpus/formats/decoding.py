"""Bytes to text: UTF-8, what a byte order mark says, and the old Korean code page where the text is Korean.

A line that is not text is left out and counted, never decoded "with replacement" (only half a character of
UTF-16 becomes U+FFFD). Lines decide alone, except that a file whose first line beyond ASCII is CP949 is CP949
from there on.
"""

import codecs
import io
from typing import Literal

Encoding = Literal["utf-8", "cp949"]

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SAMPLE = 1 << 16
COMMON_HANGUL_SHARE = 0.6


def wide_encoding(head: bytes) -> str | None:
    """UTF-16 or UTF-32 (which, as a codec's name) if the first bytes of a file say so, else None."""
    for mark, name in BYTE_ORDER_MARKS[1:]:
        if head.startswith(mark):
            return name
    sample = head[:SAMPLE]
    if len(sample) >= 4 and b"\0" in sample:  # without a mark: ASCII letters leave zeros on one side
        even, odd = sample[0::2].count(0), sample[1::2].count(0)
        half = len(sample) // 2
        for share, name in ((odd, "utf-16-le"), (even, "utf-16-be")):
            if share > 0.4 * half and even + odd - share < 0.02 * half + 1:
                return name
    return None


def is_binary(head: bytes) -> bool:
    """Whether these first bytes of a file, which is not UTF-16 or UTF-32, are not text."""
    sample = head[:SAMPLE]
    if b"\0" in sample:
        return True
    controls = sum(sample.count(code) for code in (*range(1, 9), *range(14, 27), *range(28, 32)))
    return controls > 0.02 * len(sample) + 1


def recoded(stream: io.BufferedReader, encoding: str) -> io.BufferedReader:
    """A UTF-16 or UTF-32 stream as UTF-8, block by block."""
    return io.BufferedReader(_Recoded(stream, encoding), 1 << 16)


class _Recoded(io.RawIOBase):
    def __init__(self, stream: io.BufferedReader, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._ready:
            block = self._stream.read(1 << 15)
            if not block:
                return 0
            self._ready = self._decoder.decode(block).encode("utf-8", "replace")
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count


class LineDecoder:
    """Decodes the lines of one file, remembering what the file has turned out to be."""

    def __init__(self) -> None:
        self.encoding: Encoding | None = None
        """None while every line was ASCII."""

    def decode(self, line: bytes) -> str | None:
        """The line as text; None where it is neither UTF-8 nor Korean in CP949."""
        if self.encoding != "cp949":
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError:
                if self.encoding == "utf-8":
                    return None
            else:
                if self.encoding is None and not line.isascii():
                    self.encoding = "utf-8"
                return text
        korean = decode_cp949(line)
        if korean is not None and not line.isascii():
            self.encoding = "cp949"
        return korean


def decode_cp949(data: bytes) -> str | None:
    """`data` as CP949 if that makes Korean of it: mostly everyday syllables, as random bytes never do."""
    try:
        text = data.decode("cp949")
    except UnicodeDecodeError:
        return None
    high = [character for character in text[:20_000] if character > "\x7f"]
    if not high:
        return text
    common = sum("가" <= character <= "힣" and _is_common(character) for character in high)
    return text if common >= COMMON_HANGUL_SHARE * len(high) else None


def _is_common(syllable: str) -> bool:
    """Whether the syllable is one of the 2,350 of KS X 1001, which nearly all Korean text is made of."""
    return len(syllable.encode("euc_kr")) == 2  # Python spells the others letter by letter in eight bytes
