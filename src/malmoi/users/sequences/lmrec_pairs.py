"""Pairs of a history and the item after it, with items drawn as negatives; and their loss.

B pairs, K negatives, M items.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import softplus

from malmoi.core.errors import InvalidInput
from malmoi.factory.train.loop import hash_numbers
from malmoi.users.logs import Logs
from malmoi.users.sequences.batches import Order, windows

MOST_PAIRS = 1000
"""Of one user, the newest: a few users with endless histories do not become the whole training."""


@dataclass(frozen=True)
class Pairs:
    """A batch of B histories.

    Attributes:
        rows: of the histories among all, (B,).
        starts: position in `logs.events` where each begins, (B,).
        ends: of the event after it, the positive, (B,).
        negatives: items, each at most once, (K,).
        allowed: whether a negative is one for the user: no item of the user's own, (B, K).
    """

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    negatives: NDArray[np.int64]
    allowed: NDArray[np.bool_]


class PairLoader:
    """Batches of pairs, a pure function of seed and step: every event that has a past comes once an epoch.

    Args:
        logs: what may be learned from.
        size: B.
        negatives: K.
        seed: of order and negatives.
        most: histories at most, chosen by the seed; None: all.
        stretch: take no history of each event, but stretches of at most so many events, in which every event
            but the first is the positive of those before it; None: one history an event.

    Raises:
        InvalidInput: no user has two events.
    """

    def __init__(
        self,
        logs: Logs,
        *,
        size: int,
        negatives: int,
        seed: int,
        most: int | None = None,
        stretch: int | None = None,
    ) -> None:
        self._logs = logs
        lengths = np.minimum(np.maximum(logs.lengths - 1, 0), MOST_PAIRS)
        if not lengths.sum():
            raise InvalidInput("the logs are too small to fit: no user has two events.")
        if stretch is not None:
            self._start, stops = windows(logs, stretch + 1)
            self._end = stops - 1
        else:
            last = np.cumsum(lengths)
            self._start = np.repeat(logs.offsets[:-1], lengths)
            self._end = np.repeat(logs.offsets[1:] - last, lengths) + np.arange(last[-1])
        if most is not None and most < len(self._end):
            chosen = np.sort(np.random.default_rng(seed).choice(len(self._end), size=most, replace=False))
            self._start, self._end = self._start[chosen], self._end[chosen]
        self._order = Order(len(self._end), size, seed)
        self._negatives, self._seed = min(negatives, len(logs.items)), seed

    def __len__(self) -> int:
        return len(self._end)

    def all(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Starts and ends of all histories, (len,) each."""
        return self._start, self._end

    def batch(self, step: int) -> Pairs:
        """The pairs of a step."""
        rows = self._order.rows(step)
        random = np.random.default_rng(hash_numbers(self._seed, step, 2))
        drawn = np.sort(random.choice(len(self._logs.items), size=self._negatives, replace=False))
        users = np.searchsorted(self._logs.offsets, self._start[rows], side="right") - 1
        return Pairs(
            rows=rows,
            starts=self._start[rows],
            ends=self._end[rows],
            negatives=drawn.astype(np.int64),
            allowed=np.stack([~np.isin(drawn, self._logs.sequence(user)) for user in users.tolist()]),
        )


def pair_loss(positive: Tensor, negative: Tensor, allowed: Tensor) -> Tensor:
    """L2, the binary cross-entropy: that of the positives plus that of the negatives, each its mean.

    Ours: all K negatives of the step serve every user, and their mean stands for one negative a positive.

    Args:
        positive: products with the positives, (B,).
        negative: products with the negatives, (B, K).
        allowed: which negatives count, (B, K).
    """
    kept = allowed.to(negative.dtype)
    missed = (softplus(negative) * kept).sum() / kept.sum().clamp(min=1.0)
    return softplus(-positive).mean() + missed
