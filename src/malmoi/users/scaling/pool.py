"""A fixed pool of held-out users, among whom each must be found again by what they did elsewhere.

Losses of contrast cannot be compared between batch sizes, since a batch of B has a ceiling of ln B. The place
of the same user's other service among all users of one pool can.

P users of the pool.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import InvalidInput
from malmoi.users.logs import History, Logs

_ROWS = 256
LEAST = 20


class Contrasting(Protocol):
    """A model whose vectors of a user's services lie close together."""

    def contrast(self, histories: Sequence[History]) -> NDArray[np.float32]:
        """Vectors of length 1, (B, D)."""
        ...


@dataclass(frozen=True)
class Pool:
    """Users of the pool, each by two histories.

    Attributes:
        rows: of the users in the logs, ascending.
        a: what each did in one service.
        b: what each did in another.
    """

    rows: NDArray[np.int64]
    a: tuple[History, ...]
    b: tuple[History, ...]


def build_pool(logs: Logs, *, size: int = 1000, seed: int = 0) -> Pool:
    """Draw users of two services or more, and two services of each.

    All are asked about the same two services where enough users have both, so that the service itself says
    nothing about the user; else of each user the two with the most events are taken.

    Raises:
        InvalidInput: too few users have two services.
    """
    count = len(logs.items.services)
    user_of = np.repeat(np.arange(len(logs)), logs.lengths)
    events = np.zeros((len(logs), count), dtype=np.int64)
    np.add.at(events, (user_of, logs.items.service[logs.events]), 1)
    present = (events > 0).astype(np.int64)
    both = np.triu(present.T @ present, 1)
    able = np.flatnonzero(present.sum(1) >= 2)
    pair: NDArray[np.int64] | None = None
    if both.size and both.max() >= min(size, len(able)) // 2 and both.max() >= LEAST:
        pair = np.array(np.unravel_index(int(both.argmax()), both.shape))
        able = np.flatnonzero(present[:, pair].all(1))
    if len(able) < LEAST:
        raise InvalidInput(
            f"{len(able)} users were in two services; a pool needs {LEAST}.",
            fix="Give logs of more services.",
        )
    random = np.random.default_rng([seed, 5])
    rows = np.sort(random.permutation(able)[:size]).astype(np.int64)
    sides: tuple[list[History], list[History]] = ([], [])
    for row in rows.tolist():
        own = np.argsort(-events[row], kind="stable")[:2] if pair is None else pair
        sequence = logs.sequence(row)
        for side, service in zip(sides, own, strict=True):
            chosen = sequence[logs.items.service[sequence] == service]
            side.append(History(tuple(logs.items.texts[n] for n in chosen), np.asarray(chosen)))
    return Pool(rows, tuple(sides[0]), tuple(sides[1]))


def pool_losses(model: Contrasting, pool: Pool) -> NDArray[np.float64]:
    """Of each user the share of others who come before the own other service, (P,).

    Its mean is 1 - AUC: 0.5 is chance, 0 is perfect. Equals count half; both directions are averaged.
    """
    a, b = (_vectors(model, side) for side in (pool.a, pool.b))
    likeness = a @ b.T
    own = np.diag(likeness)
    losses = []
    for table in (likeness, likeness.T):
        above = (table > own[:, None]).sum(1)
        equal = (table == own[:, None]).sum(1) - 1
        losses.append((above + equal / 2) / max(len(own) - 1, 1))
    return np.asarray(np.mean(losses, axis=0))


def _vectors(model: Contrasting, histories: Sequence[History]) -> NDArray[np.float64]:
    parts = [model.contrast(histories[at : at + _ROWS]) for at in range(0, len(histories), _ROWS)]
    return np.concatenate(parts).astype(np.float64)
