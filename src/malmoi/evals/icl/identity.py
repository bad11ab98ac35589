"""What tells one model from another, so that answers of one are never taken for those of another."""

import hashlib
from pathlib import Path

from malmoi.core.stage import fingerprint
from malmoi.core.store import Store


def model_key(ref: str, home: Path) -> str:
    """A checksum that changes when the model does.

    Of files by their names, sizes and times of change; of a run by what it has made. A server elsewhere is
    known by its address and the model's name alone.

    Args:
        ref: as `open_engine` takes it.
        home: Malmoi's home directory.

    Raises:
        UnknownName: there is no such model.
    """
    scheme, colon, rest = ref.partition(":")
    if not colon:
        from malmoi.engine.catalog import Catalog

        catalog = Catalog(home)
        if not catalog.installed(ref):
            return _digest(ref)  # opening it says what is wrong
        source = catalog.info(ref).source
        if source.startswith("run:"):
            return model_key(source, home)
        return _digest(f"file {fingerprint(catalog.path(ref))}")
    if scheme in ("path", "scripted"):
        path = Path(rest).expanduser().resolve()
        return _digest(f"file {fingerprint(path)}") if path.exists() else _digest(ref)
    if scheme == "run":
        made = [
            artifact.id for artifact in Store(home / "store").artifacts() if artifact.manifest.run == rest
        ]
        return _digest(f"{ref} {' '.join(made)}")
    return _digest(ref)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
