"""Ranks are fused as the formula says, whatever the rankings are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from malmoi.assist.retrieval.fusion import fuse

RANKINGS = st.dictionaries(st.sampled_from("abc"), st.lists(st.integers(0, 20), unique=True, max_size=10))


def test_what_both_rank_well_comes_first() -> None:
    fused = fuse({"terms": ["x", "both"], "vectors": ["y", "both"]})
    assert [one.item for one in fused] == ["both", "x", "y"]
    assert fused[0].score == pytest.approx(2 / 62)
    assert fused[0].ranks == {"terms": 2, "vectors": 2}
    assert fused[1].ranks == {"terms": 1}


def test_weights_and_the_constant_count() -> None:
    fused = fuse({"terms": ["x"], "vectors": ["y"]}, weights={"vectors": 2.0}, k=0)
    assert [(one.item, one.score) for one in fused] == [("y", 2.0), ("x", 1.0)]


def test_a_thing_stands_in_a_ranking_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        fuse({"terms": ["x", "x"]})
    with pytest.raises(ValueError, match="negative"):
        fuse({}, k=-1)


@given(RANKINGS)
def test_every_thing_comes_once_best_first(rankings: dict[str, list[int]]) -> None:
    fused = fuse(rankings)
    assert sorted(one.item for one in fused) == sorted({item for one in rankings.values() for item in one})
    assert [one.score for one in fused] == sorted((one.score for one in fused), reverse=True)
    for one in fused:
        assert one.score == pytest.approx(sum(1 / (60 + rank) for rank in one.ranks.values()))


@given(st.lists(st.integers(0, 20), unique=True))
def test_one_ranking_alone_stays_as_it_is(ranking: list[int]) -> None:
    assert [one.item for one in fuse({"terms": ranking})] == ranking
