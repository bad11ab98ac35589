"""Batches of CLUE: of each user two views, as places in the batch's table of distinct texts.

B users, L events a view, U distinct texts of T tokens in the batch.

A step is a pure function of (seed, step), so that a fit can be killed and gone on with.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import InvalidInput
from malmoi.users.logs import Logs

ViewKind = Literal["services", "groups"]
"""How the two views of a user are cut; see `draw_views`."""


@dataclass(frozen=True)
class PairBatch:
    """The rows of one rank.

    Attributes:
        texts: numbers of the distinct texts, ascending, (U,) int64.
        a: of each event of the first views its place in `texts`, oldest first, -1 behind the last, (B, L).
        b: of the second views.
        user: numbers of the users, (B,) int64.
        digests: of the texts of both views, (B, 2) int64.
    """

    texts: NDArray[np.int64]
    a: NDArray[np.int64]
    b: NDArray[np.int64]
    user: NDArray[np.int64]
    digests: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.user)


class PairSource:
    """Draws batches from logs.

    All rows of a step contrast the same two services (ours: with negatives of other services than the
    positive's, telling services apart is what is learned first, and it makes all vectors alike: measured on
    generated logs, the loss stayed at ln B). Users of one service only form batches of their own, a service
    at a time.

    Args:
        logs: what users did; those with fewer than two events are left out.
        text_of: of each item the number of its text, (M,).
        batch_size: users of a step at most, over all ranks.
        history_length: events of a view at most, L.
        kind: how views are cut.
        seed: of everything that is drawn.

    Raises:
        InvalidInput: no two users did something in the same two services, or twice in the same single one.
    """

    def __init__(
        self,
        logs: Logs,
        text_of: NDArray[np.int64],
        *,
        batch_size: int,
        history_length: int,
        kind: ViewKind,
        seed: int,
    ) -> None:
        self._logs = logs
        self._text_of = text_of
        self._length = history_length
        self._kind: ViewKind = kind
        self._seed = seed
        self.batch_size = batch_size
        self.pools = [pool for pool in _pools(logs, kind) if len(pool.users) >= 2]
        if not self.pools:
            raise InvalidInput(
                f"of {len(logs)} users no two can be contrasted: both must have been at the same two "
                "services, or twice at the same single one.",
                fix="Give more logs.",
            )
        # A user counts once, however many pools have it.
        pools_of = np.bincount(np.concatenate([pool.users for pool in self.pools]), minlength=len(logs))
        shares = np.array([(1 / pools_of[pool.users]).sum() for pool in self.pools])
        self._chances = shares / shares.sum()

    def step(self, number: int, rank: int = 0, world_size: int = 1) -> PairBatch:
        """This rank's part of step `number`; as many rows on every rank.

        Raises:
            InvalidInput: there are more ranks than users of a batch.
        """
        random = np.random.default_rng([self._seed, 0, number])
        pool = self.pools[int(random.choice(len(self.pools), p=self._chances))]
        share = min(self.batch_size, len(pool.users)) // world_size
        if not share:
            raise InvalidInput(
                f"{len(pool.users)} users cannot be shared by {world_size} ranks.", fix="Use fewer ranks."
            )
        drawn = random.choice(pool.users, size=share * world_size, replace=False)
        views, users = [], drawn[rank * share : (rank + 1) * share]
        for user in users.tolist():
            events = self._logs.sequence(user)
            service = self._logs.items.service[events]
            own = np.random.default_rng([self._seed, 1, number, user])
            views.append(draw_views(self._text_of[events], service, pool.services, self._length, own))
        return build_batch(views, users, self._length)


@dataclass(frozen=True)
class Pool:
    """Users who can be contrasted with each other.

    Attributes:
        services: numbers of the two that are contrasted; None: each user's are drawn, in two groups.
        users: ascending, (P,) int64.
    """

    services: tuple[int, int] | None
    users: NDArray[np.int64]


def _pools(logs: Logs, kind: ViewKind) -> list[Pool]:
    """All pools; one with the same service twice holds the users of that service alone."""
    count = len(logs.items.services)
    user_of = np.repeat(np.arange(len(logs)), logs.lengths)
    present = np.zeros((len(logs), count), dtype=bool)
    present[user_of, logs.items.service[logs.events]] = True
    many = present.sum(1) > 1
    alone = ~many & (logs.lengths >= 2)
    pools = [Pool((s, s), np.flatnonzero(present[:, s] & alone)) for s in range(count)]
    if kind == "groups":
        return [*pools, Pool(None, np.flatnonzero(many))]
    pairs = [(s, t) for s in range(count) for t in range(s + 1, count)]
    return [*pools, *(Pool(pair, np.flatnonzero(present[:, pair].all(1))) for pair in pairs)]


def draw_views(
    texts: NDArray[np.int64],
    service: NDArray[np.int16],
    wanted: tuple[int, int] | None,
    length: int,
    random: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two views of one user that share no event.

    - Two services: what the user did in either (CLUE).
    - The same service twice: the user is cut at a moment into an older and a newer span (ours: CLUE's
      predecessor contrasted two spans of one sequence).
    - None: the user's services are dealt into two groups, neither empty, and a view is what the user did in
      one group, in the order of time. Ours: such views look like the mixed histories that a model is asked
      about.

    Of a view that is too long a random stretch of `length` is taken.

    Args:
        texts: numbers of the user's texts, oldest first, at least two.
        service: of each event.
        wanted: see above.
        length: of a view at most.
        random: draws the groups, the moment and the stretches.
    """
    if wanted is not None and wanted[0] == wanted[1]:
        cut = int(random.integers(1, len(texts)))
        return texts[:cut][-length:], texts[cut:][:length]
    if wanted is None:
        dealt = random.permutation(np.flatnonzero(np.bincount(service)))
        middle = int(random.integers(1, len(dealt)))
        inside = np.isin(service, dealt[:middle])
        sides = (inside, ~inside)
    else:
        sides = (service == wanted[0], service == wanted[1])
    first, second = (_stretch(texts[side], length, random) for side in sides)
    return first, second


def _stretch(texts: NDArray[np.int64], length: int, random: np.random.Generator) -> NDArray[np.int64]:
    if len(texts) <= length:
        return texts
    first = int(random.integers(0, len(texts) - length + 1))
    return texts[first : first + length]


def build_batch(
    views: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]], users: NDArray[np.int64], length: int
) -> PairBatch:
    """Batch of views: each distinct text gets one place, however many events have it."""
    flat = [np.concatenate([view[side] for view in views]) for side in (0, 1)]
    texts, places = np.unique(np.concatenate(flat), return_inverse=True)
    halves = np.split(places, [len(flat[0])])
    sides = []
    for side, half in enumerate(halves):
        counts = np.array([len(view[side]) for view in views])
        table = np.full((len(views), min(length, int(counts.max(initial=1)))), -1, dtype=np.int64)
        table[np.arange(table.shape[1]) < counts[:, None]] = half
        sides.append(table)
    digests = np.array([[_digest(view[0]), _digest(view[1])] for view in views], dtype=np.int64)
    return PairBatch(texts, sides[0], sides[1], users, digests)


def _digest(texts: NDArray[np.int64]) -> int:
    return int.from_bytes(blake2b(texts.tobytes(), digest_size=8).digest(), "little", signed=True)
