"""What most people do: the same ranking for everybody."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from malmoi.users.base import FitContext, UserModelSettings
from malmoi.users.baselines.counts import counts
from malmoi.users.baselines.keeping import load_array, load_settings, save_counts
from malmoi.users.logs import History, Items, Logs


class PopularitySettings(UserModelSettings):
    """Popularity has no settings."""


class Popularity:
    """Ranks items by how often they occur."""

    kind: ClassVar[str] = "popularity"
    settings_type: ClassVar[type[UserModelSettings]] = PopularitySettings

    def __init__(self, settings: PopularitySettings, items: Items, counted: NDArray[np.float32]) -> None:
        self.settings = settings
        self.items = items
        self._counts = counted  # (M,)

    @classmethod
    def fit(cls, settings: PopularitySettings, logs: Logs, context: FitContext) -> Self:
        """Count."""
        return cls(settings, logs.items, counts(logs))

    def score(self, histories: Sequence[History]) -> NDArray[np.float32]:
        """Counts, the same for every history, (B, M)."""
        return np.tile(self._counts, (len(histories), 1))

    def save(self, folder: Path) -> None:
        """Fill an existing empty folder."""
        save_counts(folder, self.kind, self.settings, self.items, arrays={"counts": self._counts})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        settings, items = load_settings(folder, cls.kind, PopularitySettings)
        return cls(settings, items, load_array(folder, "counts", (len(items),)))
