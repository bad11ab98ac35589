"""Which model it is: the checksum of its files, so that answers of one are never taken for another's."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from malmoi.core.errors import UnknownName
from malmoi.core.store import Artifact, Store


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """A model that was asked for by `ref`.

    Attributes:
        sha256: of its file, or of the list of its files' checksums; None: it is behind a server.
        artifact: its id in the store, where it was made here.
    """

    ref: str
    sha256: str | None
    artifact: str | None = None

    @property
    def key(self) -> str:
        """What stands for the model in the ledger."""
        return self.sha256 or hashlib.sha256(self.ref.encode("utf-8")).hexdigest()


def identify(ref: str, *, home: Path) -> ModelIdentity:
    """The identity of a model. Files are read as a whole: a second or so per GB.

    Raises:
        UnknownName: there is no such installed model or run.
    """
    made = _made_by_run(ref, home)
    path = find_files(ref, home=home)
    if path is None:
        return ModelIdentity(ref, None)
    return ModelIdentity(ref, _checksum(path), made.id if made is not None else None)


def find_files(ref: str, *, home: Path) -> Path | None:
    """The file or folder that a reference names; None: it is not on this machine, or not there at all.

    Raises:
        UnknownName: there is no such installed model or run.
    """
    scheme, colon, rest = ref.partition(":")
    if not colon:
        from malmoi.engine.catalog import Catalog

        catalog = Catalog(home)
        catalog.info(ref)
        return catalog.path(ref) if catalog.installed(ref) else None
    if scheme in ("path", "scripted"):
        path = Path(rest).expanduser().resolve()
        return path if path.exists() else None
    if scheme == "run":
        made = _made_by_run(ref, home)
        if made is None:
            return None
        return next(iter(sorted(made.path.glob("*.gguf"))), made.path)
    if scheme == "hf":
        from malmoi.engine.catalog import Catalog

        catalog = Catalog(home)
        for card in catalog.entries():
            if card.source == ref and catalog.installed(card.name):
                return catalog.path(card.name)
    return None


def _made_by_run(ref: str, home: Path) -> Artifact | None:
    """The newest model of a run, the one that `open_engine` opens."""
    scheme, _, rest = ref.partition(":")
    if scheme != "run":
        return None
    store = Store(home / "store")
    run = store.run(rest)
    for artifact in reversed(store.artifacts()):
        if artifact.manifest.run == run.id and (
            any(artifact.path.glob("*.gguf")) or (artifact.path / "config.json").is_file()
        ):
            return artifact
    raise UnknownName("model of the run", rest, (), fix="Wait for it to finish, or look at its log.")


def _checksum(path: Path) -> str:
    if path.is_file():
        return _sha256(path)
    files = sorted(entry for entry in path.rglob("*") if entry.is_file() and entry.name != "manifest.json")
    lines = [f"{file.relative_to(path).as_posix()}\0{_sha256(file)}\n" for file in files]
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
