"""The store: artifacts and runs as plain folders under `home/store`.

    store/artifacts/<kind>/<id>/manifest.json, files...
    store/runs/<id>/run.json
    store/work/<key>/...                        half-done work of a stage (core/runner.py)

An artifact is written into a temporary folder, its manifest last, and appears under its name by one rename:
what can be seen is whole. The manifest holds kind, the sha256 of every file, the ids of the inputs and of the
run, so that lineage is a walk over manifests. Artifacts never change; a run's `run.json` is replaced
atomically as its stages go on.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from malmoi import __version__
from malmoi.core.errors import Conflict, InvalidInput, MalmoiError, UnknownName
from malmoi.core.files import new_directory, publish_directory, write_json, write_text
from malmoi.core.locks import is_locked

ArtifactKind = Literal[
    "corpus",
    "tokenizer",
    "tokens",
    "model",
    "adapter",
    "reward",
    "classifier",
    "preferences",
    "quantized",
    "index",
    "report",
    "logs",
    "users",
    "graph",
]
RunStatus = Literal["running", "finished", "failed", "cancelled"]
StageStatus = Literal["reused", "running", "finished", "failed"]

M = TypeVar("M", bound=BaseModel)

_MANIFEST = "manifest.json"
LOCK = "lock"
"""The file of a run that its process holds locked while it lives."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


class FileRecord(BaseModel):
    """One file of an artifact; `size` in bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    path: str
    size: int
    sha256: str


class Manifest(BaseModel):
    """What an artifact is and where it came from."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    id: str
    kind: ArtifactKind
    name: str
    created_at: datetime
    version: str
    """Version of Malmoi that made it."""
    run: str | None = None
    inputs: tuple[str, ...] = ()
    metadata: dict[str, Any] = {}
    files: tuple[FileRecord, ...] = ()


class Artifact:
    """A finished artifact: its manifest and its folder."""

    def __init__(self, manifest: Manifest, path: Path) -> None:
        self.manifest = manifest
        self.path = path

    @property
    def id(self) -> str:
        """Unique id, `<kind>-<name>-<random>`."""
        return self.manifest.id

    @property
    def digest(self) -> str:
        """sha256 of the content: two artifacts with the same digest are interchangeable.

        Files under `about/` (metrics, pages, logs) tell how it was made and do not count.
        """
        lines = [
            f"{record.path}\0{record.sha256}\n"
            for record in self.manifest.files
            if not record.path.startswith("about/")
        ]
        return hashlib.sha256("".join(lines).encode("utf-8")).hexdigest()

    @property
    def is_complete(self) -> bool:
        """Whether every file is there with its size; `verify` reads them too."""
        return all(
            (path := self.path / record.path).is_file() and path.stat().st_size == record.size
            for record in self.manifest.files
        )

    def verify(self) -> None:
        """Compare every file with the manifest.

        Raises:
            MalmoiError: a file is missing, changed, or was added; the message names it.
        """
        expected = {record.path: record for record in self.manifest.files}
        present = set(_files(self.path))
        for path in sorted(expected.keys() | present):
            if path not in present:
                raise MalmoiError(f"artifact {self.id}: the file {path} is missing.", fix=_MAKE_AGAIN)
            if path not in expected:
                raise MalmoiError(
                    f"artifact {self.id}: the file {path} does not belong to it.", fix=_MAKE_AGAIN
                )
            if _sha256(self.path / path) != expected[path].sha256:
                raise MalmoiError(f"artifact {self.id}: the file {path} has changed.", fix=_MAKE_AGAIN)


_MAKE_AGAIN = "Remove the artifact and make it again."


class StageRecord(BaseModel):
    """One stage of a run; `artifact` is what it made or reused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    use: str
    status: StageStatus
    key: str = ""
    artifact: str | None = None
    seconds: float | None = None


class RunRecord(BaseModel):
    """What a run was asked to do, how far it is, and how it ended."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    id: str
    name: str
    status: RunStatus
    config: dict[str, Any]
    seed: int
    version: str
    started_at: datetime
    ended_at: datetime | None = None
    error: str | None = None
    data: str | None = None
    """The folder given with --data."""
    stages: tuple[StageRecord, ...] = ()


