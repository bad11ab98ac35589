"""EASE, the linear autoencoder with a closed form (Steck 2019, "Embarrassingly shallow autoencoders").

    P = (X'X + l2 I)^-1,   B = I - P diag(1 / diag P),   score = x B

X is who did what, (N, M). P is dense: M^2 numbers, and M^3 steps to invert it, whatever the number of users.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from malmoi.core.errors import InvalidInput
from malmoi.users.base import FitContext, UserModelSettings
from malmoi.users.baselines.counts import interactions, weigh
from malmoi.users.baselines.keeping import load_array, load_settings, save_counts
from malmoi.users.logs import History, Items, Logs

GIGA = 1e9
_BLOCK = 512
"""Rows that are handled at once after the inversion."""


class EASESettings(UserModelSettings):
    """Of `EASE`."""

    l2: float = Field(default=250.0, gt=0)
    """The regulariser lambda, added to X'X."""
    decay: float = Field(default=1.0, gt=0, le=1)
    """When it ranks, an event counts `decay ** age`; 1 is the paper's."""
    dtype: Literal["float32", "float64"] = "float64"
    """Of the inversion; float32 takes half the memory and time."""
    memory: float | None = Field(default=None, gt=0)
    """Gigabytes that the fit may take; None: what the machine has free."""


class EASE:
    """The score of an item is what the weights B make of the history."""

    kind: ClassVar[str] = "ease"
    settings_type: ClassVar[type[UserModelSettings]] = EASESettings

    def __init__(self, settings: EASESettings, items: Items, weights: NDArray[np.float32]) -> None:
        self.settings = settings
        self.items = items
        self._weights = weights  # (M, M)

    @classmethod
    def fit(cls, settings: EASESettings, logs: Logs, context: FitContext) -> Self:
        """Invert.

        Raises:
            InvalidInput: the matrices would not fit into memory, or rounding leaves X'X without an inverse.
        """
        size = len(logs.items)
        _require_room(size, settings)
        with context.progress.task("inverting", total=3, unit="steps") as task:
            matrix = interactions(logs)
            gram = np.asfortranarray((matrix.T @ matrix).toarray(order="F"), dtype=settings.dtype)
            gram[np.diag_indices(size)] += settings.l2
            task.advance()
            _invert(gram, settings)
            task.advance()
            weights = _weights_of(gram)
            task.advance()
        return cls(settings, logs.items, weights)

    def score(self, histories: Sequence[History]) -> NDArray[np.float32]:
        """The history's rows of B, summed, (B, M)."""
        return np.asarray(
            weigh(histories, len(self.items), self.settings.decay) @ self._weights, dtype=np.float32
        )

    def save(self, folder: Path) -> None:
        """Fill an existing empty folder."""
        save_counts(folder, self.kind, self.settings, self.items, arrays={"weights": self._weights})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; the weights are mapped."""
        settings, items = load_settings(folder, cls.kind, EASESettings)
        return cls(settings, items, load_array(folder, "weights", (len(items), len(items))))


def needed_memory(items: int, dtype: str) -> int:
    """Bytes that the fit takes at its peak: X'X once in its own type, and once in the result's."""
    # scipy's product keeps indices beside the values; where nearly every pair of items meets, that is as much
    # as the dense matrix once more.
    return items * items * (np.dtype(dtype).itemsize + 8)


def _require_room(items: int, settings: EASESettings) -> None:
    needed = needed_memory(items, settings.dtype) / GIGA
    room = settings.memory or free_memory() / GIGA
    if needed > room:
        raise InvalidInput(
            f"EASE over {items:,} items takes {needed:.3g} GB in {settings.dtype}; there are {room:.3g} GB.",
            field="settings",
            fix="Keep only items with more events (min_item when importing), set dtype = 'float32', "
            "or use item-knn.",
        )


def free_memory() -> int:
    """Bytes that can be taken now without swapping; all of the machine's where the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _invert(matrix: NDArray[Any], settings: EASESettings) -> None:
    """In place, by Cholesky; the lower triangle of the inverse is what holds afterwards."""
    from scipy.linalg.lapack import get_lapack_funcs

    factor, inverse = get_lapack_funcs(("potrf", "potri"), (matrix,))
    made, failed = factor(matrix, lower=1, overwrite_a=1, clean=0)
    if not failed:
        made, failed = inverse(made, lower=1, overwrite_c=1)
    if failed:
        raise InvalidInput(
            f"X'X + {settings.l2} I cannot be inverted in {settings.dtype}.",
            fix="Raise l2, or use dtype = 'float64'.",
        )
    if not np.shares_memory(made, matrix):
        matrix[:] = made


def _weights_of(inverse: NDArray[Any]) -> NDArray[np.float32]:
    """B from the lower triangle of P, (M, M): off the diagonal -P[i, j] / P[j, j], on it 0."""
    size = len(inverse)
    below = 1 / np.diagonal(inverse).copy()
    weights = np.empty((size, size), dtype=np.float32)
    for start in range(0, size, _BLOCK):
        rows = slice(start, min(start + _BLOCK, size))
        whole = np.tril(inverse[rows], k=start)
        # P is symmetric: what is missing right of the diagonal stands below it.
        whole += np.triu(inverse[:, rows].T, k=start + 1)
        weights[rows] = -whole * below[None]
    weights[np.diag_indices(size)] = 0
    return weights
