"""What goes with what somebody did: cosines between items (Sarwar et al. 2001), the recent counting more."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from malmoi.users.base import FitContext, UserModelSettings
from malmoi.users.baselines.counts import cosines, interactions, weigh
from malmoi.users.baselines.keeping import load_matrix, load_settings, save_counts
from malmoi.users.logs import History, Items, Logs

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


class ItemKNNSettings(UserModelSettings):
    """Of `ItemKNN`."""

    decay: float = Field(default=0.8, gt=0, le=1)
    """An event counts `decay ** age`; the last one's age is 0. 1: all alike (plain ItemKNN)."""


class ItemKNN:
    """The score of an item is the sum of its cosines with the history's items, weighted by recency.

    All neighbours count. Cosines are those of users' sets: c(i, j) / sqrt(c(i) c(j)).
    """

    kind: ClassVar[str] = "item-knn"
    settings_type: ClassVar[type[UserModelSettings]] = ItemKNNSettings

    def __init__(self, settings: ItemKNNSettings, items: Items, neighbours: "csr_matrix") -> None:
        self.settings = settings
        self.items = items
        self._neighbours = neighbours  # (M, M)

    @classmethod
    def fit(cls, settings: ItemKNNSettings, logs: Logs, context: FitContext) -> Self:
        """Count who did both."""
        return cls(settings, logs.items, cosines(interactions(logs)))

    def score(self, histories: Sequence[History]) -> NDArray[np.float32]:
        """Weighted sums of cosines, (B, M)."""
        return (weigh(histories, len(self.items), self.settings.decay) @ self._neighbours).toarray()

    def save(self, folder: Path) -> None:
        """Fill an existing empty folder."""
        save_counts(folder, self.kind, self.settings, self.items, matrices={"neighbours": self._neighbours})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        settings, items = load_settings(folder, cls.kind, ItemKNNSettings)
        return cls(settings, items, load_matrix(folder, "neighbours", len(items)))