class Run:
    """One execution of a recipe: what was asked for, and what became of each stage."""

    def __init__(self, record: RunRecord, path: Path) -> None:
        self.record = record
        self.path = path

    @property
    def id(self) -> str:
        """Unique id, `<name>-<random>`."""
        return self.record.id

    @property
    def status(self) -> Literal["running", "finished", "failed", "cancelled", "interrupted"]:
        """As recorded; a run whose process is gone without a word was interrupted."""
        if self.record.status == "running" and not is_locked(self.path / LOCK):
            return "interrupted"
        return self.record.status

    def update(self, **changes: Any) -> None:
        """Replace fields of the record, on disk too."""
        self.record = self.record.model_copy(update=changes)
        _write_record(self.path, self.record)

    def set_stage(self, stage: StageRecord) -> None:
        """Enter what is known of a stage now."""
        others = [known for known in self.record.stages if known.name != stage.name]
        place = next((n for n, known in enumerate(self.record.stages) if known.name == stage.name), None)
        others.insert(len(others) if place is None else place, stage)
        self.update(stages=tuple(others))

    def end(self, status: RunStatus, *, error: str | None = None) -> None:
        """Record how the run ended; `error` is a sentence for people."""
        self.update(status=status, error=error, ended_at=datetime.now(UTC))


