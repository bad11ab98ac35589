"""Vectors of users that no model learned: the floors under every probe.

N users, S services.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import Unsupported
from malmoi.users.base import Recommender, TextRecommender
from malmoi.users.logs import History, Logs

_ROWS = 512


@runtime_checkable
class Representation(Protocol):
    """A model with vectors that were learned for no task, beside those that rank."""

    def represent(self, histories: Sequence[History]) -> NDArray[np.float32]:
        """One vector a user, (N, D)."""
        ...


def model_features(model: Recommender, logs: Logs, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Vectors of these users: for no task where the model has such, else those that rank, (N, D).

    Raises:
        Unsupported: the model gives no vectors.
    """
    if isinstance(model, Representation):
        encode = model.represent
    elif isinstance(model, TextRecommender):
        encode = model.encode
    else:
        raise Unsupported(
            f"a {model.kind} gives no vectors of users.", fix="Use a kind that does, such as clue or lmrec."
        )
    parts = [
        encode([logs.history(int(row)) for row in rows[start : start + _ROWS]])
        for start in range(0, len(rows), _ROWS)
    ]
    return np.concatenate(parts).astype(np.float64)


def floors(logs: Logs, rows: NDArray[np.int64]) -> Mapping[str, NDArray[np.float64]]:
    """What can be said of users without any text: where they were how often, and how usual what they did is.

    - "counts per service": log(1 + events) in each service and in all, (N, S + 1).
    - "popularity": mean, least, most and spread of the log popularity of a user's items, (N, 4).
    """
    counts = np.zeros((len(rows), len(logs.items.services)))
    usual = np.zeros((len(rows), 4))
    popularity = np.log1p(np.bincount(logs.events, minlength=len(logs.items)))
    for place, row in enumerate(rows.tolist()):
        events = logs.sequence(row)
        counts[place] = np.bincount(logs.items.service[events], minlength=counts.shape[1])
        if len(events):
            own = popularity[events]
            usual[place] = own.mean(), own.min(), own.max(), own.std()
    every = np.column_stack([counts, counts.sum(1)])
    return {"counts per service": np.log1p(every), "popularity": usual}
