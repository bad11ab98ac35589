"""Rates, differences on the same rows, and when two calls ask for the same."""

from typing import Any

import pytest

from malmoi.serve.skills.trainer.figures import figure, has_numbers_of, paired, same_arguments, words


def test_a_paired_difference_has_newcombes_interval() -> None:
    # The first example of Newcombe 1998, table II, method 10.
    value, low, high = paired(both=36, gained=12, lost=2, total=50)
    assert (value, round(low, 4), round(high, 4)) == (0.2, 0.0569, 0.3404)
    # The other way round it is the same with other signs.
    value, low, high = paired(both=36, gained=2, lost=12, total=50)
    assert (value, round(low, 4), round(high, 4)) == (-0.2, -0.3404, -0.0569)


def test_nothing_changed_is_not_certainty() -> None:
    value, low, high = paired(both=5, gained=0, lost=0, total=5)
    assert value == 0.0
    assert low < -0.2 < 0.2 < high
    assert paired(both=0, gained=0, lost=0, total=0) == (None, -1.0, 1.0)


def test_a_figure_counts_both_ways() -> None:
    found = figure([(False, True), (True, True), (True, False), (False, True)])
    assert (found.without.count, found.with_demonstrations.count, found.without.total) == (2, 3, 4)
    assert (found.gain.gained, found.gain.lost, found.gain.value) == (2, 1, 0.25)


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ({"place": "제주"}, {"place": " 제주 "}, True),
        ({"place": "제주", "days": 2}, {"place": "제주", "days": 2.0}, True),
        ({"place": "제주"}, {"place": "제주", "limit": 5}, True),
        ({"place": "제주"}, {"place": "제주", "limit": None}, True),
        ({"place": "제주"}, {"place": "부산"}, False),
        ({"place": "제주"}, {"place": "제주", "days": 2}, False),
        ({"on": True}, {"on": 1}, False),
        ({"tags": ["a", "b"]}, {"tags": ["b", "a"]}, False),
    ],
    ids=["spaces", "numbers", "default", "null", "other", "more", "truth", "order"],
)
def test_arguments_are_the_same(one: dict[str, Any], two: dict[str, Any], same: bool) -> None:
    parameters = {"properties": {"limit": {"type": "integer", "default": 5}}}
    assert same_arguments(one, two, parameters) is same


def test_an_answer_has_the_numbers_of_the_right_one() -> None:
    assert has_numbers_of("모두 35000원, 2대입니다.", "차 2대, 35,000원.")
    assert not has_numbers_of("모두 35,000원입니다.", "차 2대, 35,000원.")
    assert words(" 제주  렌터카? ") == words("제주 렌터카")