class Store:
    """Artifacts and runs under one folder.

    Args:
        root: the folder; it is made when first written to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def new_artifact(
        self,
        kind: ArtifactKind,
        name: str,
        *,
        inputs: Sequence[str] = (),
        run: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Iterator[Path]:
        """Give a folder to fill; when the block ends without an error it becomes an artifact.

        Raises:
            InvalidInput: the kind or name is not allowed.
            DiskFull: no room; nothing is left behind.
        """
        if kind not in get_args(ArtifactKind):
            raise UnknownName("artifact kind", kind, get_args(ArtifactKind))
        identifier = f"{kind}-{_checked(name)}-{token_hex(4)}"
        with new_directory(self.root / "artifacts" / kind / identifier) as folder:
            yield folder
            _write_manifest(folder, identifier, kind, name, inputs, run, metadata)

    def adopt(
        self,
        folder: Path,
        kind: ArtifactKind,
        name: str,
        *,
        inputs: Sequence[str] = (),
        run: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Artifact:
        """Make a filled folder of the same file system an artifact by one rename; the folder is gone then.

        Raises:
            InvalidInput: the name is not allowed.
            DiskFull: no room for the manifest; the folder is untouched.
        """
        identifier = f"{kind}-{_checked(name)}-{token_hex(4)}"
        _write_manifest(folder, identifier, kind, name, inputs, run, metadata)
        path = self.root / "artifacts" / kind / identifier
        publish_directory(folder, path)
        return _load_artifact(path)

    def artifacts(self, kind: ArtifactKind | None = None) -> list[Artifact]:
        """Finished artifacts, oldest first."""
        found = [
            _load_artifact(path.parent)
            for path in (self.root / "artifacts").glob(f"{kind or '*'}/*/{_MANIFEST}")
            if not path.parent.name.startswith(".")
        ]
        return sorted(found, key=lambda artifact: (artifact.manifest.created_at, artifact.id))

    def artifact(self, identifier: str) -> Artifact:
        """The artifact with this id.

        Raises:
            UnknownName: there is none; the message names the nearest.
        """
        kind = identifier.partition("-")[0]
        path = self.root / "artifacts" / kind / identifier
        if not _NAME.fullmatch(identifier) or not (path / _MANIFEST).is_file():
            raise UnknownName("artifact", identifier, (artifact.id for artifact in self.artifacts()))
        return _load_artifact(path)

    def lineage(self, identifier: str) -> list[Artifact]:
        """The artifact and everything it was made from, each once, nearest first.

        What somebody has deleted is left out; the manifests of those that were made from it still name it.

        Raises:
            UnknownName: there is no such artifact.
        """
        seen = {identifier: self.artifact(identifier)}
        waiting = list(seen[identifier].manifest.inputs)
        while waiting:
            current = waiting.pop(0)
            if current not in seen:
                with suppress(UnknownName):
                    seen[current] = self.artifact(current)
                    waiting.extend(seen[current].manifest.inputs)
        return list(seen.values())

    def new_run(self, name: str, *, config: Mapping[str, Any], seed: int, data: Path | None = None) -> Run:
        """Begin a run."""
        record = RunRecord(
            id=f"{_checked(name)}-{token_hex(4)}",
            name=name,
            status="running",
            config=dict(config),
            seed=seed,
            version=__version__,
            started_at=datetime.now(UTC),
            data=str(data) if data is not None else None,
        )
        path = self.root / "runs" / record.id
        with new_directory(path) as folder:
            _write_record(folder, record)
        return Run(record, path)

    def runs(self) -> list[Run]:
        """All runs, oldest first."""
        found = [_load_run(path.parent) for path in (self.root / "runs").glob("[!.]*/run.json")]
        return sorted(found, key=lambda run: (run.record.started_at, run.id))

    def run(self, identifier: str) -> Run:
        """The run with this id.

        Raises:
            UnknownName: there is none; the message names the nearest.
        """
        path = self.root / "runs" / identifier
        if not _NAME.fullmatch(identifier) or not (path / "run.json").is_file():
            raise UnknownName("run", identifier, (run.id for run in self.runs()))
        return _load_run(path)

    def remove_artifact(self, identifier: str) -> None:
        """Delete an artifact.

        Raises:
            Conflict: another artifact was made from it.
        """
        artifact = self.artifact(identifier)
        heirs = [other.id for other in self.artifacts() if identifier in other.manifest.inputs]
        if heirs:
            raise Conflict(f"{identifier} is an input of {', '.join(heirs)}.", fix="Remove those first.")
        # Without its manifest it is no artifact any more, so a crash half-way leaves nothing that looks
        # whole.
        (artifact.path / _MANIFEST).unlink()
        for path in sorted(artifact.path.rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
        artifact.path.rmdir()


def _write_manifest(
    folder: Path,
    identifier: str,
    kind: ArtifactKind,
    name: str,
    inputs: Sequence[str],
    run: str | None,
    metadata: Mapping[str, Any] | None,
) -> None:
    manifest = Manifest(
        id=identifier,
        kind=kind,
        name=name,
        created_at=datetime.now(UTC),
        version=__version__,
        run=run,
        inputs=tuple(inputs),
        metadata=dict(metadata or {}),
        files=tuple(
            FileRecord(path=path, size=(folder / path).stat().st_size, sha256=_sha256(folder / path))
            for path in _files(folder)
        ),
    )
    write_json(folder / _MANIFEST, manifest.model_dump(mode="json"))


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{name!r} is not a name for the store.",
            field="name",
            fix="Use small letters, digits, '.', '_' and '-', beginning with a letter or digit.",
        )
    return name


def _files(folder: Path) -> list[str]:
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if path != _MANIFEST)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _load_artifact(path: Path) -> Artifact:
    return Artifact(_read(Manifest, path / _MANIFEST), path)


def _write_record(folder: Path, record: RunRecord) -> None:
    # Not sorted: a recipe's stages run in the order of their tables.
    text = json.dumps(record.model_dump(mode="json"), ensure_ascii=False, indent=2)
    write_text(folder / "run.json", text + "\n")


def _load_run(path: Path) -> Run:
    return Run(_read(RunRecord, path / "run.json"), path)


def _read(model: type[M], path: Path) -> M:
    try:
        return model.model_validate_json(path.read_bytes())
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise MalmoiError(
            f"{path}: {where}: {fault['msg']}.", fix="Restore the file or remove its folder."
        ) from None
