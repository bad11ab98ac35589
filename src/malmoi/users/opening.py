"""Finding a fitted model of users by name, and opening it; torch is imported here if its kind needs it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import MissingExtra, ModelFileInvalid, UnknownName, Unsupported
from malmoi.core.registry import Registry
from malmoi.core.store import Artifact, Store
from malmoi.users.base import Recommender, TextRecommender, build_user_models
from malmoi.users.logs import History, Logs, load_logs

LOGS_SUFFIX = "-logs"
"""Of the artifact that `malmoi users import --name NAME` makes."""
_AT_ONCE = 4096  # item texts encoded at once


@dataclass(frozen=True)
class OpenModel:
    """A fitted model that can be asked.

    Attributes:
        name: by which it was asked for.
        artifact: id of what it was read from.
        version: of its content: vectors of two versions do not mix.
        kind: of the model, such as "clue".
        model: itself.
        item_vectors: of all its items, (M, D); None: the kind has no vectors, so only `model.score` ranks.
    """

    name: str
    artifact: str
    version: str
    kind: str
    model: Recommender
    item_vectors: NDArray[np.float32] | None

    @property
    def encoder(self) -> TextRecommender:
        """The model as one that gives vectors.

        Raises:
            Unsupported: its kind gives none.
        """
        if not isinstance(self.model, TextRecommender):
            raise Unsupported(
                f"the user model {self.name!r} is of kind {self.kind}, which gives no vectors.",
                fix="Use a kind that reads texts, such as clue, lmrec or mean-text.",
            )
        return self.model

    @cached_property
    def numbers_of_text(self) -> Mapping[str, list[int]]:
        """All items of each text: several may read alike."""
        found: dict[str, list[int]] = {}
        for number, text in enumerate(self.model.items.texts):
            found.setdefault(text, []).append(number)
        return found

    def history(self, texts: Sequence[str]) -> History:
        """A history of texts; those that are texts of items have their numbers."""
        known = self.model.items.by_text
        return History(tuple(texts), np.array([known.get(text, -1) for text in texts], dtype=np.int32))


def find_model(home: Path, name: str) -> Artifact:
    """The artifact of this id, or the newest of this name.

    Raises:
        UnknownName: there is none; the message names the nearest.
    """
    found = Store(home / "store").artifacts("users")
    for artifact in reversed(found):
        if name in (artifact.id, artifact.manifest.name):
            return artifact
    known = {artifact.manifest.name for artifact in found} | {artifact.id for artifact in found}
    raise UnknownName("user model", name, known, fix="Fit one: malmoi users fit.")


def open_model(home: Path, name: str, *, registry: Registry[type[Recommender]] | None = None) -> OpenModel:
    """Open the model of this name or id, and make the vectors of its items.

    Args:
        home: Malmoi's home.
        name: of the artifact, or its id.
        registry: the kinds; None: all that are installed.

    Raises:
        UnknownName: there is no such model, or its kind is not known here.
        MissingExtra: its kind needs a package that is not installed.
        ModelFileInvalid: its files are broken.
    """
    artifact = find_model(home, name)
    kind = kind_of(artifact)
    try:
        model = (registry or build_user_models()).get(kind).load(artifact.path)
        vectors = _item_vectors(model)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("malmoi"):
            raise
        raise MissingExtra(f"A user model of kind {kind}", "users") from error
    return OpenModel(name, artifact.id, version_of(artifact), kind, model, vectors)


def kind_of(artifact: Artifact) -> str:
    """Which kind of model an artifact holds.

    Raises:
        ModelFileInvalid: it does not say so.
    """
    kind = artifact.manifest.metadata.get("kind")
    if not isinstance(kind, str):
        raise ModelFileInvalid(
            f"artifact {artifact.id} does not say of what kind it is: {json.dumps(kind)}.",
            fix="Make it again: malmoi users fit.",
        )
    return kind


def _item_vectors(model: Recommender) -> NDArray[np.float32] | None:
    if not isinstance(model, TextRecommender):
        return None
    texts = model.items.texts
    # One number of all items after the other: so the product with one user reads memory in a straight line.
    vectors = np.zeros((model.size, len(texts)), dtype=np.float32).T
    for start in range(0, len(texts), _AT_ONCE):
        part = texts[start : start + _AT_ONCE]
        vectors[start : start + len(part)] = model.encode_items(part)
    return vectors


def find_version(home: Path, version: str) -> str:
    """The id of the newest model of this content.

    Raises:
        UnknownName: it is no longer there.
    """
    for artifact in reversed(Store(home / "store").artifacts("users")):
        if version_of(artifact) == version:
            return artifact.id
    raise UnknownName(
        "user model of version", version, (), fix="Name another one with --model; everybody is encoded then."
    )


def version_of(artifact: Artifact) -> str:
    """What tells models of different content apart."""
    return artifact.digest[:16]


def find_logs(store: Store, name: str) -> Artifact:
    """The "logs" artifact of this id, or the newest of this name, with or without "-logs".

    Raises:
        UnknownName: there is none; the message names the nearest.
    """
    found = store.artifacts("logs")
    for artifact in reversed(found):
        if artifact.id == name or artifact.manifest.name in (name, name + LOGS_SUFFIX):
            return artifact
    known = {artifact.manifest.name for artifact in found}
    raise UnknownName("logs", name, known, fix="Make some: malmoi users import, or malmoi users simulate.")


def open_logs(home: Path, name: str) -> Logs:
    """The logs of a folder, or of the artifact that `find_logs` finds.

    Raises:
        UnknownName: there are none; the message names the nearest.
    """
    if Path(name).is_dir():
        return load_logs(Path(name))
    return load_logs(find_logs(Store(home / "store"), name).path)


def logs_with(home: Path, users: Sequence[str]) -> list[str]:
    """Ids of the "logs" artifacts that hold events of one of the users."""
    wanted = set(users)
    return [
        artifact.id
        for artifact in Store(home / "store").artifacts("logs")
        if not wanted.isdisjoint(load_logs(artifact.path).users)
    ]
