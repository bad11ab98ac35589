"""What a model is asked: for each case a history and the item that came next."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from malmoi.users.logs import History, Logs


@dataclass(frozen=True)
class Cases:
    """C questions over one set of logs.

    Attributes:
        logs: whole histories; what is asked lies in them, so a model must never be fitted on these logs.
        user: row of `logs` of each case, (C,) int64.
        at: position in `logs.events` of the event to be foretold, (C,) int64; what the user did before it is
            the history.
    """

    logs: Logs
    user: NDArray[np.int64]
    at: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.user)

    @property
    def truth(self) -> NDArray[np.int32]:
        """The items that came next, (C,)."""
        return np.asarray(self.logs.events[self.at])

    def history(self, case: int) -> History:
        """What is known in one case."""
        return self.logs.history(int(self.user[case]), int(self.at[case]))

    def batches(self, size: int) -> Iterator[tuple[slice, list[History]]]:
        """All histories in order, `size` at a time, each with its place."""
        for start in range(0, len(self), size):
            place = slice(start, min(start + size, len(self)))
            yield place, [self.history(case) for case in range(place.start, place.stop)]
