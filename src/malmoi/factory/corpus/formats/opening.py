"""Opening a file that may be compressed, as a stream of bytes or of lines with a limit to their length."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

MAX_LINE_BYTES = 16 << 20
"""A longer line (of JSON, CSV or text) is left out; so a stream's memory has a bound."""
MAX_EXPANSION = 300
EXPANSION_FLOOR = 256 << 20
"""A file that unpacks to more than this and to more than MAX_EXPANSION times its size is a bomb."""
GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
COMPRESSED = {".gz": GZIP_MAGIC, ".zst": ZSTD_MAGIC}


class Unreadable(Exception):
    """A file, or the rest of it, cannot be read; `reason` is counted, `detail` is for people."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class _Bounded(io.RawIOBase):
    """A decompressed stream that stops when it has grown out of all proportion to its file."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._limit = max(EXPANSION_FLOOR, size * MAX_EXPANSION)
        self._read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        self._read += len(data)
        if self._read > self._limit:
            raise Unreadable("expands_too_much", f"more than {self._limit >> 20} MB from a small file")
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def open_bytes(path: Path) -> Iterator[io.BufferedReader]:
    """The file's bytes, decompressed where its name ends in .gz or .zst.

    Errors that appear while reading become `Unreadable` inside the block too.

    Raises:
        Unreadable: it cannot be opened, is damaged, is not compressed as its name says, or holds another
            compressed file.
    """
    suffix = path.suffix.lower()
    try:
        with path.open("rb") as file:
            if suffix not in COMPRESSED:
                yield file
                return
            if file.peek(4)[: len(COMPRESSED[suffix])] != COMPRESSED[suffix]:
                raise Unreadable("broken_compression", f"is not {suffix} inside")
            with _decompress(file, suffix) as stream:
                raw = _Bounded(stream, path.stat().st_size)
                bounded = cast("io.BufferedReader", io.BufferedReader(raw, 1 << 18))
                head = bounded.peek(4)
                if head.startswith((GZIP_MAGIC, ZSTD_MAGIC)):
                    raise Unreadable("nested_compression", "unpack it once and try again")
                yield bounded
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Unreadable("broken_compression", str(error)) from error
    except OSError as error:
        raise Unreadable("unreadable_file", error.strerror or str(error)) from error


@contextmanager
def _decompress(file: BinaryIO, suffix: str) -> Iterator[BinaryIO]:
    if suffix == ".gz":
        with gzip.GzipFile(fileobj=file) as stream:
            yield stream  # type: ignore[misc]
        return
    import zstandard

    try:
        yield cast("BinaryIO", io.BufferedReader(_Zstd(file), 1 << 17))
    except zstandard.ZstdError as error:
        raise Unreadable("broken_compression", str(error)) from error


class _Zstd(io.RawIOBase):
    """A zstd stream, frame by frame. The library's own reader takes a file that is cut off for its end.

    Input goes in by 2 kB, since 4 bytes can make a block of 128 kB: that bounds the output at hand.
    """

    def __init__(self, file: BinaryIO) -> None:
        import zstandard

        self._file = file
        self._library = zstandard.ZstdDecompressor()
        self._frame: Any = None
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._ready:
            block = self._file.read(2048)
            if not block:
                if self._frame is not None:
                    raise EOFError("the file ends in the middle of a frame")
                return 0
            self._ready = memoryview(self._unpack(block))
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def _unpack(self, block: bytes) -> bytes:
        parts = []
        while block:
            self._frame = self._frame or self._library.decompressobj()
            parts.append(self._frame.decompress(block))
            block = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof:
                self._frame = None
        return b"".join(parts)


def read_lines(
    stream: io.BufferedReader, *, limit: int = MAX_LINE_BYTES
) -> Iterator[tuple[int, bytes | None]]:
    """Lines with their numbers from 1, without the line end; None for a line longer than `limit` bytes."""
    number = 0
    while line := stream.readline(limit):
        number += 1
        if len(line) < limit or line.endswith(b"\n"):
            yield number, line.rstrip(b"\r\n")
            continue
        while line and not line.endswith(b"\n"):  # the rest of it, in small pieces that are not kept
            del line
            line = stream.readline(1 << 16)
        yield number, None


def inner_suffix(name: str) -> str:
    """The suffix that says the format: that of `a.jsonl.gz` is `.jsonl`."""
    path = Path(name.lower())
    return Path(path.stem).suffix if path.suffix in COMPRESSED else path.suffix
