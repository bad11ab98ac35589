"""What a model may learn from and what it is asked: three ways to divide logs, none with a leak.

A leak is an event that a model is fitted on although it is asked for it, or although it happened after what
it is asked for. `Split.train` never holds an event of a validation or test case; with `split_at` nothing in
it happened later than any case, with `hold_out_users` nobody in it is asked about.
"""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from malmoi.core.errors import InvalidInput
from malmoi.core.stage import StageConfig
from malmoi.users.cases import Cases
from malmoi.users.logs import Logs

FEWEST = 3
"""Events that a user needs to be asked about twice: one to go by, one to validate, one to test."""


@dataclass(frozen=True)
class Split:
    """Logs divided.

    Attributes:
        train: what a model is fitted on.
        validation: what early stopping and choices of settings look at.
        test: what is reported.
        known: all that a model may be fitted on for the test once its settings are chosen: `train` and the
            validation events (for models without early stopping; say which was used).
    """

    train: Logs
    validation: Cases
    test: Cases
    known: Logs


def leave_one_out(logs: Logs) -> Split:
    """Each user's last event is the test, the one before it the validation, the rest is for training.

    The history of a test case holds the validation event, as is usual. Users with fewer than three events
    are asked nothing and stay in training whole.
    """
    starts, stops = logs.offsets[:-1], logs.offsets[1:]
    asked = logs.lengths >= FEWEST
    users = np.flatnonzero(asked).astype(np.int64)
    return Split(
        train=logs.until(stops - 2 * asked),
        validation=Cases(logs.until(stops - asked), users, _shifted(starts, stops - 1, asked, users)),
        test=Cases(logs, users, stops[users] - 1),
        known=logs.until(stops - asked),
    )


def hold_out_users(logs: Logs, *, share: float, seed: int) -> Split:
    """Users that a model has never seen: a `share` of them for the test, another for validation.

    Each is asked for the last event. Users with one event cannot be asked, and stay in training.

    Args:
        logs: of at least three users with two events.
        share: of the users with two events or more, above 0 and at most 0.4; at least one user each.
        seed: of the choice.

    Raises:
        InvalidInput: the share is not allowed, or too few users can be asked.
    """
    if not 0 < share <= 0.4:
        raise InvalidInput(f"the share of users is {share}.", field="share", fix="Take 0.1, or up to 0.4.")
    able = np.flatnonzero(logs.lengths >= 2)
    if len(able) < 3:
        raise InvalidInput(f"only {len(able)} users have two events or more; three are needed.")
    count = max(1, int(share * len(able)))
    drawn = np.random.default_rng(seed).permutation(able)
    test, validation = np.sort(drawn[:count]), np.sort(drawn[count : 2 * count])
    rest = np.setdiff1d(np.arange(len(logs)), np.concatenate([test, validation]))
    return Split(
        train=logs.of_users(rest),
        validation=_last_events(logs.of_users(validation)),
        test=_last_events(logs.of_users(test)),
        known=logs.of_users(np.sort(np.concatenate([rest, validation]))),
    )


def split_at(logs: Logs, time: int, *, validation: float = 0.1, every: bool = False) -> Split:
    """What happened before `time` is for training, what came then is asked.

    The last `validation` of the earlier events (by time) is the validation. A case is each user's first event
    of the period, so that one user is one case; with `every`, each event of the period is one. Users who did
    nothing before an event are not asked for it. Users' events must be in order of time.

    Args:
        logs: with times.
        time: seconds since 1970 UTC; an event at this very second is asked.
        validation: share of the events before `time`, from 0 up to 0.9.
        every: whether every event of the period is a case.

    Raises:
        InvalidInput: the logs have no times, or no event is before `time`.
    """
    if logs.times is None:
        raise InvalidInput("these logs have no times, so they cannot be split at one.", field="split")
    times = np.asarray(logs.times)
    before = np.sort(times[times < time])
    if not len(before):
        raise InvalidInput(f"no event is before {time}.", field="split.time", fix="Give a later time.")
    if not 0 <= validation <= 0.9:
        raise InvalidInput(f"the share of validation is {validation}.", field="split.validation")
    # An event at the border's very second is asked, as with `time`.
    border = int(before[int((1 - validation) * len(before))]) if validation else time
    end_train, end_known = _first_at(logs, times, border), _first_at(logs, times, time)
    known = logs.until(end_known)
    known_border = known.offsets[:-1] + (end_train - logs.offsets[:-1])
    return Split(
        train=logs.until(end_train),
        validation=_period(known, known_border, every),
        test=_period(logs, end_known, every),
        known=known,
    )


def _shifted(
    starts: NDArray[np.int64], ends: NDArray[np.int64], kept: NDArray[np.bool_], users: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Positions of the last events of `users` in logs that were cut at `ends` (where not `kept`: whole)."""
    lengths = np.where(kept, ends - starts, ends + 1 - starts)
    return (np.cumsum(lengths) - 1)[users].astype(np.int64)


def _last_events(logs: Logs) -> Cases:
    return Cases(logs, np.arange(len(logs), dtype=np.int64), logs.offsets[1:] - 1)


def _first_at(logs: Logs, times: NDArray[np.int64], border: int) -> NDArray[np.int64]:
    """Of each user the position of the first event at `border` or later, (N,).

    Raises:
        InvalidInput: a user's times go backwards.
    """
    if len(times) > 1:
        backwards = np.flatnonzero(np.diff(times) < 0) + 1
        inner = np.setdiff1d(backwards, logs.offsets)
        if len(inner):
            raise InvalidInput(f"the times of a user go backwards at event {inner[0]}.", fix="Sort the logs.")
    counted = np.concatenate([[0], np.cumsum(times < border)])
    return logs.offsets[:-1] + counted[logs.offsets[1:]] - counted[logs.offsets[:-1]]


def _period(logs: Logs, begin: NDArray[np.int64], every: bool) -> Cases:
    """Cases of the events from `begin` on, of users who did something before."""
    stops = logs.offsets[1:]
    able = (begin < stops) & (begin > logs.offsets[:-1])
    users = np.flatnonzero(able).astype(np.int64)
    if not every:
        return Cases(logs, users, begin[users].astype(np.int64))
    counts = (stops - begin)[users]
    ends = np.cumsum(counts)
    inside = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)
    return Cases(logs, np.repeat(users, counts), np.repeat(begin[users], counts) + inside)


class SplitSettings(StageConfig):
    """How logs are divided; a model and its evaluation must agree on it."""

    method: Literal["leave-one-out", "users", "time"] = "leave-one-out"
    """leave-one-out: each user's last event; users: people never seen before; time: what came after it."""
    share: float = Field(default=0.1, gt=0, le=0.4)
    """Of users: which share is held out for the test, and another for validation."""
    time: int | None = None
    """Of time: seconds since 1970 UTC."""
    every: bool = False
    """Of time: ask for every event of the period, not for each user's first one."""
    seed: int = Field(default=0, ge=0)
    """Of users: of the choice."""

    @model_validator(mode="after")
    def _has_time(self) -> Self:
        if self.method == "time" and self.time is None:
            raise ValueError("a split at a time needs `time`, in seconds since 1970")
        return self

    def divide(self, logs: Logs) -> Split:
        """Divide logs so.

        Raises:
            InvalidInput: these logs cannot be divided so.
        """
        if self.method == "users":
            return hold_out_users(logs, share=self.share, seed=self.seed)
        if self.method == "time":
            assert self.time is not None, "checked when the settings were read"
            return split_at(logs, self.time, every=self.every)
        return leave_one_out(logs)
