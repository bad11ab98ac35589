"""Settings, the dial, and counts."""

import math

import pytest
from pydantic import ValidationError

torch = pytest.importorskip("torch")

from small_models import small_model  # noqa: E402

from malmoi.core.errors import ConfigError  # noqa: E402
from malmoi.factory.models.dial import MOST_DECAY, dial, grouped_heads, shape_of, swiglu_size  # noqa: E402
from malmoi.factory.models.flops import count_parameters, flops_per_token  # noqa: E402
from malmoi.factory.models.settings import ModelSettings, model_config  # noqa: E402


def config_of(**settings: object) -> object:
    return model_config(ModelSettings.model_validate(settings), vocab_size=1000, context_length=128, eot_id=0)


def test_depth_gives_the_shape() -> None:
    config = config_of(depth=4)
    assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads) == (256, 4, 4)
    assert (config.num_key_value_heads, config.head_dim, config.intermediate_size) == (2, 64, 704)
    assert config.use_post_norm
    assert config.tie_word_embeddings
    assert (config.embedding_multiplier, config.logits_scaling, config.residual_multiplier) == (
        50.0,
        1.0,
        1.0,
    )
    assert config.attention_multiplier == 0.125


def test_multipliers_follow_width_and_depth() -> None:
    config = config_of(depth=16)
    assert config.logits_scaling == 256 / 1024
    assert config.residual_multiplier == 0.5
    plain = config_of(depth=16, mup=False)
    assert (plain.logits_scaling, plain.residual_multiplier, plain.embedding_multiplier) == (1.0, 1.0, 1.0)


def test_overrides_win_over_the_depth() -> None:
    config = config_of(depth=4, hidden_size=96, num_attention_heads=3, intermediate_size=100, rope_theta=5e5)
    assert (config.hidden_size, config.head_dim, config.intermediate_size) == (96, 32, 100)
    assert config.num_hidden_layers == 4
    assert config.rope_parameters == {"rope_type": "default", "rope_theta": 5e5}


def test_llama_has_neither_multipliers_nor_post_norms() -> None:
    config = config_of(architecture="llama", depth=2)
    assert config.model_type == "llama"
    with pytest.raises(ValidationError, match="use_post_norm = false"):
        ModelSettings(architecture="llama", use_post_norm=True)


def test_settings_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="hidden_size 100 cannot be split over num_attention_heads 3"):
        config_of(hidden_size=100, num_attention_heads=3)
    with pytest.raises(ConfigError, match="num_key_value_heads 3 does not divide num_attention_heads 4"):
        config_of(num_key_value_heads=3)
    with pytest.raises(ConfigError, match="end-of-text id 1000"):
        model_config(ModelSettings(), vocab_size=1000, context_length=8, eot_id=1000)
    with pytest.raises(ValidationError, match="give both"):
        ModelSettings(depth=None, hidden_size=64)
    with pytest.raises(ValidationError, match="extra_forbidden"):
        ModelSettings.model_validate({"widht": 3})


@pytest.mark.parametrize("heads", range(1, 33))
def test_grouped_heads_divide(heads: int) -> None:
    groups = grouped_heads(heads)
    assert heads % groups == 0
    assert groups >= min(heads, max(2, heads / 4))


def test_swiglu_size_is_in_blocks_and_near_eight_thirds() -> None:
    for width in range(64, 4096, 64):
        assert swiglu_size(width) % 64 == 0
        assert 0 <= swiglu_size(width) - 8 * width / 3 < 64


