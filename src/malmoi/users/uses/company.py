"""The logs of the uses, cut as the uses need them."""

import numpy as np
from numpy.typing import NDArray

from malmoi.users.cases import Cases
from malmoi.users.logs import Items, Logs


def of_services(logs: Logs, services: tuple[str, ...]) -> Logs:
    """The same users with only what they did at these services, over only these services' items."""
    numbers = [logs.items.services.index(name) for name in services]
    kept_items = np.isin(logs.items.service, numbers)
    places = np.where(kept_items, np.cumsum(kept_items) - 1, -1).astype(np.int32)
    kept = kept_items[logs.events]
    counted = np.concatenate([[0], np.cumsum(kept)])
    items = Items(
        ids=tuple(name for name, keep in zip(logs.items.ids, kept_items, strict=True) if keep),
        texts=tuple(text for text, keep in zip(logs.items.texts, kept_items, strict=True) if keep),
        services=logs.items.services,
        service=logs.items.service[kept_items],
    )
    return Logs(
        users=logs.users,
        items=items,
        offsets=counted[logs.offsets].astype(np.int64),
        events=places[logs.events[kept]],
        times=None if logs.times is None else np.asarray(logs.times)[kept],
    )


def last_at(logs: Logs, service: str) -> Cases:
    """Each user's last event at a service, of those who did something before it."""
    wanted = logs.items.service[logs.events] == logs.items.services.index(service)
    users, places = [], []
    for user in range(len(logs)):
        start, stop = int(logs.offsets[user]), int(logs.offsets[user + 1])
        found = np.flatnonzero(wanted[start:stop])
        if len(found) and found[-1] > 0:
            users.append(user)
            places.append(start + int(found[-1]))
    return Cases(logs, np.array(users, dtype=np.int64), np.array(places, dtype=np.int64))


def halves(count: int, share: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows that a model knows and rows that it has never seen, the latter a `share` of all."""
    order = np.random.default_rng(seed).permutation(count)
    new = round(count * share)
    return np.sort(order[new:]), np.sort(order[:new])
