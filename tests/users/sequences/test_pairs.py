"""Views and batches of CLUE."""

import numpy as np
import pytest
from clue_logs import logs_of, small_logs
from hypothesis import given, settings
from hypothesis import strategies as st

from malmoi.core.errors import InvalidInput
from malmoi.users.sequences.pairs import PairSource, build_batch, draw_views
from malmoi.users.sequences.vocabulary import number_texts


@settings(max_examples=100, deadline=None)
@given(
    service=st.lists(st.integers(0, 3), min_size=2, max_size=40).filter(lambda drawn: len(set(drawn)) > 1),
    length=st.integers(1, 10),
    seed=st.integers(0, 1000),
    mixed=st.booleans(),
)
def test_views_of_two_services_share_neither_event_nor_service(
    service: list[int], length: int, seed: int, mixed: bool
):
    of = np.array(service, dtype=np.int16)
    wanted = None if mixed else (service[0], next(other for other in service if other != service[0]))
    a, b = draw_views(np.arange(len(service)), of, wanted, length, np.random.default_rng(seed))
    for view in (a, b):
        assert 1 <= len(view) <= length
        assert (np.diff(view) > 0).all()
    assert not {service[n] for n in a} & {service[n] for n in b}
    if wanted:
        assert ({service[n] for n in a}, {service[n] for n in b}) == ({wanted[0]}, {wanted[1]})


@settings(max_examples=50, deadline=None)
@given(size=st.integers(2, 40), length=st.integers(1, 10), seed=st.integers(0, 1000))
def test_views_of_one_service_are_two_spans_of_time(size: int, length: int, seed: int):
    of = np.full(size, 2, dtype=np.int16)
    a, b = draw_views(np.arange(size), of, (2, 2), length, np.random.default_rng(seed))
    assert 1 <= len(a) <= length
    assert 1 <= len(b) <= length
    assert a.max() < b.min()


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


def test_all_rows_of_a_step_contrast_the_same_two_services():
    logs = small_logs(60)
    pairs, seen = source(logs), set()
    service_of_text = logs.items.service  # every item has a text of its own here
    for number in range(20):
        batch = pairs.step(number)
        assert len(set(batch.user.tolist())) == len(batch)
        services = [
            set(service_of_text[batch.texts[side[side >= 0]]].tolist()) for side in (batch.a, batch.b)
        ]
        assert all(len(found) == 1 for found in services)
        seen.add(tuple(min(found) for found in services))
    assert len(seen) > 2


def test_ranks_share_a_batch():
    pairs = source(small_logs(30), batch_size=8)
    whole = pairs.step(3)
    parts = [pairs.step(3, rank, 2) for rank in range(2)]
    assert np.concatenate([part.user for part in parts]).tolist() == whole.user.tolist()
    with pytest.raises(InvalidInput, match="40 ranks"):
        pairs.step(3, 0, 40)


def test_users_of_one_service_form_batches_of_their_own():
    catalog = small_logs(1).items  # items 0-11 are books, 12-23 of the shop
    pairs = source(logs_of(catalog, [[0, 1], [2, 3, 4], [0, 13], [5, 14, 6], [7], [15, 16]]))
    assert [(pool.services, pool.users.tolist()) for pool in pairs.pools] == [
        ((0, 0), [0, 1]),
        ((0, 1), [2, 3]),
    ]


def test_logs_without_two_users_alike_say_so():
    catalog = small_logs(1).items
    with pytest.raises(InvalidInput, match="of 3 users no two"):
        source(logs_of(catalog, [[0], [1, 2], [13, 14]]))
