"""What comes right after what: a first-order Markov chain of items, with a little of its reverse."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from malmoi.users.base import FitContext, UserModelSettings
from malmoi.users.baselines.counts import last_items, transitions
from malmoi.users.baselines.keeping import load_matrix, load_settings, save_counts
from malmoi.users.logs import History, Items, Logs

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


class MarkovSettings(UserModelSettings):
    """Of `Markov`."""

    reverse: float = Field(default=0.5, ge=0)
    """How much a step backwards counts: scores are rows of T + reverse * T transposed."""


class Markov:
    """The score of an item is how often it came right after, or before, the last item.

    T holds counts of transitions, not shares: what was seen often is sure, and the row decides the order.
    """

    kind: ClassVar[str] = "markov"
    settings_type: ClassVar[type[UserModelSettings]] = MarkovSettings

    def __init__(self, settings: MarkovSettings, items: Items, steps: "csr_matrix") -> None:
        self.settings = settings
        self.items = items
        self._steps = steps  # (M, M)

    @classmethod
    def fit(cls, settings: MarkovSettings, logs: Logs, context: FitContext) -> Self:
        """Count transitions."""
        return cls(settings, logs.items, both_ways(logs, settings.reverse))

    def score(self, histories: Sequence[History]) -> NDArray[np.float32]:
        """The last item's row of each history, (B, M)."""
        return (last_items(histories, len(self.items)) @ self._steps).toarray()

    def save(self, folder: Path) -> None:
        """Fill an existing empty folder."""
        save_counts(folder, self.kind, self.settings, self.items, matrices={"steps": self._steps})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        settings, items = load_settings(folder, cls.kind, MarkovSettings)
        return cls(settings, items, load_matrix(folder, "steps", len(items)))


def both_ways(logs: Logs, reverse: float) -> "csr_matrix":
    """T + reverse * T transposed, (M, M)."""
    forward = transitions(logs)
    return (forward + np.float32(reverse) * forward.T).tocsr().astype(np.float32)
