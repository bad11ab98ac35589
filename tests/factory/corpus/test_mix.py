import pytest

from malmoi.factory.corpus.mix import MixtureSettings, SourceTotal, balance


def source(name, group, size, **settings):
    return SourceTotal(name, group, "CC0-1.0", max(size // 100, 1 if size else 0), size, **settings)


def mixed(*sources, **settings):
    mixture, notes = balance(sources, MixtureSettings(**settings))
    weights = {row.name: row.weight for row in mixture.sources}
    if weights:
        assert sum(weights.values()) == pytest.approx(1)
    return weights, notes, {row.name: row.epochs for row in mixture.sources}


def test_thirds_whatever_the_sizes():
    weights, notes, epochs = mixed(
        source("k", "korean", 300), source("e", "other", 500), source("c", "code", 200)
    )
    assert weights == pytest.approx({"k": 1 / 3, "e": 1 / 3, "c": 1 / 3})
    assert epochs == pytest.approx({"k": 1000 / 900, "e": 1000 / 1500, "c": 1000 / 600})
    assert notes == []


def test_an_empty_group_gives_its_share_away():
    weights, notes, _ = mixed(source("k", "korean", 500), source("e", "other", 400), source("c", "code", 0))
    assert weights == pytest.approx({"k": 0.5, "e": 0.5})
    assert notes == ["no code documents: their share goes to the others"]


def test_a_small_group_is_not_repeated_for_ever():
    weights, notes, epochs = mixed(
        source("k", "korean", 490), source("e", "other", 490), source("c", "code", 20)
    )
    assert epochs["c"] == pytest.approx(4)
    assert weights == pytest.approx({"k": 0.46, "e": 0.46, "c": 0.08})
    assert notes == ["code: 8.0% of the mixture instead of 33.3%, for what there is of it"]


def test_a_source_has_its_own_limit_of_epochs():
    _, _, epochs = mixed(
        source("a", "korean", 900), source("b", "korean", 100, epochs=1.0, weight=1), max_epochs=9
    )
    assert epochs["b"] == pytest.approx(1)


def test_within_a_group_by_size_or_weight():
    weights, _, _ = mixed(source("a", "korean", 300), source("b", "korean", 100))
    assert weights == pytest.approx({"a": 0.75, "b": 0.25})
    weights, _, _ = mixed(source("a", "korean", 300, weight=1), source("b", "korean", 100, weight=1))
    assert weights == pytest.approx({"a": 0.5, "b": 0.5})
    weights, _, _ = mixed(source("a", "korean", 300, weight=0), source("b", "korean", 300))
    assert weights == pytest.approx({"a": 0, "b": 1})


def test_max_share_is_of_the_group():
    weights, notes, _ = mixed(
        source("reviews", "korean", 900, max_share=0.5),
        source("docs", "korean", 400),
        source("e", "other", 900),
    )
    assert weights == pytest.approx({"reviews": 0.25, "docs": 0.25, "e": 0.5})
    assert notes == ["no code documents: their share goes to the others"]


def test_max_share_holds_where_the_others_run_out():
    weights, _, epochs = mixed(
        source("reviews", "korean", 900, max_share=0.5),
        source("docs", "korean", 20),
        source("e", "other", 900),
    )
    assert epochs["docs"] == pytest.approx(4)
    assert weights["reviews"] == pytest.approx(weights["docs"])


def test_max_share_that_nobody_can_fill_is_not_applied():
    weights, notes, _ = mixed(source("reviews", "korean", 900, max_share=0.5))
    assert weights == {"reviews": 1.0}
    assert "korean: max_share leaves room" in notes[-1]


def test_limits_below_one_pass_are_scaled_up():
    weights, notes, epochs = mixed(
        source("a", "korean", 100, epochs=0.5), source("b", "korean", 100, epochs=0.5)
    )
    assert weights == pytest.approx({"a": 0.5, "b": 0.5})
    assert epochs == pytest.approx({"a": 1, "b": 1})
    assert any("exhausted after 50%" in note for note in notes)


def test_no_group_that_is_there_has_a_share():
    weights, notes, _ = mixed(source("a", "korean", 100), source("b", "code", 300), korean=0, code=0)
    assert weights == pytest.approx({"a": 0.25, "b": 0.75})
    assert any("share by size" in note for note in notes)


def test_nothing_is_an_empty_mixture():
    assert mixed(source("a", "korean", 0))[0] == {}
