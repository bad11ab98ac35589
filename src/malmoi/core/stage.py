"""A stage: one step of a recipe, from artifacts to an artifact.

    def run(config, inputs, out, context) -> metadata

A stage reads its inputs, keeps what it has half done under `context.work`, and fills `out`; when it returns,
`out` becomes an artifact and `work` goes away. If the process dies, the next run gives it the same `work`
again, and it must go on from there to the same result.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict
from pydantic.config import JsonDict

from malmoi.core.files import write_bytes
from malmoi.core.store import Artifact, ArtifactKind, Store

C = TypeVar("C", bound="StageConfig")

NEUTRAL: JsonDict = {"neutral": True}
"""`Field(json_schema_extra=NEUTRAL)`: a setting that changes speed or display but never the result, such as
the number of workers. It is left out of the stage's key."""


class StageConfig(BaseModel):
    """Base of every stage's configuration: frozen, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    def result_settings(self) -> dict[str, Any]:
        """All settings that the result depends on, as JSON values."""
        return _without_neutral(type(self), self.model_dump(mode="json"))


def _without_neutral(model: type[BaseModel], values: dict[str, Any]) -> dict[str, Any]:
    kept = {}
    for name, value in values.items():
        info = model.model_fields[name]
        if isinstance(info.json_schema_extra, dict) and info.json_schema_extra.get("neutral"):
            continue
        inner = info.annotation
        nested = isinstance(inner, type) and issubclass(inner, BaseModel) and isinstance(value, dict)
        kept[name] = _without_neutral(inner, value) if nested else value  # type: ignore[arg-type]
    return kept


def fingerprint(path: Path) -> str:
    """Of a file or folder, by names, sizes and times of change: quick, and new whenever somebody writes."""
    files = sorted(entry for entry in path.rglob("*") if entry.is_file()) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for file in files:
        status = file.stat()
        name = file.relative_to(path).as_posix() if path.is_dir() else file.name
        digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Input:
    """What a stage needs for one role: an artifact of one of these kinds."""

    kinds: tuple[ArtifactKind, ...]
    optional: bool = False


class Task(Protocol):
    """One long piece of work that a person watches."""

    def advance(self, amount: float = 1.0, **shown: str | float) -> None:
        """`amount` more is done; `shown` are the figures beside the bar, such as loss=2.31."""

    def at(self, done: float, **shown: str | float) -> None:
        """`done` in all is done."""


class Progress(Protocol):
    """Where a stage tells people how far it is."""

    def task(self, title: str, *, total: float | None = None, unit: str = "") -> AbstractContextManager[Task]:
        """A bar (a spinner where `total` is not known) until the block ends."""

    def note(self, text: str) -> None:
        """A line that stays: a warning, a sample, a result."""


class _SilentTask:
    def advance(self, amount: float = 1.0, **shown: str | float) -> None:
        pass

    def at(self, done: float, **shown: str | float) -> None:
        pass

    def __enter__(self) -> Task:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class SilentProgress:
    """Progress that nobody watches."""

    def task(self, title: str, *, total: float | None = None, unit: str = "") -> AbstractContextManager[Task]:
        """A task without a bar."""
        return _SilentTask()

    def note(self, text: str) -> None:
        """Nothing."""


class Metrics:
    """A metrics.jsonl file: one JSON object a line, each with its `step`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def log(self, step: int, **values: Any) -> None:
        """Append one line."""
        line = json.dumps({"step": step, **values}, ensure_ascii=False)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def read(self) -> Iterator[dict[str, Any]]:
        """All lines in order; one that a crash cut off is skipped."""
        if not self.path.exists():
            return
        with self.path.open(encoding="utf-8") as file:
            for line in file:
                try:
                    yield json.loads(line)
                except json.JSONDecodeError:
                    continue

    def forget_after(self, step: int) -> None:
        """Drop the lines of later steps: a run that goes on from a checkpoint writes them again."""
        kept = [row for row in self.read() if row["step"] <= step]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept)
        write_bytes(self.path, text.encode("utf-8"))


@dataclass(frozen=True, slots=True)
class StageContext:
    """What a stage is given beside its configuration and inputs."""

    store: Store
    name: str
    """The stage's name in its recipe."""
    work: Path
    """A folder for half-done work that a crash leaves in place; on the same file system as `out`."""
    seed: int
    home: Path
    """Malmoi's home directory, to open engines by name."""
    progress: Progress = field(default_factory=SilentProgress)
    data: Path | None = None
    """The folder that the user gave with --data."""
    rank: int = 0
    """Of this process among `world_size`, under torchrun; only rank 0 fills `out` and shows progress."""
    world_size: int = 1

    @property
    def metrics(self) -> Metrics:
        """The stage's metrics; the runner puts them into the artifact as about/metrics.jsonl."""
        return Metrics(self.work / "metrics.jsonl")


class Stage(ABC, Generic[C]):
    """One kind of step. Stages hold no state; everything comes by `run`'s arguments."""

    config: ClassVar[type[StageConfig]]
    kind: ClassVar[ArtifactKind]
    version: ClassVar[int] = 1
    """Raise it when the same configuration and inputs give another result than before."""
    inputs: ClassVar[Mapping[str, Input]] = {}
    distributed: ClassVar[bool] = False
    """Whether every rank runs it; else rank 0 does, and the others wait for the artifact."""

    def outside(self, config: C, data: Path | None, home: Path) -> Mapping[str, str]:
        """Fingerprints of what the stage reads from outside the store, such as the user's files.

        Args:
            config: its configuration.
            data: the folder that the user gave with --data.
            home: Malmoi's home directory, to find installed models.

        Raises:
            MalmoiError: something that it needs is not there.
        """
        return {}

    @abstractmethod
    def run(
        self, config: C, inputs: Mapping[str, Artifact], out: Path, context: StageContext
    ) -> Mapping[str, Any]:
        """Fill `out` and return the manifest's metadata (small, JSON).

        Files under `out/about/` tell how the artifact was made (metrics, pages, logs); they are no part of
        its content digest, so they may hold times.
        """
