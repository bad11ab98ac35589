"""The classifiers that the guard asks: found in the store, opened at the first question, shared by all."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from malmoi.engine.classify import LabelGroup, TextClassifier


@dataclass(frozen=True, slots=True)
class Opinion:
    """Probabilities of all labels of one text."""

    chances: Mapping[str, float]


class Classifiers:
    """All classifiers of one guard. Safe for use by several threads.

    Args:
        home: Malmoi's home directory, whose store is searched.
        names: artifacts or folders to use; None: of each set of labels the newest in the store.
        opened: classifiers to use as they are, instead of any other.
    """

    def __init__(
        self,
        home: Path | None,
        names: Sequence[str] | None = None,
        *,
        opened: Sequence[TextClassifier] | None = None,
    ) -> None:
        self._home = home
        self._names = names
        self._opened = None if opened is None else list(opened)
        self._lock = threading.Lock()

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels that can be told."""
        return tuple(label for one in self._all() for label in one.labels)

    @property
    def groups(self) -> tuple[LabelGroup, ...]:
        """The questions that can be answered."""
        return tuple(group for one in self._all() for group in one.groups)

    def predict(self, texts: Sequence[str]) -> list[Opinion]:
        """What all classifiers think of each text.

        Raises:
            MalmoiError: a classifier cannot be read.
        """
        found: list[dict[str, float]] = [{} for _ in texts]
        for classifier in self._all():
            chances: NDArray[np.float32] = classifier.predict(texts)
            for row, values in zip(found, chances.tolist(), strict=True):
                row.update(zip(classifier.labels, values, strict=True))
        return [Opinion(row) for row in found]

    def _all(self) -> list[TextClassifier]:
        with self._lock:
            if self._opened is None:
                self._opened = [_open(folder) for folder in self._folders()]
            return self._opened

    def _folders(self) -> list[Path]:
        from malmoi.core.store import Store

        if self._home is None:
            return [Path(name) for name in self._names or ()]
        store = Store(self._home / "store")
        if self._names is not None:
            return [Path(name) if "/" in name else store.artifact(name).path for name in self._names]
        return _newest([artifact.path for artifact in store.artifacts("classifier")])


def _newest(folders: Sequence[Path]) -> list[Path]:
    """Of classifiers, oldest first, those that tell a label that no newer one tells."""
    from malmoi.engine.classify.folder import read_about

    chosen: list[Path] = []
    told: set[str] = set()
    for folder in reversed(folders):
        labels = {label for question in read_about(folder).questions for label in question.labels}
        if not labels & told:
            told |= labels
            chosen.append(folder)
    return chosen


def _open(folder: Path) -> TextClassifier:
    from malmoi.engine.classify import load_classifier

    return load_classifier(folder)
