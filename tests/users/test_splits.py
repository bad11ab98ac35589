import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from malmoi.core.errors import InvalidInput
from malmoi.users.cases import Cases
from malmoi.users.logs import Items, Logs
from malmoi.users.splits import Split, hold_out_users, leave_one_out, split_at


def make_logs(sequences: list[list[tuple[int, int]]]) -> Logs:
    """Users with (time, item) events; every event is another item, so that one can be told from another."""
    flat = [event for sequence in sequences for event in sequence]
    count = len(flat)
    items = Items(
        ids=tuple(f"i{n}" for n in range(count)),
        texts=tuple(f"t{n}" for n in range(count)),
        services=("s",),
        service=np.zeros(count, dtype=np.int16),
    )
    offsets = np.concatenate([[0], np.cumsum([len(sequence) for sequence in sequences])]).astype(np.int64)
    return Logs(
        users=tuple(f"u{n}" for n in range(len(sequences))),
        items=items,
        offsets=offsets,
        events=np.arange(count, dtype=np.int32),
        times=np.array([time for time, _ in flat], dtype=np.int64),
    )


LOGS = st.lists(
    st.lists(st.tuples(st.integers(0, 40), st.just(0)), max_size=7).map(sorted), min_size=1, max_size=12
).map(make_logs)


def events_of(logs: Logs) -> set[int]:
    return set(logs.events.tolist())


def check_no_leak(logs: Logs, split: Split) -> None:
    """Every event is another item, so sets of items are sets of events."""
    train, known = events_of(split.train), events_of(split.known)
    validation, test = set(split.validation.truth.tolist()), set(split.test.truth.tolist())
    assert not train & (validation | test)
    assert not known & test
    assert not validation & test
    assert train <= known <= events_of(logs)
    for cases in (split.validation, split.test):
        for number in range(len(cases)):
            truth = int(cases.truth[number])
            history = cases.history(number)
            assert len(history) >= 1
            assert truth not in history.items
            # The history is what this very user did before, oldest first.
            user = logs.users.index(cases.logs.users[cases.user[number]])
            sequence = logs.sequence(user).tolist()
            place = sequence.index(truth)
            assert history.items.tolist() == sequence[:place]


@given(LOGS)
@settings(max_examples=60, deadline=None)
def test_leaving_one_out_holds_back_the_last_two_events(logs: Logs) -> None:
    split = leave_one_out(logs)
    check_no_leak(logs, split)
    assert len(split.train) == len(split.known) == len(logs)
    for user in range(len(logs)):
        sequence = logs.sequence(user).tolist()
        held = 2 if len(sequence) >= 3 else 0
        assert split.train.sequence(user).tolist() == sequence[: len(sequence) - held]
    asked = [user for user in range(len(logs)) if logs.lengths[user] >= 3]
    assert split.test.user.tolist() == split.validation.user.tolist() == asked
    assert split.test.truth.tolist() == [int(logs.sequence(user)[-1]) for user in asked]
    assert split.validation.truth.tolist() == [int(logs.sequence(user)[-2]) for user in asked]


@given(LOGS, st.floats(0.01, 0.4), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_users_held_out_are_in_no_other_part(logs: Logs, share: float, seed: int) -> None:
    if (logs.lengths >= 2).sum() < 3:
        with pytest.raises(InvalidInput, match="two events or more"):
            hold_out_users(logs, share=share, seed=seed)
        return
    split = hold_out_users(logs, share=share, seed=seed)
    check_no_leak(logs, split)
    parts = [set(split.train.users), set(split.validation.logs.users), set(split.test.logs.users)]
    assert set.union(*parts) == set(logs.users)
    assert sum(len(part) for part in parts) == len(logs)
    assert set(split.known.users) == parts[0] | parts[1]
    assert len(split.test) == len(split.validation) >= 1
    again = hold_out_users(logs, share=share, seed=seed)
    assert again.test.logs.users == split.test.logs.users


@given(LOGS, st.integers(1, 41), st.sampled_from([0.0, 0.1, 0.5]), st.booleans())
@settings(max_examples=80, deadline=None)
def test_a_time_divides_what_is_known_from_what_is_asked(
    logs: Logs, time: int, validation: float, every: bool
) -> None:
    assert logs.times is not None
    if not (logs.times < time).any():
        with pytest.raises(InvalidInput, match="no event is before"):
            split_at(logs, time, validation=validation, every=every)
        return
    split = split_at(logs, time, validation=validation, every=every)
    check_no_leak(logs, split)
    times = logs.times
    assert all(times[event] < time for event in events_of(split.known))
    assert all(times[event] >= time for event in split.test.truth)
    asked_earlier = [int(times[event]) for event in split.validation.truth]
    learned = [int(times[event]) for event in events_of(split.train)]
    assert not asked_earlier or not learned or max(learned) < min(asked_earlier)
    if not every:
        assert len(set(split.test.user.tolist())) == len(split.test)
    else:
        later = {event for event in range(logs.num_events) if times[event] >= time}
        with_past = {user for user in range(len(logs)) if len(split.known.sequence(user))}
        assert set(split.test.truth.tolist()) == {
            event for user in with_past for event in logs.sequence(user).tolist() if event in later
        }


def test_times_that_go_backwards_are_an_error() -> None:
    logs = make_logs([[(1, 0), (5, 0), (3, 0)], [(0, 0)]])
    with pytest.raises(InvalidInput, match="go backwards at event 2"):
        split_at(logs, 4)


def test_a_later_user_may_begin_before_an_earlier_one() -> None:
    split = split_at(make_logs([[(5, 0), (9, 0)], [(1, 0), (8, 0)]]), 8, validation=0)
    assert split.test.truth.tolist() == [1, 3]


@pytest.mark.parametrize("share", [0.0, -0.1, 0.5])
def test_a_share_must_leave_most_users(share: float) -> None:
    with pytest.raises(InvalidInput, match="share of users"):
        hold_out_users(make_logs([[(1, 0), (2, 0)]] * 5), share=share, seed=0)


def test_cases_carry_whole_histories() -> None:
    split = leave_one_out(make_logs([[(1, 0), (2, 0), (3, 0), (4, 0)]]))
    assert isinstance(split.test, Cases)
    assert split.test.history(0).items.tolist() == [0, 1, 2]
    assert split.validation.history(0).items.tolist() == [0, 1]
    assert split.train.events.tolist() == [0, 1]
