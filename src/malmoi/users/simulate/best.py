"""The best ranking that there can be: by the true chance of each item, given what the user did.

Which kind of person a user is, nobody sees; the kinds' chances given the history are exact (the forward
algorithm of a hidden Markov model: Rabiner 1989), and so is the mean over kinds of the next item's chances.
As nobody does the same twice, every kind's chances are divided by what is left for items not yet done.

M items, L events of a history, T kinds of people.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from malmoi.users.logs import UNKNOWN, History, Items
from malmoi.users.simulate.world import SUCCESSORS, World

Array = NDArray[np.float64]


class Best:
    """Ranks as somebody who knows the company's rules but not what its users are."""

    kind = "best"

    def __init__(self, world: World) -> None:
        self._world = world
        self._cell_share = world.popularity * world.shares[world.service]

    @property
    def items(self) -> Items:
        """All items of the company."""
        return self._world.items

    def score(self, histories: Sequence[History]) -> NDArray[np.float32]:
        """Chances of each item to be next, (B, M); 0 for what was done already."""
        return np.stack([self.chances(history) for history in histories]).astype(np.float32)

    def chances(self, history: History) -> Array:
        """Of each item to be next, (M,); sums to 1. Events with unknown items are left out."""
        world, settings = self._world, self._world.settings
        seen = history.items[history.items != UNKNOWN]
        kinds, left = self._kinds(seen)
        weights = kinds / left  # (T,)
        if not len(seen):
            return (weights @ world.mixes)[world.interest] * self._cell_share
        last = int(seen[-1])
        interest = (1 - settings.stay) * (weights @ world.mixes)
        interest[world.interest[last]] += settings.stay * weights.sum()
        service = (1 - settings.stay_service) * world.shares
        service[world.service[last]] += settings.stay_service
        within = world.popularity.copy()
        same = (world.interest == world.interest[last]) & (world.service == world.service[last])
        within[same] *= 1 - settings.follow
        np.add.at(within, world.successors[last], settings.follow * np.array(SUCCESSORS))
        chances = interest[world.interest] * service[world.service] * within
        chances[seen] = 0
        return chances

    def _kinds(self, seen: NDArray[np.int32]) -> tuple[Array, Array]:
        """Chances of the user's kinds before the next event, and what each leaves for other items, (T,)."""
        settings = self._world.settings
        even = np.full(settings.types, 1 / settings.types)
        kinds = even
        length = len(seen)
        if not length:
            return kinds, np.ones(settings.types)
        # (L + 1, L, T): before each event, the chance of each item of the history
        table = self._table(seen)
        earlier = np.tri(length + 1, length, -1)
        left = 1 - np.einsum("jlt,jl->jt", table, earlier)  # (L + 1, T)
        given = np.diagonal(table[:length], axis1=0, axis2=1).T / left[:length]  # (L, T)
        for step in range(length):
            kinds = (1 - settings.change) * kinds + settings.change * even
            kinds = kinds * given[step]
            kinds = kinds / kinds.sum()
        return (1 - settings.change) * kinds + settings.change * even, left[length]

    def _table(self, seen: NDArray[np.int32]) -> Array:
        world, settings = self._world, self._world.settings
        interest, service, share = world.interest[seen], world.service[seen], self._cell_share[seen]
        liked = world.mixes[:, interest].T  # (L, T)
        first = (liked * share[:, None])[None]
        same_interest = interest[:, None] == interest[None]  # (L, L): last event, item
        same_service = service[:, None] == service[None]
        by_interest = settings.stay * same_interest[:, :, None] + (1 - settings.stay) * liked[None]
        by_service = (
            settings.stay_service * same_service + (1 - settings.stay_service) * world.shares[service]
        )
        within = np.broadcast_to(world.popularity[seen], same_service.shape).copy()
        within[same_interest & same_service] *= 1 - settings.follow
        follows = world.successors[seen][:, :, None] == seen[None, None]  # (L, 3, L)
        within += settings.follow * np.einsum("jsl,s->jl", follows, np.array(SUCCESSORS))
        return np.concatenate([first, by_interest * (by_service * within)[:, :, None]])
