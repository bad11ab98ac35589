"""What comes right after the last item, and what goes with the others: Markov and ItemKNN in one score.

Ten lines of counting that on Amazon's sequences rank above many a published network; every learned model is
reported against it. The constants were fixed before anything was measured.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from malmoi.users.base import FitContext, UserModelSettings
from malmoi.users.baselines.counts import cosines, interactions, last_items, weigh
from malmoi.users.baselines.keeping import load_matrix, load_settings, save_counts
from malmoi.users.baselines.markov import both_ways
from malmoi.users.logs import History, Items, Logs

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


class MarkovKNNSettings(UserModelSettings):
    """Of `MarkovKNN`."""

    markov: float = Field(default=1.0, ge=0)
    """Weight of the transitions from the last item."""
    knn: float = Field(default=0.5, ge=0)
    """Weight of the cosines with the history."""
    reverse: float = Field(default=0.5, ge=0)
    """As of `Markov`."""
    decay: float = Field(default=0.8, gt=0, le=1)
    """As of `ItemKNN`."""


class MarkovKNN:
    """markov * (T + reverse * T transposed)[last] + knn * ItemKNN with recency."""

    kind: ClassVar[str] = "markov-knn"
    settings_type: ClassVar[type[UserModelSettings]] = MarkovKNNSettings

    def __init__(
        self, settings: MarkovKNNSettings, items: Items, steps: "csr_matrix", neighbours: "csr_matrix"
    ) -> None:
        self.settings = settings
        self.items = items
        self._steps = steps  # (M, M)
        self._neighbours = neighbours  # (M, M)

    @classmethod
    def fit(cls, settings: MarkovKNNSettings, logs: Logs, context: FitContext) -> Self:
        """Count transitions, and who did both."""
        return cls(settings, logs.items, both_ways(logs, settings.reverse), cosines(interactions(logs)))

    def score(self, histories: Sequence[History]) -> NDArray[np.float32]:
        """Weighted sums of both, (B, M)."""
        size, settings = len(self.items), self.settings
        near = weigh(histories, size, settings.decay) @ self._neighbours
        after = last_items(histories, size) @ self._steps
        return (np.float32(settings.markov) * after + np.float32(settings.knn) * near).toarray()

    def save(self, folder: Path) -> None:
        """Fill an existing empty folder."""
        matrices = {"steps": self._steps, "neighbours": self._neighbours}
        save_counts(folder, self.kind, self.settings, self.items, matrices=matrices)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        settings, items = load_settings(folder, cls.kind, MarkovKNNSettings)
        steps, neighbours = (load_matrix(folder, name, len(items)) for name in ("steps", "neighbours"))
        return cls(settings, items, steps, neighbours)
