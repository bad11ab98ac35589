"""Scores that share prefixes are the scores of plain rows, for every kind of attention."""

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from malmoi.engine.torch import scoring, tries  # noqa: E402
from malmoi.engine.torch.batches import score_batch  # noqa: E402
from malmoi.engine.torch.scoring import TreeScorer, mask_makers, open_scorer  # noqa: E402
from malmoi.engine.torch.tries import Row, packs_of  # noqa: E402

VOCAB = 60
SMALL = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 256,
    "initializer_range": 0.2,
}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {}),
    "hyperclovax": ("HyperCLOVAX", {"use_post_norm": True, "logits_scaling": 0.25}),
    "qwen2": ("Qwen2", {}),
    "mistral-window": ("Mistral", {"sliding_window": 7}),
    "gemma2-softcap": (
        "Gemma2",
        {"sliding_window": 6, "final_logit_softcapping": 3.0, "query_pre_attn_scalar": 8},
    ),
    "gemma3": (
        "Gemma3Text",
        {
            "sliding_window": 5,
            "query_pre_attn_scalar": 8,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        },
    ),
}


def build(name: str) -> Any:
    """A tiny random model."""
    prefix, more = MODELS[name]
    config_class = getattr(transformers, f"{prefix}Config")
    model_class = getattr(
        transformers, "Gemma3ForCausalLM" if prefix == "Gemma3Text" else f"{prefix}ForCausalLM"
    )
    torch.set_num_threads(1)
    torch.manual_seed(1)
    return model_class(config_class(**SMALL, **more)).eval()


@pytest.fixture(scope="module", params=list(MODELS))
def model(request: pytest.FixtureRequest) -> Any:
    return build(request.param)


def few_shot_rows(seed: int = 0) -> list[Row]:
    """Questions behind one block of examples, with long and short choices, some of them equal."""
    random = np.random.default_rng(seed)

    def words(least: int, most: int) -> list[int]:
        return random.integers(1, VOCAB, size=int(random.integers(least, most))).tolist()

    block = [0, *words(25, 26)]
    rows: list[Row] = []
    for number in range(12):
        context = [*(block if number % 4 else [0]), *words(2, 15)]
        rows += [([*context, *words(1, 6)], len(context)) for _ in range(3)]
        rows += [([*context, letter], len(context)) for letter in (3, 4, 5)]
    rows.append(rows[-1])
    return rows


def unshared(model: Any, rows: list[Row]) -> list[Any]:
    """Each row by itself, without a cache."""
    found = []
    with torch.inference_mode():
        for ids, start in rows:
            told = model(input_ids=torch.tensor([ids])).logits[0].float().log_softmax(-1)
            values = [float(told[place - 1, ids[place]]) for place in range(start, len(ids))]
            greedy = all(int(told[place - 1].argmax()) == ids[place] for place in range(start, len(ids)))
            found.append((values, greedy))
    return found


@pytest.mark.parametrize("nodes", [20, 512])
@pytest.mark.parametrize("step", [9, 1024])
def test_shared_is_unshared(model: Any, nodes: int, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries, "_NODES", nodes)
    monkeypatch.setattr(scoring, "_STEP", step)
    rows = few_shot_rows()
    with torch.inference_mode():
        scorer = open_scorer(model, vocab_size=VOCAB, start_id=0)
        assert scorer is not None
        for _ in range(2):  # the second time with what the first has left in the cache
            for pack in packs_of(rows):
                found = scorer.score([rows[place] for place in pack])
                expected = unshared(model, [rows[place] for place in pack])
                for score, (values, greedy), place in zip(found, expected, pack, strict=True):
                    np.testing.assert_allclose(score.token_logprobs, values, atol=1e-5)
                    assert score.is_greedy == greedy
                    assert score.context_tokens == rows[place][1]


def test_few_logits_at_a_time_are_the_same(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [*few_shot_rows(), ([0, *range(1, 50)], 1)]
    with torch.inference_mode():
        expected = score_batch(model, rows, vocab_size=VOCAB)
        monkeypatch.setattr(scoring, "_LOGIT_BYTES", 4 * VOCAB * 3)
        scorer = open_scorer(model, vocab_size=VOCAB, start_id=0)
        assert scorer is not None
        for score, plain in zip(scorer.score(rows), expected, strict=True):
            np.testing.assert_allclose(score.token_logprobs, plain.token_logprobs, atol=1e-5)


def test_what_is_shared_is_computed_once() -> None:
    model = build("llama")
    seen: list[int] = []
    model.register_forward_pre_hook(
        lambda _module, _args, kwargs: seen.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    block = [0, *range(1, 40)]
    rows: list[Row] = [([*block, 50, 51, letter], 42) for letter in (3, 4, 5, 6)]
    with torch.inference_mode():
        scorer = TreeScorer(model, next(iter(mask_makers(model))), vocab_size=VOCAB)
        scorer.score(rows)
        assert seen == [42]
        scorer.score([([*block, 52, 53, letter], 42) for letter in (3, 4, 5, 6)])
    assert seen == [42, 2]


def test_a_model_that_takes_no_masks_is_not_trusted() -> None:
    model = build("llama")
    forward = model.forward

    def ignores_masks(**kwargs: Any) -> Any:
        return forward(**{**kwargs, "attention_mask": None})

    model.forward = ignores_masks
    with torch.inference_mode():
        assert open_scorer(model, vocab_size=VOCAB, start_id=0) is None


def test_a_failure_half_way_leaves_nothing_behind() -> None:
    model = build("llama")
    rows = few_shot_rows()
    with torch.inference_mode():
        scorer = open_scorer(model, vocab_size=VOCAB, start_id=0)
        assert scorer is not None
        scorer.score(rows[:6])
        with pytest.raises(IndexError):
            scorer.score([([*rows[0][0][:-1], VOCAB + 5, 1], rows[0][1])])
        expected = score_batch(model, rows[:6], vocab_size=VOCAB)
        for score, plain in zip(scorer.score(rows[:6]), expected, strict=True):
            np.testing.assert_allclose(score.token_logprobs, plain.token_logprobs, atol=1e-5)
