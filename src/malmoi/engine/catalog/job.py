"""What every way of fetching a model is given, and gives back."""

from dataclasses import dataclass
from pathlib import Path

from malmoi.engine.catalog.manifest import FileRecord
from malmoi.engine.catalog.progress import Meter

MODEL_FILE = "model.gguf"


@dataclass(frozen=True, slots=True)
class Job:
    """One model to fetch.

    Attributes:
        workspace: a folder of this job alone; what lies there survives an interruption.
        size_bytes: the model's size; 0: not known.
        sha256: checksum of its one file; None: not known.
    """

    workspace: Path
    meter: Meter
    size_bytes: int = 0
    sha256: str | None = None

    @property
    def ready(self) -> Path:
        """The folder that becomes the model's folder: complete and verified files only."""
        path = self.workspace / "ready"
        path.mkdir(parents=True, exist_ok=True)
        return path


@dataclass(frozen=True, slots=True)
class Fetched:
    """The files in `Job.ready`, or those at `location` that are used in place.

    `license` and `languages` are what the source says of the model; empty: nothing.
    """

    files: tuple[FileRecord, ...]
    location: Path | None = None
    license: str = ""
    languages: tuple[str, ...] = ()
