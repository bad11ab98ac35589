import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from malmoi.core.errors import InvalidInput
from malmoi.engine.base import Sampling
from malmoi.engine.sampling import Chooser, candidates, log_softmax, penalise, top_logprobs, with_defaults

LOGITS = np.array([1.0, 3.0, 2.0, -1.0, 3.0], dtype=np.float32)
vectors = arrays(np.float32, st.integers(1, 40), elements=st.floats(-30, 30, width=32))


@given(vectors)
def test_log_probabilities_sum_to_one(logits: np.ndarray) -> None:
    assert np.exp(log_softmax(logits)).sum() == pytest.approx(1.0)


def test_the_likeliest_come_first_and_ties_by_place() -> None:
    assert [token for token, _ in top_logprobs(log_softmax(LOGITS), 3)] == [1, 4, 2]
    assert top_logprobs(log_softmax(LOGITS), 0) == []
    assert len(top_logprobs(log_softmax(LOGITS), 99)) == 5


@given(vectors, st.floats(0.1, 5), st.integers(0, 50), st.floats(0.01, 1), st.floats(0, 1))
def test_candidates_are_a_distribution(
    logits: np.ndarray, temperature: float, top_k: int, top_p: float, min_p: float
) -> None:
    ids, probs = candidates(logits, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    assert probs.sum() == pytest.approx(1.0)
    assert len(set(ids.tolist())) == len(ids) >= 1
    assert ids[0] == np.argmax(logits)
    assert (np.diff(probs) <= 1e-12).all()
    if top_k:
        assert len(ids) <= top_k


def test_each_filter_keeps_what_it_should() -> None:
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05], dtype=np.float32))
    assert candidates(logits, temperature=1.0, top_k=2)[0].tolist() == [0, 1]
    assert candidates(logits, temperature=1.0, top_p=0.5)[0].tolist() == [0]
    assert candidates(logits, temperature=1.0, top_p=0.79)[0].tolist() == [0, 1]
    assert candidates(logits, temperature=1.0, min_p=0.29)[0].tolist() == [0, 1, 2]
    hot, cold = (candidates(logits, temperature=t)[1][0] for t in (2.0, 0.5))
    assert cold > 0.5 > hot


def test_penalties_follow_their_definitions() -> None:
    out = penalise(LOGITS, seen=[1, 3], generated={}, repetition=2.0)
    np.testing.assert_allclose(out, [1.0, 1.5, 2.0, -2.0, 3.0])
    out = penalise(LOGITS, seen=[], generated={0: 1, 2: 3}, presence=0.5, frequency=0.25)
    np.testing.assert_allclose(out, [0.25, 3.0, 0.75, -1.0, 3.0])
    assert LOGITS[1] == 3.0  # the input is not changed


def test_greedy_takes_the_first_of_the_best() -> None:
    chooser = Chooser(Sampling(temperature=0.0), [], vocab_size=5)
    assert [chooser.choose(LOGITS) for _ in range(3)] == [1, 1, 1]
    assert chooser.choose(LOGITS, forbidden=[1]) == 4


def test_penalties_look_at_the_prompt_and_the_answer() -> None:
    chooser = Chooser(Sampling(temperature=0.0, repetition_penalty=10.0), [1], vocab_size=5)
    assert [chooser.choose(LOGITS) for _ in range(3)] == [4, 2, 0]
    chooser = Chooser(Sampling(temperature=0.0, presence_penalty=2.5), [1], vocab_size=5)
    assert [chooser.choose(LOGITS) for _ in range(3)] == [1, 4, 2]


def test_a_bias_rules() -> None:
    assert Chooser(Sampling(temperature=0.0, logit_bias={3: 100.0}), [], vocab_size=5).choose(LOGITS) == 3
    with pytest.raises(InvalidInput, match="no token 5"):
        Chooser(Sampling(logit_bias={5: 1.0}), [], vocab_size=5)


def test_a_seed_repeats_the_draws() -> None:
    def draws(seed: int | None) -> list[int]:
        chooser = Chooser(Sampling(temperature=1.0, seed=seed), [], vocab_size=5)
        return [chooser.choose(LOGITS) for _ in range(50)]

    assert draws(7) == draws(7)
    assert draws(7) != draws(8)


def test_draws_follow_the_probabilities() -> None:
    chooser = Chooser(Sampling(temperature=1.0, seed=0), [], vocab_size=5)
    counts = np.bincount([chooser.choose(LOGITS) for _ in range(20_000)], minlength=5) / 20_000
    np.testing.assert_allclose(counts, np.exp(log_softmax(LOGITS)), atol=0.01)


def test_defaults_fill_the_gaps_only() -> None:
    merged = with_defaults(Sampling(temperature=0.0), Sampling(temperature=0.7, top_k=20))
    assert (merged.temperature, merged.top_k) == (0.0, 20)
