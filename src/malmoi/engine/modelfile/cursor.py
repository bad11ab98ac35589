"""Reading a binary file from front to back, with every read checked against the end of the file.

Windows are read into memory with `pread` instead of mapping the file: a file that is cut short while it is
mapped kills the reader with SIGBUS, and a mapping of a large model would count against the sandbox's memory.
"""

import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from malmoi.core.errors import ModelFileInvalid

_WINDOW = 1 << 20
_U64 = struct.Struct("<Q")


class Cursor:
    """A position in an open file of `size` bytes; `name` is used in errors."""

    def __init__(self, descriptor: int, size: int, name: str) -> None:
        self._descriptor = descriptor
        self._start = 0  # file offset of the window
        self._buffer = b""
        self._at = 0  # position inside the window
        self.size = size
        self.name = name

    @property
    def position(self) -> int:
        """Offset of the next byte in the file."""
        return self._start + self._at

    def invalid(self, fault: str, *, fix: str = "") -> ModelFileInvalid:
        """The error for this file."""
        return ModelFileInvalid(f"{self.name}: {fault}.", fix=fix or "Download the file again.")

    def seek(self, position: int) -> None:
        """Go to an offset."""
        if self._start <= position <= self._start + len(self._buffer):
            self._at = position - self._start
        else:
            self._start, self._buffer, self._at = position, b"", 0

    def skip(self, count: int, what: str) -> None:
        """Pass over `count` bytes, which must exist."""
        self._require(count, what)
        self.seek(self.position + count)

    def take(self, count: int, what: str) -> bytes:
        """The next `count` bytes."""
        self._require(count, what)
        self._fill(count)
        begin = self._at
        self._at += count
        return self._buffer[begin : self._at]

    def unpack(self, form: struct.Struct, what: str) -> Any:
        """One number of a fixed form."""
        return form.unpack(self.take(form.size, what))[0]

    def string(self, limit: int, what: str) -> bytes:
        """A string with its length in front, in 64 bits."""
        length = self.unpack(_U64, what)
        if length > limit:
            raise self.invalid(f"{what} at byte {self.position - 8} claims {length} bytes, over {limit}")
        return self.take(length, what)

    def strings(self, count: int, limit: int, what: str) -> Iterator[bytes]:
        """`count` strings in a row; the cursor stands behind the last when the iterator is used up."""
        unpack = _U64.unpack_from
        while count:
            self._require(8, what)
            self._fill(8)
            buffer, at, end = self._buffer, self._at, len(self._buffer)
            while count and at + 8 <= end:
                stop = at + 8 + unpack(buffer, at)[0]
                if stop > end:
                    break
                yield buffer[at + 8 : stop]
                at, count = stop, count - 1
            self._at = at
            if count and at + 8 <= end:  # this one reaches past the window
                yield self.string(limit, what)
                count -= 1

    def _require(self, count: int, what: str) -> None:
        if count > self.size - self.position:
            raise self.invalid(
                f"truncated: {what} needs {count} bytes at byte {self.position}, the file ends at {self.size}"
            )

    def _fill(self, count: int) -> None:
        """Have at least `count` bytes after the position in the window."""
        if len(self._buffer) - self._at >= count:
            return
        self._start, wanted = self.position, max(count, _WINDOW)
        pieces, got = [], 0
        while got < count:
            piece = os.pread(self._descriptor, wanted - got, self._start + got)
            if not piece:
                raise self.invalid("it became shorter while it was read")
            pieces.append(piece)
            got += len(piece)
        self._buffer, self._at = b"".join(pieces), 0


@contextmanager
def open_file(path: Path) -> Iterator[Cursor]:
    """A cursor at the beginning of a regular file.

    Raises:
        ModelFileInvalid: it cannot be read, or is a pipe, device or folder.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # opening a pipe must not wait for a writer
    except OSError as error:
        raise ModelFileInvalid(f"{path} cannot be read: {error.strerror}.") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ModelFileInvalid(f"{path} is not a regular file.")
        yield Cursor(descriptor, status.st_size, path.name)
    finally:
        os.close(descriptor)
