import pytest
import torch
from transformers import HyperCLOVAXConfig, HyperCLOVAXForCausalLM, LlamaConfig, LlamaForCausalLM

from malmoi.factory.train.batch import Batch
from malmoi.factory.train.blocks import QUERY_BLOCK, causal_attention, quicken, recompute, restore
from malmoi.factory.train.loss import language_model_loss

SIZES = {
    "vocab_size": 61,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
}
MUP = {
    "embedding_multiplier": 3.0,
    "attention_multiplier": 0.2,
    "residual_multiplier": 0.6,
    "logits_scaling": 0.5,
}


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def model_of(kind: str) -> torch.nn.Module:
    torch.manual_seed(0)
    if kind == "llama":
        model = LlamaForCausalLM(LlamaConfig(**SIZES, num_key_value_heads=2))
    else:
        post = kind == "peri-ln"
        model = HyperCLOVAXForCausalLM(
            HyperCLOVAXConfig(**SIZES, num_key_value_heads=4 if post else 1, use_post_norm=post, **MUP)
        )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.uniform_(0.5, 1.5)
            else:
                parameter.mul_(5.0)
    return model


def batch_of(length: int, *, documents: bool = False) -> Batch:
    ids = torch.randint(1, 61, (2, length + 1), generator=torch.Generator().manual_seed(length))
    numbers = (torch.arange(length) // 7).expand(2, length) if documents else None
    return Batch(ids[:, :-1], ids[:, 1:], None, numbers)


def loss_and_gradients(model: torch.nn.Module, batch: Batch) -> tuple[float, dict[str, torch.Tensor]]:
    model.zero_grad()
    loss, count = language_model_loss(model, batch)
    (loss / count).backward()
    return float(loss.detach()) / count, {name: p.grad.clone() for name, p in model.named_parameters()}


@pytest.mark.parametrize("kind", ["peri-ln", "pre-ln", "llama"])
@pytest.mark.parametrize("length", [1, 40, QUERY_BLOCK, 2 * QUERY_BLOCK + 17])
def test_quick_blocks_equal_the_models_own(kind, length):
    model, batch = model_of(kind), batch_of(length)
    loss, gradients = loss_and_gradients(model, batch)
    assert quicken(model) == 2
    quick_loss, quick_gradients = loss_and_gradients(model, batch)
    assert quick_loss == pytest.approx(loss, abs=1e-5)
    for name, gradient in gradients.items():
        bound = 1e-5 * max(1.0, float(gradient.abs().max()))
        assert torch.allclose(quick_gradients[name], gradient, atol=bound, rtol=1e-4), name
    restore(model)
    assert loss_and_gradients(model, batch)[0] == loss


@pytest.mark.parametrize("kind", ["peri-ln", "llama"])
def test_documents_stay_apart(kind):
    model, batch = model_of(kind), batch_of(40, documents=True)
    loss, gradients = loss_and_gradients(model, batch)
    assert loss != pytest.approx(loss_and_gradients(model, batch_of(40))[0], abs=1e-3)
    quicken(model)
    quick_loss, quick_gradients = loss_and_gradients(model, batch)
    assert quick_loss == pytest.approx(loss, abs=1e-5)
    for name, gradient in gradients.items():
        bound = 1e-5 * max(1.0, float(gradient.abs().max()))
        assert torch.allclose(quick_gradients[name], gradient, atol=bound, rtol=1e-4), name


def test_bfloat16_products_stay_near():
    model, batch = model_of("peri-ln"), batch_of(60)
    loss, _ = loss_and_gradients(model, batch)
    quicken(model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        total, count = language_model_loss(model, batch)
    assert float(total.detach()) / count == pytest.approx(loss, rel=0.02)


def test_attention_has_the_gradients_of_its_definition():
    torch.manual_seed(1)
    shapes = ((2, 4, QUERY_BLOCK + 5, 6), (2, 2, QUERY_BLOCK + 5, 6), (2, 2, QUERY_BLOCK + 5, 6))
    q, k, v = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes)
    weight = torch.randn(shapes[0], dtype=torch.float64)
    found = torch.autograd.grad((causal_attention(q, k, v, 0.3) * weight).sum(), (q, k, v))
    mixed = torch.nn.functional.scaled_dot_product_attention(
        q, k, v, is_causal=True, scale=0.3, enable_gqa=True
    )
    expected = torch.autograd.grad((mixed * weight).sum(), (q, k, v))
    for a, b in zip(found, expected, strict=True):
        assert torch.allclose(a, b, atol=1e-12)


def test_generation_uses_the_models_own_way():
    model = model_of("peri-ln").eval()
    prompt = torch.tensor([[5, 9, 2]])
    before = model.generate(prompt, max_new_tokens=8, do_sample=False, pad_token_id=0)
    quicken(model)
    assert torch.equal(model.generate(prompt, max_new_tokens=8, do_sample=False, pad_token_id=0), before)


def test_recomputed_activations_change_nothing():
    model, batch = model_of("peri-ln").train(), batch_of(40)
    quicken(model)
    _, gradients = loss_and_gradients(model, batch)
    recompute(model)
    _, again = loss_and_gradients(model, batch)
    assert all(torch.equal(again[name], gradient) for name, gradient in gradients.items())


def test_blocks_that_are_not_known_are_left_alone():
    model = model_of("llama")
    for block in model.base_model.layers:
        block.__class__ = type("OtherDecoderLayer", (type(block),), {})
    assert quicken(model) == 0
    assert all("forward" not in block.__dict__ for block in model.base_model.layers)
