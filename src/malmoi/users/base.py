"""What a model of users is: it ranks all items for people by what they did, known or not.

B histories, M items, D numbers a vector.

    model = build_user_models().get("item-knn").fit(settings, logs, context)
    model.score([history])                  # (1, M), higher is better
    model.encode([history])                 # (1, D), where the kind has vectors
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from malmoi.core.registry import Registry
from malmoi.core.stage import Metrics, Progress, SilentProgress
from malmoi.users.cases import Cases
from malmoi.users.logs import History, Items, Logs


class UserModelSettings(BaseModel):
    """Base of every kind's settings: frozen, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


@dataclass(frozen=True)
class FitContext:
    """What fitting is given beside settings and logs.

    Attributes:
        work: folder for checkpoints; a fit that died goes on from what is there to the same result.
        seed: of everything random.
        validation: what to stop early by; None: the kind carves its own out of the logs, or needs none.
        progress: where it tells how far it is.
        home: Malmoi's home, to open tokenizers and engines by name.
    """

    work: Path
    home: Path
    seed: int = 0
    validation: Cases | None = None
    progress: Progress = field(default_factory=SilentProgress)

    @property
    def metrics(self) -> Metrics:
        """The fit's metrics, `work/metrics.jsonl`."""
        return Metrics(self.work / "metrics.jsonl")


class Recommender(Protocol):
    """Ranks all of its items. Its weights and items live in one folder, without pickles."""

    kind: ClassVar[str]
    """Its name in the registry, such as "item-knn"."""
    settings_type: ClassVar[type[UserModelSettings]]

    @property
    def items(self) -> Items:
        """What it ranks."""
        ...

    @classmethod
    def fit(cls, settings: Any, logs: Logs, context: FitContext) -> Self:
        """Learn from `logs`, all of it.

        Args:
            settings: a `settings_type`.
            logs: what users did until now; held-out events are not in it.
            context: checkpoints, seed, validation, progress.

        Raises:
            InvalidInput: the logs are too small or lack what this kind needs.
        """
        ...

    def score(self, histories: Sequence[History]) -> NDArray[np.float32]:
        """How likely each item is next, (B, M): higher is better. Rows do not affect each other."""
        ...

    def save(self, folder: Path) -> None:
        """Fill an existing empty folder: arrays as .npy or .safetensors, the rest as JSON or Parquet."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        ...


@runtime_checkable
class TextRecommender(Protocol):
    """A recommender of texts: items and users that it has never seen get vectors too.

    `score(h)` ranks as `encode(h) @ encode_items(items.texts).T` does, so a vector index can serve it.
    """

    @property
    def size(self) -> int:
        """Length of its vectors, D."""
        ...

    def encode(self, histories: Sequence[History]) -> NDArray[np.float32]:
        """One vector a user, (B, D). Reads `History.texts` only; an empty history gives a vector too."""
        ...

    def encode_items(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One vector an item text, (len(texts), D)."""
        ...


KINDS = {
    "popularity": "malmoi.users.baselines.popularity:Popularity",
    "item-knn": "malmoi.users.baselines.item_knn:ItemKNN",
    "markov": "malmoi.users.baselines.markov:Markov",
    "markov-knn": "malmoi.users.baselines.mixture:MarkovKNN",
    "ease": "malmoi.users.baselines.ease:EASE",
    "mean-text": "malmoi.users.baselines.mean_text:MeanText",
    "sasrec": "malmoi.users.sequences.sasrec:SASRec",
    "clue": "malmoi.users.sequences.clue:CLUE",
    "lmrec": "malmoi.users.sequences.lmrec:LMRec",
    "lightgcn": "malmoi.users.graphs.lightgcn:LightGCN",
    "multi-manifold": "malmoi.users.graphs.multi_manifold:MultiManifold",
}


def build_user_models() -> Registry[type[Recommender]]:
    """All kinds, each imported (and torch with it, where it needs that) when it is first asked for."""
    registry: Registry[type[Recommender]] = Registry("user_model")
    for name, target in KINDS.items():
        registry.add(name, target)
    return registry
