"""Rows of events for training, in an order that is a pure function of the seed and the step."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import InvalidInput
from malmoi.factory.train.loop import hash_numbers
from malmoi.users.cases import Cases
from malmoi.users.logs import Logs


@dataclass
class Order:
    """Which of `count` rows come in which step: every epoch all of them once, shuffled anew.

    Attributes:
        count: rows of an epoch.
        size: rows of a step; the last step of an epoch may have fewer.
        seed: of the shuffles.
    """

    count: int
    size: int
    seed: int
    _epoch: int = field(default=-1, init=False)
    _rows: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64), init=False)

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return -(-self.count // self.size)

    def rows(self, step: int) -> NDArray[np.int64]:
        """The rows of a step, from 0, in any epoch."""
        epoch, at = divmod(step, self.steps)
        if epoch != self._epoch:  # the shuffle of one epoch is kept; it follows from the seed alone
            self._rows = np.random.default_rng(hash_numbers(self.seed, epoch)).permutation(self.count)
            self._epoch = epoch
        return self._rows[at * self.size : (at + 1) * self.size]


def windows(logs: Logs, length: int, *, least: int = 2) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut all sequences into stretches of at most `length` events, from the end of each backwards.

    Neighbours share one event, so that every event but a user's first is foretold exactly once; the memory of
    a batch stays bounded whatever a user's history.

    Args:
        logs: the sequences.
        length: events of a stretch at most, two or more.
        least: shorter stretches are left out.

    Returns:
        Start and stop of each stretch in `logs.events`.
    """
    starts, stops = [], []
    for first, end in zip(logs.offsets[:-1].tolist(), logs.offsets[1:].tolist(), strict=True):
        stop = end
        while stop - first >= least:
            start = max(first, stop - length)
            starts.append(start)
            stops.append(stop)
            stop = start + 1
    return np.array(starts, np.int64), np.array(stops, np.int64)


def hold_out_last(logs: Logs, *, share: float, most: int, seed: int) -> tuple[Logs, Cases]:
    """Logs without the last event of some users, and these events as cases to stop a fit by.

    Args:
        logs: whole sequences.
        share: of the users with three events or more.
        most: cases at most.
        seed: chooses the users.

    Raises:
        InvalidInput: nobody has three events.
    """
    able = np.flatnonzero(logs.lengths >= 3)
    if not len(able):
        raise InvalidInput(
            "the logs are too small to fit: no user has three events.",
            fix="Give more events, or a validation set of your own.",
        )
    wanted = min(most, max(1, round(share * len(able))))
    users = np.sort(np.random.default_rng(seed).choice(able, size=wanted, replace=False))
    ends = logs.offsets[1:].copy()
    ends[users] -= 1
    return logs.until(ends), Cases(logs, users.astype(np.int64), logs.offsets[users + 1] - 1)


def some_cases(cases: Cases, most: int, seed: int) -> Cases:
    """At most so many of the cases, chosen by the seed, in their order."""
    if len(cases) <= most:
        return cases
    rows = np.sort(np.random.default_rng(seed).choice(len(cases), size=most, replace=False))
    return Cases(cases.logs, cases.user[rows], cases.at[rows])
