"""Zip archives that want no good: names, sizes and ratios are checked, the last two while reading."""

import io
import re
import zipfile
import zlib

from malmoi.assist.retrieval.parsing.limits import ParseLimits
from malmoi.core.errors import DocumentUnreadable

_CHUNK = 1 << 16
_FREE = 1 << 20  # unpacked bytes of an entry before its ratio counts
_ENCRYPTED = 0x1
_OUTSIDE = re.compile(r"^(?:/|[A-Za-z]:)|(?:^|/)\.\.(?:/|$)|\x00")


class Archive:
    """An archive in memory that is read entry by entry. Nothing is ever written to disk.

    Raises:
        DocumentUnreadable: it is damaged, encrypted, or larger than the limits.
    """

    def __init__(self, content: bytes, *, name: str, limits: ParseLimits) -> None:
        self._name = name
        self._limits = limits
        self._read = 0
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(content))
            entries = self._zip.infolist()
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, EOFError, IndexError) as error:
            raise self._damaged(str(error)) from error
        if len(entries) > limits.entries:
            raise self._too_large(f"has {len(entries):,} entries; at most {limits.entries:,} are read")
        if sum(entry.file_size for entry in entries) > limits.unpacked_bytes:
            raise self._too_large(f"would unpack to more than {limits.unpacked_bytes:,} bytes")
        self._entries: dict[str, zipfile.ZipInfo] = {}
        for entry in entries:
            path = entry.filename.replace("\\", "/")
            if _OUTSIDE.search(path):
                raise DocumentUnreadable(
                    f"{name!r} is an archive with the entry {entry.filename[:80]!r}, which points out of it.",
                    reason="damaged",
                    fix="Do not open it: documents have no such entries.",
                )
            self._entries.setdefault(path, entry)

    @property
    def names(self) -> list[str]:
        """Every entry, in the archive's order."""
        return list(self._entries)

    def __contains__(self, path: str) -> bool:
        return path in self._entries

    @property
    def is_encrypted(self) -> bool:
        """Whether any entry is."""
        return any(entry.flag_bits & _ENCRYPTED for entry in self._entries.values())

    def read(self, path: str) -> bytes:
        """One entry, unpacked.

        Raises:
            KeyError: there is none of this name.
        """
        entry = self._entries[path]
        if entry.flag_bits & _ENCRYPTED:
            raise DocumentUnreadable(
                f"{self._name!r} is encrypted.", reason="encrypted", fix="Save it without a password."
            )
        found = bytearray()
        try:
            with self._zip.open(entry) as stream:
                while chunk := stream.read(_CHUNK):
                    found += chunk
                    self._count(len(chunk), len(found), entry)
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError, NotImplementedError) as error:
            raise self._damaged(f"{path}: {error}") from error
        return bytes(found)

    def _count(self, chunk: int, size: int, entry: zipfile.ZipInfo) -> None:
        self._read += chunk
        if self._read > self._limits.unpacked_bytes:
            raise self._too_large(f"unpacks to more than {self._limits.unpacked_bytes:,} bytes")
        if size > _FREE and size > self._limits.ratio * max(entry.compress_size, 1):
            raise self._too_large(
                f"holds an entry that unpacks to more than {self._limits.ratio} times its size"
            )

    def _too_large(self, what: str) -> DocumentUnreadable:
        return DocumentUnreadable(
            f"{self._name!r} {what}.",
            reason="too_large",
            fix="Save it anew with the program that made it, without large pictures and empty cells.",
        )

    def _damaged(self, what: str) -> DocumentUnreadable:
        return DocumentUnreadable(
            f"{self._name!r} is damaged: {what[:200]}.",
            reason="damaged",
            fix="Load it down again, or open it with the program that made it and save it anew.",
        )
