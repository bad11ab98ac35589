"""What users did, as sequences: one row of item numbers a user, oldest first.

N users, M items, E events, S services. A folder holds them as plain arrays that are mapped, not read:

    users.parquet       user
    items.parquet       item, service, text
    offsets.npy         (N + 1,) int64: user n's events are offsets[n] to offsets[n + 1]
    events.npy          (E,) int32: rows of items.parquet
    times.npy           (E,) int64: seconds since 1970 UTC; absent where the source has no times
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import InvalidInput

UNKNOWN = -1
"""The number of an item that a model has never seen."""


@dataclass(frozen=True)
class Items:
    """The things that users act on. An item belongs to one service; the same id elsewhere is another item.

    Attributes:
        ids: as the service calls them, (M,).
        texts: what an event with the item reads like, (M,); the id itself where the logs have no text.
        services: names of the services.
        service: of each item the number of its service, (M,) int16.
    """

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    services: tuple[str, ...]
    service: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def by_text(self) -> dict[str, int]:
        """The first item of each text."""
        return {text: number for number, text in reversed(list(enumerate(self.texts)))}

    @cached_property
    def by_id(self) -> dict[tuple[str, str], int]:
        """An item by (service, id)."""
        names = [self.services[number] for number in self.service]
        return {(name, item): number for number, (name, item) in enumerate(zip(names, self.ids, strict=True))}


@dataclass(frozen=True)
class History:
    """What one user did, oldest first, of length L.

    Attributes:
        texts: one an event, (L,).
        items: their numbers in `Items`, `UNKNOWN` where it has none, (L,) int32.
        times: seconds since 1970 UTC, (L,) int64; None: not known.
    """

    texts: tuple[str, ...]
    items: NDArray[np.int32]
    times: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class Logs:
    """Sequences of N users over M items; see the module for the arrays."""

    users: tuple[str, ...]
    items: Items
    offsets: NDArray[np.int64]
    events: NDArray[np.int32]
    times: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.users)

    @property
    def num_events(self) -> int:
        """Events of all users, E."""
        return int(self.offsets[-1])

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Events of each user, (N,)."""
        return np.diff(self.offsets)

    def sequence(self, user: int) -> NDArray[np.int32]:
        """Item numbers of one user, oldest first."""
        return self.events[self.offsets[user] : self.offsets[user + 1]]

    def history(self, user: int, end: int | None = None) -> History:
        """Of one user, up to the event before `end` (a position in `events`); None: all."""
        start, stop = int(self.offsets[user]), int(self.offsets[user + 1])
        stop = stop if end is None else end
        numbers = np.asarray(self.events[start:stop])
        texts = tuple(self.items.texts[number] for number in numbers)
        return History(texts, numbers, None if self.times is None else np.asarray(self.times[start:stop]))

    def of_users(self, users: Sequence[int] | NDArray[np.int64]) -> "Logs":
        """The same items with only these users, in this order."""
        rows = np.asarray(users, dtype=np.int64)
        return self._cut(rows, self.offsets[rows], self.offsets[rows + 1])

    def until(self, ends: NDArray[np.int64]) -> "Logs":
        """Every user's events before the position `ends[n]` in `events`; nobody is left out.

        Args:
            ends: (N,), each between offsets[n] and offsets[n + 1].
        """
        return self._cut(np.arange(len(self)), self.offsets[:-1], ends)

    def _cut(self, rows: NDArray[np.int64], starts: NDArray[np.int64], stops: NDArray[np.int64]) -> "Logs":
        counts = stops - starts
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        at = np.repeat(starts - offsets[:-1], counts) + np.arange(offsets[-1])
        return Logs(
            users=tuple(self.users[row] for row in rows),
            items=self.items,
            offsets=offsets,
            events=self.events[at],
            times=None if self.times is None else self.times[at],
        )

    def save(self, folder: Path) -> None:
        """Write the files of the module's table into an existing folder."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"user": list(self.users)}), folder / "users.parquet")
        save_items(self.items, folder)
        np.save(folder / "offsets.npy", self.offsets, allow_pickle=False)
        np.save(folder / "events.npy", self.events, allow_pickle=False)
        if self.times is not None:
            np.save(folder / "times.npy", self.times, allow_pickle=False)


def load_logs(folder: Path) -> Logs:
    """The logs in a folder that `Logs.save` filled; the arrays stay on disk and are mapped.

    Raises:
        InvalidInput: a file is missing, or the files do not belong together.
    """
    import pyarrow.parquet as pq

    missing = [
        name for name in ("users.parquet", "items.parquet", "offsets.npy", "events.npy")
        if not (folder / name).is_file()
    ]  # fmt: skip
    if missing:
        raise InvalidInput(f"{folder} holds no logs: {', '.join(missing)} is missing")
    users = tuple(pq.read_table(folder / "users.parquet").column("user").to_pylist())
    items = load_items(folder)
    offsets = np.load(folder / "offsets.npy", allow_pickle=False)
    events = np.load(folder / "events.npy", mmap_mode="r", allow_pickle=False)
    timed = (folder / "times.npy").is_file()
    times = np.load(folder / "times.npy", mmap_mode="r", allow_pickle=False) if timed else None
    if len(offsets) != len(users) + 1 or offsets[-1] != len(events):
        raise InvalidInput(f"{folder}: offsets.npy does not fit users.parquet and events.npy")
    if len(events) and not 0 <= int(events.min()) <= int(events.max()) < len(items):
        raise InvalidInput(f"{folder}: events.npy names items that items.parquet has not")
    return Logs(users, items, offsets, events, times)


def load_items(folder: Path) -> Items:
    """The items in `folder/items.parquet`."""
    import pyarrow.parquet as pq

    columns = pq.read_table(folder / "items.parquet").to_pydict()
    services, service = np.unique(np.array(columns["service"], dtype=object).astype(str), return_inverse=True)
    return Items(
        ids=tuple(columns["item"]),
        texts=tuple(columns["text"]),
        services=tuple(services.tolist()),
        service=service.astype(np.int16),
    )


def save_items(items: Items, folder: Path) -> None:
    """Write `folder/items.parquet`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [items.services[number] for number in items.service]
    columns = {"item": list(items.ids), "service": names, "text": list(items.texts)}
    pq.write_table(pa.table(columns), folder / "items.parquet")
