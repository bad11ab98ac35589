import numpy as np
import pytest

from malmoi.factory.corpus.shingles import characters, fold, grams, words

TEXTS = ["우리 나라, 만세!", "", "The cat SAT on the mat; the cat", "a", "  ", "İstanbul 2x"]


def pieces(units, texts):
    return [
        [fold(text)[a:b] for a, b in units.spans[units.starts[at] : units.starts[at + 1]]]
        for at, text in enumerate(texts)
    ]


def test_units_are_letters_or_words_where_they_stand():
    assert pieces(characters(TEXTS), TEXTS)[0] == list("우리나라만세")
    assert pieces(words(TEXTS), TEXTS) == [
        ["우리", "나라", "만세"],
        [],
        ["the", "cat", "sat", "on", "the", "mat", "the", "cat"],
        ["a"],
        [],
        ["i", "stanbul", "2x"] if len(fold("İ").strip()) != 1 else [fold("İstanbul"), "2x"],
    ]


@pytest.mark.parametrize("units", [characters, words])
def test_a_text_has_the_same_grams_in_any_company(units):
    together = grams(units(TEXTS), 2, whole_if_shorter=True)
    for at, text in enumerate(TEXTS):
        alone = grams(units([text]), 2, whole_if_shorter=True)
        assert np.array_equal(together.hashes[together.starts[at] : together.starts[at + 1]], alone.hashes)
        assert np.array_equal(together.places[together.starts[at] : together.starts[at + 1]], alone.places)


def test_equal_runs_have_equal_hashes_and_others_do_not():
    found = grams(words(["the cat sat on the mat", "on the mat the cat sat"]), 3)
    first, second = found.hashes[:4], found.hashes[4:]
    assert first[0] == second[3]  # the cat sat
    assert first[3] == second[0]  # on the mat
    assert len(set(found.hashes.tolist())) == 6


def test_words_do_not_run_across_texts():
    found = words(["ab", "cd"])
    assert len(found.values) == 2
    assert found.values[0] == words(["ab"]).values[0]
    assert words(["abcd"]).values[0] not in found.values


def test_short_texts_have_no_gram_or_one():
    units = characters(["가나", "가나다라"])
    assert np.diff(grams(units, 3).starts).tolist() == [0, 2]
    assert np.diff(grams(units, 3, whole_if_shorter=True).starts).tolist() == [1, 2]


def test_random_grams_hardly_ever_collide():
    rng = np.random.default_rng(0)
    text = "".join(chr(0xAC00 + n) for n in rng.integers(0, 11_172, 60_000))
    assert len(np.unique(grams(characters([text]), 5).hashes)) == 60_000 - 4


def test_no_texts_have_no_grams():
    assert len(grams(words([]), 3).hashes) == 0
    assert len(grams(characters(["...", ""]), 3).hashes) == 0
