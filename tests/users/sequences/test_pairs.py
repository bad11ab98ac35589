"""Views and batches of CLUE."""

from typing import get_args

import numpy as np
import pytest
from clue_logs import logs_of, small_logs
from hypothesis import given, settings
from hypothesis import strategies as st

from malmoi.core.errors import InvalidInput
from malmoi.users.sequences.pairs import PairSource, ViewKind, build_batch, draw_views
from malmoi.users.sequences.vocabulary import number_texts


@settings(max_examples=100, deadline=None)
@given(
    service=st.lists(st.integers(0, 3), min_size=2, max_size=40),
    length=st.integers(1, 10),
    kind=st.sampled_from(get_args(ViewKind)),
    seed=st.integers(0, 1000),
)
def test_views_share_no_event_and_keep_the_order(service: list[int], length: int, kind: ViewKind, seed: int):
    texts = np.arange(len(service))
    of = np.array(service, dtype=np.int16)
    a, b = draw_views(texts, of, length, kind, np.random.default_rng(seed))
    assert 1 <= len(a) <= length
    assert 1 <= len(b) <= length
    assert not set(a.tolist()) & set(b.tolist())
    assert (np.diff(a) > 0).all()
    assert (np.diff(b) > 0).all()
    if len(set(service)) > 1:
        assert not {service[n] for n in a} & {service[n] for n in b}
    else:  # two spans of time
        assert max(a) < min(b) or max(b) < min(a)
    if kind == "services" and len(set(service)) > 1:
        assert len({service[n] for n in a}) == len({service[n] for n in b}) == 1


def test_a_batch_has_each_text_once():
    views = [(np.array([4, 9, 4]), np.array([9])), (np.array([9]), np.array([2, 4]))]
    batch = build_batch(views, np.array([7, 8]), 16)
    assert batch.texts.tolist() == [2, 4, 9]
    assert batch.a.tolist() == [[1, 2, 1], [2, -1, -1]]
    assert batch.b.tolist() == [[2, -1], [0, 1]]
    assert batch.digests[0, 1] == batch.digests[1, 0] != batch.digests[0, 0]


def source(logs, batch_size: int = 8, seed: int = 0) -> PairSource:
    text_of, _ = number_texts(logs.items.texts)
    return PairSource(logs, text_of, batch_size=batch_size, history_length=6, kind="services", seed=seed)


def test_a_step_depends_on_its_number_and_the_seed_alone():
    logs = small_logs(30)
    first, again = source(logs), source(logs)
    for _ in range(3):
        again.step(4)
    one, two = first.step(9), again.step(9)
    assert one.user.tolist() == two.user.tolist()
    assert one.a.tolist() == two.a.tolist()
    assert source(logs, seed=1).step(9).user.tolist() != one.user.tolist()


def test_an_epoch_has_every_user_once_and_goes_on_inside_a_batch():
    pairs = source(small_logs(20), batch_size=8)
    users = np.concatenate([pairs.step(number).user for number in range(5)])
    assert sorted(users[:20].tolist()) == sorted(users[20:40].tolist()) == pairs.users.tolist()


def test_ranks_share_a_batch():
    pairs = source(small_logs(30), batch_size=8)
    whole = pairs.step(3)
    parts = [pairs.step(3, rank, 2) for rank in range(2)]
    assert np.concatenate([part.user for part in parts]).tolist() == whole.user.tolist()
    with pytest.raises(InvalidInput, match="3 ranks"):
        pairs.step(3, 0, 3)


def test_users_with_one_event_are_left_out():
    catalog = small_logs(1).items
    assert source(logs_of(catalog, [[0], [1, 2], [3], [4, 5, 6]])).users.tolist() == [1, 3]
    with pytest.raises(InvalidInput, match="1 of 2 users"):
        source(logs_of(catalog, [[0], [1, 2]]))
