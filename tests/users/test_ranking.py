from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from malmoi.core.errors import InvalidInput
from malmoi.users.cases import Cases
from malmoi.users.logs import History, Items, Logs
from malmoi.users.ranking import compare, hit_rate, interval, match_items, mrr, ndcg, rank_cases
from malmoi.users.splits import leave_one_out


def make_items(*ids: str) -> Items:
    return Items(ids, tuple(f"text {name}" for name in ids), ("s",), np.zeros(len(ids), dtype=np.int16))


def make_logs(*sequences: Sequence[int], items: Items | None = None) -> Logs:
    offsets = np.concatenate([[0], np.cumsum([len(sequence) for sequence in sequences])]).astype(np.int64)
    events = np.array([item for sequence in sequences for item in sequence], dtype=np.int32)
    users = tuple(f"u{n}" for n in range(len(sequences)))
    return Logs(users, items or make_items(*"abcdef"), offsets, events)


class Fixed:
    """Gives every history the same scores."""

    def __init__(self, items: Items, scores: Sequence[float]) -> None:
        self.items = items
        self.scores = scores
        self.seen: list[History] = []

    def score(self, histories: Sequence[History]) -> NDArray[np.float32]:
        self.seen.extend(histories)
        return np.tile(np.array(self.scores, dtype=np.float32), (len(histories), 1))


def ask(scores: Sequence[float], *sequences: Sequence[int]) -> list[float]:
    logs = make_logs(*sequences)
    return rank_cases(Fixed(logs.items, scores), leave_one_out(logs).test).tolist()


def test_items_of_the_history_are_taken_out() -> None:
    # a and b, which score best, were seen; the truth f is behind c, d, e.
    assert ask([6, 5, 4, 3, 2, 1], [0, 1, 5]) == [4.0]
    assert ask([6, 5, 4, 3, 2, 1], [0, 1, 2]) == [1.0]


def test_equal_scores_put_the_truth_in_the_middle_of_them() -> None:
    # c, d, e, f are alike: places 1 to 4, in the middle 2.5.
    assert ask([0, 0, 0, 0, 0, 0], [0, 1, 5]) == [2.5]
    assert ask([9, 9, 1, 1, 0, 0], [0, 1, 3]) == [1.5]


def test_a_truth_that_was_seen_before_is_ranked_all_the_same() -> None:
    assert ask([6, 5, 4, 3, 2, 1], [0, 1, 2, 0]) == [1.0]
    assert ask([0, 0, 0, 3, 2, 1], [0, 1, 2, 0]) == [4.0]


def test_the_ranks_do_not_depend_on_the_batch() -> None:
    random = np.random.default_rng(3)
    logs = make_logs(*[random.permutation(6)[:4].tolist() for _ in range(9)])
    model = Fixed(logs.items, random.normal(size=6).tolist())
    cases = leave_one_out(logs).test
    whole = rank_cases(model, cases)
    assert rank_cases(model, cases, batch=1).tolist() == whole.tolist()
    assert rank_cases(model, cases, batch=4).tolist() == whole.tolist()


def test_a_model_of_other_items_is_asked_with_its_own_numbers() -> None:
    logs = make_logs([0, 1, 2], [2, 1, 5])
    model = Fixed(make_items("c", "b", "z"), [1, 3, 2])
    ranks = rank_cases(model, leave_one_out(logs).test)
    # c is behind z (b was seen); f is not known to the model.
    assert ranks.tolist() == [2.0, np.inf]
    assert [history.items.tolist() for history in model.seen] == [[-1, 1], [0, 1]]
    assert model.seen[0].texts == ("text a", "text b")


def test_the_same_id_at_another_service_is_another_item() -> None:
    items = Items(("x", "x"), ("1", "2"), ("p", "q"), np.array([0, 1], dtype=np.int16))
    only = Items(("x",), ("2",), ("q",), np.array([0], dtype=np.int16))
    places = match_items(items, only)
    assert places is not None
    assert places.tolist() == [-1, 0]
    assert match_items(items, items) is None


def test_scores_that_are_no_numbers_are_an_error() -> None:
    with pytest.raises(InvalidInput, match="NaN"):
        ask([np.nan] * 6, [0, 1, 2])
    with pytest.raises(InvalidInput, match="scores"):
        ask([1, 2], [0, 1, 2])


def test_figures_by_hand() -> None:
    ranks = np.array([1.0, 2.0, 10.0, 11.0, np.inf])
    assert hit_rate(ranks, 10) == pytest.approx(3 / 5)
    assert hit_rate(ranks, 1) == pytest.approx(1 / 5)
    assert ndcg(ranks, 10) == pytest.approx((1 + 1 / np.log2(3) + 1 / np.log2(11)) / 5)
    assert mrr(ranks) == pytest.approx((1 + 1 / 2 + 1 / 10 + 1 / 11) / 5)


def test_no_cases_give_no_ranks() -> None:
    logs = make_logs([0], [1, 2])
    cases = leave_one_out(logs).test
    assert len(cases) == 0
    assert rank_cases(Fixed(logs.items, [0] * 6), cases).tolist() == []


def test_a_better_model_is_told_from_a_worse_one() -> None:
    random = np.random.default_rng(0)
    worse = random.integers(1, 40, 500).astype(float)
    better = np.maximum(1, worse - random.integers(0, 8, 500))
    found = compare(better, worse)
    assert found.verdict == "better"
    assert 0 < found.low < found.difference < found.high
    assert compare(worse, better).verdict == "worse"
    assert compare(worse, worse).verdict.startswith("no difference")
    assert (found.cases, found.users) == (500, 500)


def test_cases_of_one_user_are_drawn_together() -> None:
    # 10 users with 50 equal cases each know no more than 10 cases do.
    ranks = np.repeat(np.arange(1.0, 11.0), 50)
    users = np.repeat(np.arange(10), 50)
    alone, together = interval(ranks), interval(ranks, users=users)
    assert together[1] - together[0] > 3 * (alone[1] - alone[0])
    assert compare(ranks, ranks, users=users).users == 10


def test_only_the_same_cases_are_compared() -> None:
    with pytest.raises(InvalidInput, match="case by case"):
        compare(np.ones(3), np.ones(4))
    with pytest.raises(InvalidInput, match="case by case"):
        compare(np.ones(0), np.ones(0))


def test_cases_give_their_truth() -> None:
    logs = make_logs([3, 4, 5])
    cases = Cases(logs, np.array([0]), np.array([1]))
    assert cases.truth.tolist() == [4]
    assert cases.history(0).items.tolist() == [3]
