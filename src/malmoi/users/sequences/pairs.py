"""Batches of CLUE: of each user two views, as places in the batch's table of distinct texts.

B users, L events a view, U distinct texts of T tokens in the batch.

A step is a pure function of (seed, step): epochs go through all users in a new order each, and an epoch that
ends inside a batch goes on with the next one, so that every batch has B rows. The loss drops a user who comes
twice because of that.
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

    Args:
        logs: what users did; those with fewer than two events are left out.
        text_of: of each item the number of its text, (M,).
        batch_size: users of a step, over all ranks.
        history_length: events of a view at most, L.
        kind: how views are cut.
        seed: of everything that is drawn.

    Raises:
        InvalidInput: fewer than two users have two events.
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
        self.users = np.flatnonzero(logs.lengths >= 2)
        if len(self.users) < 2:
            raise InvalidInput(
                f"{len(self.users)} of {len(logs)} users have two events or more; contrast needs two users.",
                fix="Give more logs.",
            )
        self.batch_size = min(batch_size, len(self.users))

    def step(self, number: int, rank: int = 0, world_size: int = 1) -> PairBatch:
        """This rank's part of step `number`: rows rank * B / world_size and so on.

        Raises:
            InvalidInput: the ranks cannot share the batch evenly.
        """
        if self.batch_size % world_size:
            raise InvalidInput(
                f"a batch of {self.batch_size} users cannot be shared by {world_size} ranks.",
                field="batch_size",
                fix=f"Choose a batch size that {world_size} divides.",
            )
        share = self.batch_size // world_size
        first = number * self.batch_size + rank * share
        views = []
        chosen = []
        for place in range(first, first + share):
            epoch, row = divmod(place, len(self.users))
            user = int(self._order(epoch)[row])
            random = np.random.default_rng([self._seed, 1, epoch, user])
            events = self._logs.sequence(user)
            service = self._logs.items.service[events]
            views.append(draw_views(self._text_of[events], service, self._length, self._kind, random))
            chosen.append(user)
        return build_batch(views, np.array(chosen, dtype=np.int64), self._length)

    def _order(self, epoch: int) -> NDArray[np.int64]:
        if getattr(self, "_epoch", None) != epoch:
            self._epoch = epoch
            self._shuffled = np.random.default_rng([self._seed, 0, epoch]).permutation(self.users)
        return self._shuffled


def draw_views(
    texts: NDArray[np.int64],
    service: NDArray[np.int16],
    length: int,
    kind: ViewKind,
    random: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two views of one user that share no event.

    - "services": what the user did in two different services (CLUE).
    - "groups": the services are dealt into two groups, neither empty, and a view is what the user did in one
      group, in the order of time. Ours: views then look like the mixed histories that models are asked about.

    A user of one service only is cut at a moment into an older and a newer span (ours: CLUE's predecessor
    contrasted two spans of one sequence). Of a view that is too long a random stretch of `length` is taken.

    Args:
        texts: numbers of the user's texts, oldest first, at least two.
        service: of each event.
        length: of a view at most.
        kind: see above.
        random: draws the services, the moment, the stretch and which view comes first.
    """
    present = np.flatnonzero(np.bincount(service))  # quicker than np.unique on a few events
    if len(present) < 2:
        cut = int(random.integers(1, len(texts)))
        parts = [texts[:cut][-length:], texts[cut:][:length]]
    else:
        dealt = random.permutation(present)
        if kind == "services":
            groups = [dealt[:1], dealt[1:2]]
        else:
            middle = int(random.integers(1, len(dealt)))
            groups = [dealt[:middle], dealt[middle:]]
        parts = []
        for group in groups:
            inside = np.zeros(int(present[-1]) + 1, dtype=bool)
            inside[group] = True
            parts.append(_stretch(texts[inside[service]], length, random))
    if random.random() < 0.5:
        parts.reverse()
    return parts[0], parts[1]


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