def test_the_dial_agrees_with_the_model_and_grows() -> None:
    before = None
    for depth in (2, 4, 6, 8, 12, 16, 20, 24, 32):
        found = dial(depth, vocab_size=32000, context_length=1024)
        config = config_of(depth=depth)
        for name in ("hidden_size", "num_attention_heads", "num_key_value_heads", "head_dim"):
            assert getattr(found, name) == getattr(config, name)
        assert found.intermediate_size == config.intermediate_size
        assert shape_of(depth).num_hidden_layers == depth
        assert math.log2(found.batch_tokens).is_integer()
        if before is not None:
            assert found.horizon_tokens > before.horizon_tokens
            assert found.batch_tokens >= before.batch_tokens
            assert found.weight_decay < before.weight_decay * 2
        before = found


def test_the_horizon_counts_what_the_model_has() -> None:
    config = model_config(ModelSettings(depth=6), vocab_size=5000, context_length=64, eot_id=0)
    count = count_parameters(config)
    found = dial(6, vocab_size=5000, context_length=64)
    assert found.horizon_tokens == pytest.approx(12 * count.total, rel=0.002)  # norms are not counted


def test_the_table_in_the_docstring_is_true() -> None:
    from malmoi.factory.models import dial as module

    rows = [
        line.strip("| ").split(" | ")
        for line in str(module.__doc__).splitlines()
        if line[:3].strip("| ").isdigit()
    ]
    assert len(rows) == 9
    for row in rows:
        depth = int(row[0])
        found = dial(depth, vocab_size=16384 if depth <= 6 else 65536, context_length=1024)
        assert row[1] == str(found.hidden_size)
        assert row[2] == f"{found.num_attention_heads} ({found.num_key_value_heads})"
        assert row[3] == str(found.intermediate_size)
        assert row[6] == f"{found.batch_tokens // 1024} k"
        rates = (found.adamw_learning_rate, found.muon_learning_rate, found.weight_decay)
        assert [float(cell) for cell in row[7:]] == pytest.approx(rates, rel=0.05)


def test_a_given_horizon_sets_batch_and_rates() -> None:
    usual = dial(4, vocab_size=16384, context_length=256)
    short = dial(4, vocab_size=16384, context_length=256, horizon_tokens=usual.horizon_tokens // 16)
    assert short.batch_tokens < usual.batch_tokens
    ratio = math.sqrt(short.batch_tokens / usual.batch_tokens)
    assert short.adamw_learning_rate == pytest.approx(usual.adamw_learning_rate * ratio)
    assert short.muon_learning_rate == usual.muon_learning_rate
    assert short.weight_decay == MOST_DECAY  # the rule alone would forget within a few steps
    # Where it does not reach that, AdamW's average looks back on the same share of the run.
    longer = dial(8, vocab_size=65536, context_length=256)
    spans = [
        d.batch_tokens / (d.adamw_learning_rate * d.weight_decay * d.horizon_tokens) for d in (usual, longer)
    ]
    assert spans[0] == pytest.approx(spans[1])
    assert dial(4, vocab_size=16384, context_length=2**20).batch_tokens == 2**20
    with pytest.raises(ValueError, match="depth 0"):
        dial(0, vocab_size=1, context_length=1)


@pytest.mark.parametrize("post_norm", [True, False])
@pytest.mark.parametrize("tied", [True, False])
def test_counts_are_those_of_the_model(post_norm: bool, tied: bool) -> None:
    model = small_model(use_post_norm=post_norm, tie_word_embeddings=tied)
    count = count_parameters(model.config)
    assert count.total == sum(parameter.numel() for parameter in model.parameters())
    assert count.embedding == 608 * 64 * (1 if tied else 2)
    assert count.total == count.embedding + count.body


def test_flops_are_those_that_torch_counts() -> None:
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    torch.set_num_threads(1)
    model = small_model()
    model.set_attn_implementation("eager")  # every product is then visible to the counter
    batch, length = 2, 48
    ids = torch.zeros(batch, length, dtype=torch.int64)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(ids).logits.sum().backward()
    counted = counter.get_total_flops() / (batch * length)
    # Beyond ours, torch counts the product that makes the rotary table.
    assert flops_per_token(model.config, length) == pytest.approx(counted, rel=0.002)
