"""Skills that admins have installed: texts in the database, read as if they were files of a folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO, StringIO
from typing import IO, Any

from malmoi.assist.skills.manifest import MANIFEST_NAME

MAX_DOCUMENT = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class UploadedFolder:
    """A folder of texts, in memory; what `importlib.resources` calls a `Traversable`."""

    files: dict[str, str]
    name: str = ""
    is_root: bool = True

    def iterdir(self) -> Iterator[UploadedFolder]:
        """Its files."""
        return (self / name for name in self.files)

    def joinpath(self, *parts: Any) -> UploadedFolder:
        """One of its files."""
        return UploadedFolder(self.files, str(parts[0]) if len(parts) == 1 else "", is_root=False)

    def __truediv__(self, child: Any) -> UploadedFolder:
        return self.joinpath(child)

    def is_dir(self) -> bool:
        """Whether this is the folder."""
        return self.is_root

    def is_file(self) -> bool:
        """Whether this is one of its files."""
        return not self.is_root and self.name in self.files

    def read_bytes(self) -> bytes:
        """The file's content in UTF-8.

        Raises:
            FileNotFoundError: it is not there.
        """
        return self.read_text().encode()

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> str:
        """The file's text.

        Raises:
            FileNotFoundError: it is not there.
        """
        del encoding, errors
        if self.is_root or self.name not in self.files:
            raise FileNotFoundError(self.name or ".")
        return self.files[self.name]

    def open(self, mode: str = "r", *_: Any, **__: Any) -> IO[Any]:
        """The file, for reading."""
        return BytesIO(self.read_bytes()) if "b" in mode else StringIO(self.read_text())

    def __str__(self) -> str:
        return self.name or "uploaded skill"


def uploaded(manifest: str, document_name: str, document: str | None) -> UploadedFolder:
    """The folder of an upload."""
    files = {MANIFEST_NAME: manifest}
    if document is not None:
        files[document_name] = document
    return UploadedFolder(files)
