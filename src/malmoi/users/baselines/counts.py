"""What logs are counted into: who did what, what follows what, and what goes with what.

N users, M items, B histories.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from malmoi.users.logs import UNKNOWN, History, Logs

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def interactions(logs: Logs) -> "csr_matrix":
    """1 where a user did something with an item, (N, M) float32."""
    from scipy.sparse import csr_matrix

    shape = (len(logs), len(logs.items))
    values = np.ones(logs.num_events, dtype=np.float32)
    # A copy: adding up duplicates sorts the columns in place, and they are the logs' own events.
    matrix = csr_matrix((values, np.asarray(logs.events), logs.offsets), shape=shape, copy=True)
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


def transitions(logs: Logs) -> "csr_matrix":
    """How often the column's item came right after the row's, (M, M) float32."""
    from scipy.sparse import coo_matrix

    events = np.asarray(logs.events)
    inside = np.ones(max(len(events) - 1, 0), dtype=bool)
    borders = logs.offsets[1:-1]
    inside[borders[(borders > 0) & (borders < len(events))] - 1] = False
    before, after = events[:-1][inside], events[1:][inside]
    size = len(logs.items)
    values = np.ones(len(before), dtype=np.float32)
    return coo_matrix((values, (before, after)), shape=(size, size)).tocsr()


def cosines(matrix: "csr_matrix") -> "csr_matrix":
    """Cosines of the columns of a binary (N, M) matrix with each other, 0 with themselves, (M, M) float32."""
    from scipy.sparse import diags

    together = (matrix.T @ matrix).tocsr()
    norms = np.sqrt(together.diagonal())
    scale = diags(np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0).astype(np.float32))
    together.setdiag(0)
    together.eliminate_zeros()
    return (scale @ together @ scale).tocsr().astype(np.float32)


def weigh(histories: Sequence[History], items: int, decay: float = 1.0) -> "csr_matrix":
    """Histories as rows, (B, items) float32: an item counts `decay ** age`, where the last event's age is 0.

    What was done twice counts once, with the later time; unknown items count nothing, but have an age.
    """
    from scipy.sparse import csr_matrix

    rows, columns, values = [], [], []
    for row, history in enumerate(histories):
        numbers = np.asarray(history.items)[::-1]
        kept, age = np.unique(numbers, return_index=True)
        known = kept != UNKNOWN
        columns.append(kept[known])
        values.append(decay ** age[known].astype(np.float64))
        rows.append(np.full(int(known.sum()), row))
    if not rows:
        return csr_matrix((0, items), dtype=np.float32)
    entries = (np.concatenate(values).astype(np.float32), (np.concatenate(rows), np.concatenate(columns)))
    return csr_matrix(entries, shape=(len(histories), items))


def last_items(histories: Sequence[History], items: int) -> "csr_matrix":
    """1 at each history's last known item, (B, items) float32; nothing where there is none."""
    from scipy.sparse import csr_matrix

    last = np.array([_last(history) for history in histories], dtype=np.int64)
    rows = np.flatnonzero(last != UNKNOWN)
    values = np.ones(len(rows), dtype=np.float32)
    return csr_matrix((values, (rows, last[rows])), shape=(len(histories), items))


def _last(history: History) -> int:
    known = np.flatnonzero(history.items != UNKNOWN)
    return int(history.items[known[-1]]) if len(known) else UNKNOWN


def counts(logs: Logs) -> NDArray[np.float32]:
    """How often each item occurs, (M,)."""
    return np.bincount(np.asarray(logs.events), minlength=len(logs.items)).astype(np.float32)
