"""Which family a model belongs to."""

import pytest

from malmoi.engine.templates import (
    STYLES,
    detect_style,
    load_template,
    style_facts,
    template_named,
    template_names,
)
from malmoi.engine.templates.adapt import read_file


@pytest.mark.parametrize("name", template_names())
def test_built_in_templates_are_recognised(name: str) -> None:
    expected = "qwen" if name == "chatml" else name  # its tools are written as Qwen writes them
    assert detect_style(read_file(f"{name}.jinja")) == expected
    assert template_named(name).style == name


@pytest.mark.parametrize(
    ("source", "style"),
    [
        ("<|im_start|>{{ role }}<|im_end|>", "chatml"),
        ("{{ '<|start_header_id|>' }}", "plain"),
        ("<|user|>{{ x }}<|endofturn|>", "hyperclovax-2024"),
        ("<|im_start|>tool_list", "hyperclovax-seed"),
        ("<|im_start|><tool_call><arg_key>", "hyperclovax-think"),
        ("[gMASK]<|user|><tool_call><arg_key>", "hyperclovax-think"),
        ("<|im_start|><tool_call>", "qwen"),
        ("", "plain"),
    ],
)
def test_templates_are_recognised(source: str, style: str) -> None:
    assert detect_style(source) == style


@pytest.mark.parametrize(
    ("tokens", "style"),
    [
        (["<|im_start|>", "<|im_end|>"], "chatml"),
        (["<|im_start|>", "<tool_call>"], "qwen"),
        (["<start_of_turn>", "<bos>"], "gemma"),
        (["<s>", "</s>"], "plain"),
    ],
)
def test_without_a_template_the_vocabulary_decides(tokens: list[str], style: str) -> None:
    assert detect_style("", tokens) == style


def test_every_style_has_facts() -> None:
    for style in STYLES:
        assert style_facts(style).stop or style == "plain"


def test_given_style_wins() -> None:
    assert load_template("<|im_start|>", special_tokens=(), style="gemma").style == "gemma"


def test_recommended_sampling() -> None:
    sampling = template_named("hyperclovax-seed").sampling
    assert (sampling.temperature, sampling.top_p, sampling.repetition_penalty) == (0.5, 0.6, 1.05)
    assert template_named("chatml").sampling.temperature is None
