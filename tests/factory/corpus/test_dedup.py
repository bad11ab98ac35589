import random

import numpy as np
import pytest

from malmoi.factory.corpus.dedup import best_of_each, draw, exact_key, first_of_each, sampled
from malmoi.factory.corpus.minhash import MinHashSettings, find_clusters, signatures
from malmoi.factory.corpus.split import choose_held_out

SETTINGS = MinHashSettings()


def korean(rng, length=400):
    return "".join(chr(0xAC00 + rng.randrange(11_172)) if n % 4 else " " for n in range(length))


def english(rng, count=120):
    return " ".join("".join(rng.choices("abcdefghij", k=5)) for _ in range(count))


def edited(text, rng, count):
    letters = list(text)
    for at in rng.sample(range(len(letters)), count):
        letters[at] = "힣" if letters[at] != " " else " "
    return "".join(letters)


def jaccard(a, b, size=8):
    sets = [
        {t[n : n + size] for n in range(len(t) - size + 1)} for t in (a.replace(" ", ""), b.replace(" ", ""))
    ]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def keys(texts):
    return np.frombuffer(b"".join(map(exact_key, texts)), dtype="<u8").reshape(-1, 2)


def test_exact_copies_leave_their_first():
    texts = ["가 나", "b", "가나", "B ", "c", "가\n나"]
    assert first_of_each(keys(texts)).tolist() == [True, True, False, False, True, False]
    assert first_of_each(keys([])).tolist() == []


def test_signatures_agree_as_often_as_the_similarity():
    rng = random.Random(3)
    for edits in (2, 8, 20):
        text = korean(rng, 2000)
        other = edited(text, rng, edits)
        signed = signatures([text, other], ["ko", "ko"], SETTINGS)
        assert (signed[0] == signed[1]).mean() == pytest.approx(jaccard(text, other), abs=0.15)


def test_signatures_do_not_depend_on_the_company():
    rng = random.Random(4)
    texts = [korean(rng), english(rng), "", "짧다", korean(rng, 300_000)]
    languages = ["ko", "en", "ko", "ko", "ko"]
    together = signatures(texts, languages, SETTINGS)
    for at in range(len(texts)):
        assert np.array_equal(together[at], signatures([texts[at]], [languages[at]], SETTINGS)[0])


def test_near_copies_are_one_cluster_and_others_are_not():
    rng = random.Random(5)
    texts, languages = [], []
    for number in range(60):
        text = korean(rng, 600) if number % 2 else english(rng)
        near = edited(text, rng, 3) if number % 2 else text.replace("a", "b", 2)
        texts += [text, near]
        languages += ["ko" if number % 2 else "en"] * 2
    clusters = find_clusters(signatures(texts, languages, SETTINGS), SETTINGS)
    assert clusters.same.tolist() == [at - at % 2 for at in range(120)]


def test_a_chain_is_one_cluster_of_relatives():
    rng = random.Random(6)
    chain = [korean(rng, 600)]
    for _ in range(5):
        chain.append(edited(chain[-1], rng, 4))
    clusters = find_clusters(signatures(chain, ["ko"] * 6, SETTINGS), SETTINGS)
    assert set(clusters.related.tolist()) == {0}


def test_texts_without_letters_are_no_copies_of_each_other():
    clusters = find_clusters(signatures(["!!!", "...", ""], ["ko"] * 3, SETTINGS), SETTINGS)
    assert clusters.same.tolist() == [0, 1, 2]


def test_a_thousand_copies_are_found_in_linear_time():
    rng = random.Random(7)
    text = korean(rng, 300)
    texts = [text] * 3000 + [korean(rng, 300) for _ in range(50)]
    clusters = find_clusters(signatures(texts, ["ko"] * len(texts), SETTINGS), SETTINGS)
    assert set(clusters.same[:3000].tolist()) == {0}
    assert clusters.same[3000:].tolist() == list(range(3000, 3050))


def test_no_documents_have_no_clusters():
    assert len(find_clusters(signatures([], [], SETTINGS), SETTINGS).same) == 0


def test_the_longest_then_the_best_then_the_first_stays():
    clusters = np.array([0, 0, 2, 2, 4, 4, 6])
    lengths = np.array([5, 9, 7, 7, 3, 3, 1])
    quality = np.array([0.9, 0.1, 0.2, 0.8, np.nan, np.nan, np.nan])
    assert best_of_each(clusters, quality, lengths).tolist() == [False, True, False, True, True, False, True]


def test_a_sample_fits_and_is_nested():
    draws = np.array([draw(1, "sample", f"d{n}") for n in range(1000)], dtype=np.uint64)
    sizes = np.full(1000, 10)
    small, large = sampled(draws, sizes, 1000), sampled(draws, sizes, 4000)
    assert small.sum() == 100
    assert large.sum() == 400
    assert not (small & ~large).any()
    assert sampled(draws, sizes, 1).sum() == 1


def held(clusters, share=0.1, seed=5, sources=None, kept=None):
    count = len(clusters)
    names = [f"d{n}" for n in range(count)]
    kept = np.ones(count, dtype=bool) if kept is None else kept
    return choose_held_out(np.asarray(clusters), kept, names, sources or ["s"] * count, share, seed)


def test_clusters_are_never_on_both_sides():
    clusters = np.repeat(np.arange(0, 3000, 3), 3)
    out = held(clusters)
    assert (out.reshape(-1, 3).sum(axis=1) % 3 == 0).all()
    assert 0.06 < out.mean() < 0.14
    assert not np.array_equal(out, held(clusters, seed=6))
    assert not held(clusters, share=0.0).any()


def test_every_source_with_enough_documents_can_be_evaluated():
    sources = ["large"] * 1000 + ["small"] * 30 + ["tiny"] * 3
    out = held(np.arange(1033), share=0.005, sources=sources)
    assert out[:1000].any()
    assert out[1000:1030].sum() == 1
    assert not out[1030:].any()


def test_a_very_large_cluster_stays_for_training():
    clusters = [0] * 2000 + list(range(2000, 4000))
    for seed in range(30):
        assert not held(clusters, share=0.2, seed=seed)[:2000].any()


def test_a_sample_says_nothing_about_who_is_held_out():
    draws = np.array([draw(5, "sample", f"d{n}") for n in range(5000)], dtype=np.uint64)
    sample = sampled(draws, np.full(5000, 1), 500)
    out = held(np.arange(5000), share=0.1)
    assert 0.05 < out[sample].mean() < 0.15


def test_something_is_always_left_to_train_on():
    assert held([0, 1], share=0.5, seed=1).sum() <= 1
    assert not held([0], share=0.5).any()
    assert not held([0] * 50, share=0.5, seed=3).all()
