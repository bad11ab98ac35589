"""The manifest of an installed model. It is written last, by rename: where it is, the model is whole."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from malmoi.core.errors import ModelFileInvalid
from malmoi.core.files import write_json
from malmoi.engine.catalog.blocking import check
from malmoi.engine.catalog.card import ModelCard

MANIFEST = "manifest.json"
_MAX_BYTES = 64 << 20
_STEP = 1 << 20


class FileRecord(BaseModel):
    """One file of a model: its path below the model's folder, size and checksum."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    size: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """What was installed, from where, and the checksum of every file.

    `location` is the file or folder elsewhere that is used in place; None: the files lie beside the manifest.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = Field(default=1, ge=1, le=1)
    card: ModelCard
    files: tuple[FileRecord, ...]
    location: str | None = None
    added_at: datetime = Field(default_factory=lambda: datetime.now(UTC))

    def write(self, folder: Path) -> None:
        """Write it into `folder`, all or nothing."""
        write_json(folder / MANIFEST, self.model_dump(mode="json"))

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Read it from `folder`.

        Raises:
            ModelFileInvalid: it is not a manifest, or of a version we do not know.
            FileNotFoundError: there is none.
        """
        path = folder / MANIFEST
        if path.stat().st_size > _MAX_BYTES:
            raise ModelFileInvalid(f"{path}: is larger than {_MAX_BYTES} bytes.")
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ModelFileInvalid(
                f"{path}: {where or 'the file'}: {first['msg']}.",
                fix=f"Remove the folder {folder} and add the model again.",
            ) from error


def hash_file(path: Path, stop: Event, on_bytes: Callable[[int], None] | None = None) -> str:
    """SHA-256 of a file; `on_bytes` is told the length of every piece."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_STEP):
            check(stop)
            digest.update(piece)
            if on_bytes is not None:
                on_bytes(len(piece))
    return digest.hexdigest()
