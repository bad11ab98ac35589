import pytest
import torch
from transformers import HyperCLOVAXConfig, HyperCLOVAXForCausalLM

from malmoi.core.errors import InvalidInput
from malmoi.factory.train.extension import ExtensionSettings, enter_phase, phase_at, plan_phases


def test_one_phase_without_an_extension():
    (phase,) = plan_phases(10, 512, 64, None, rope_theta=10_000.0)
    assert (phase.first, phase.end, phase.num_sequences, phase.rope_theta) == (0, 10, 8, None)
    assert [phase.sequences(step) for step in (0, 9)] == [range(8), range(72, 80)]


def test_the_last_tenth_is_long_at_the_same_tokens_a_step():
    phases = plan_phases(100, 512, 64, ExtensionSettings(context_length=256), rope_theta=10_000.0)
    short, long = phases
    assert (short.first, short.end, long.first, long.end) == (0, 90, 90, 100)
    assert short.num_sequences * 64 == long.num_sequences * 256 == 512
    assert long.rope_theta == 40_000.0
    assert [phase_at(phases, step) for step in (0, 89, 90, 99, 100)] == [short, short, long, long, long]


def test_the_data_goes_on_where_the_short_phase_stopped():
    short, long = plan_phases(10, 512, 64, ExtensionSettings(context_length=256, share=0.5), rope_theta=1e4)
    assert long.sequences(5).start * 256 == short.sequences(4).stop * 64
    assert long.sequences(6).start == long.sequences(5).stop


def test_a_given_base_is_taken():
    extension = ExtensionSettings(context_length=128, rope_theta=500_000.0)
    assert plan_phases(10, 256, 64, extension, rope_theta=1e4)[1].rope_theta == 500_000.0


@pytest.mark.parametrize(
    ("batch", "context", "extension", "message"),
    [
        (500, 64, None, "500 tokens is not a whole number of sequences of 64"),
        (
            192,
            64,
            ExtensionSettings(context_length=128),
            "192 tokens is not a whole number of sequences of 128",
        ),
        (512, 64, ExtensionSettings(context_length=64), "not longer than 64"),
    ],
)
def test_plans_that_cannot_be(batch, context, extension, message):
    with pytest.raises(InvalidInput, match=message):
        plan_phases(10, batch, context, extension, rope_theta=1e4)


def test_one_step_has_no_room_for_two_lengths():
    with pytest.raises(InvalidInput, match="no room"):
        plan_phases(1, 512, 64, ExtensionSettings(context_length=128), rope_theta=1e4)


def test_entering_a_phase_changes_the_model_once():
    config = HyperCLOVAXConfig(
        vocab_size=16,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=64,
    )
    torch.manual_seed(0)
    model = HyperCLOVAXForCausalLM(config).eval()
    ids = torch.arange(16)[None]
    before = model(ids).logits
    short, long = plan_phases(10, 256, 64, ExtensionSettings(context_length=128), rope_theta=1e4)
    enter_phase(model, short)
    assert torch.equal(model(ids).logits, before)
    enter_phase(model, long)
    after = model(ids).logits
    assert not torch.allclose(after, before)
    enter_phase(model, long)
    assert torch.equal(model(ids).logits, after)
    assert model.config.max_position_embeddings == 128
    assert model.config.rope_parameters["rope_theta"] == 20_000.0
    fresh = HyperCLOVAXForCausalLM(model.config).eval()
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(fresh(ids).logits, after)
