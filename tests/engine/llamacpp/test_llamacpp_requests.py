import pytest

from malmoi.core.errors import InvalidInput, UnknownName
from malmoi.engine.base import Sampling
from malmoi.engine.llamacpp.requests import build_body, with_defaults


def body(sampling: Sampling, **changes: object) -> dict[str, object]:
    arguments: dict[str, object] = {
        "defaults": with_defaults(Sampling()),
        "adapters": (),
        "context_length": 64,
        **changes,
    }
    return build_body("안녕", sampling, **arguments)  # type: ignore[arg-type]


def test_what_is_not_asked_is_the_models_default() -> None:
    usual = body(Sampling())
    assert (usual["temperature"], usual["top_k"], usual["n_predict"], usual["seed"]) == (0.8, 40, -1, -1)
    family = with_defaults(Sampling(temperature=0.7, top_k=20, repetition_penalty=1.05))
    asked = body(Sampling(top_k=5), defaults=family)
    assert (asked["temperature"], asked["top_k"], asked["top_p"], asked["min_p"]) == (0.7, 5, 1.0, 0.0)
    assert (asked["repeat_penalty"], asked["repeat_last_n"]) == (1.05, 64)


def test_all_fields() -> None:
    asked = body(
        Sampling(
            max_tokens=9,
            temperature=0.0,
            seed=2**32 - 1,
            stop=("끝", "", "끝"),
            top_logprobs=0,
            logit_bias={5: -100.0},
            ignore_eos=True,
            cache_prompt=False,
            presence_penalty=0.5,
            adapters={"b": 0.5},
        ),
        adapters=("a", "b"),
        stop=("<|im_end|>",),
        grammar="root ::= x",
        keep_special=("<|x|>",),
        stream=False,
    )
    assert asked["n_predict"] == 9
    assert asked["temperature"] == 0.0
    assert asked["seed"] == 0  # not 2**32 - 1, which means "random" there
    assert asked["stop"] == ["끝", "<|im_end|>"]
    assert asked["n_probs"] == 1
    assert asked["logit_bias"] == [[5, -100.0]]
    assert asked["ignore_eos"] is True
    assert asked["cache_prompt"] is False
    assert asked["lora"] == [{"id": 0, "scale": 0.0}, {"id": 1, "scale": 0.5}]
    assert asked["grammar"] == "root ::= x"
    assert asked["preserved_tokens"] == ["<|x|>"]
    assert "content" in asked["response_fields"]  # type: ignore[operator]


def test_loaded_adapters_are_off_unless_asked_for() -> None:
    assert body(Sampling(), adapters=("a",))["lora"] == [{"id": 0, "scale": 0.0}]


@pytest.mark.parametrize("adapters", [(), ("news",)])
def test_an_unknown_adapter_names_the_known(adapters: tuple[str, ...]) -> None:
    with pytest.raises(UnknownName, match="no adapter 'nwes'"):
        body(Sampling(adapters={"nwes": 1.0}), adapters=adapters)


@pytest.mark.parametrize("sampling", [Sampling(max_tokens=0), Sampling(top_logprobs=-1)])
def test_what_would_be_misunderstood_is_refused(sampling: Sampling) -> None:
    with pytest.raises(InvalidInput):
        body(sampling)
