import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from malmoi.core.errors import Unsupported
from malmoi.factory.train.batch import IGNORED, Batch
from malmoi.factory.train.loss import (
    chunked_cross_entropy,
    document_positions,
    language_model_loss,
    logits_scale,
    output_head,
)


def inputs(dtype: torch.dtype = torch.float32, ignored: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(23, 12, dtype=dtype, generator=generator).requires_grad_()
    weight = torch.randn(37, 12, dtype=dtype, generator=generator).requires_grad_()
    labels = torch.randint(0, 37, (23,), generator=generator)
    if ignored:
        labels[[0, 5, 22]] = IGNORED
    return hidden, weight, labels


def plain(
    hidden: Tensor, weight: Tensor, labels: Tensor, scaling: float = 1.0, z_loss: float = 0.0
) -> Tensor:
    logits = hidden @ weight.T * scaling
    kept = labels != IGNORED
    z = z_loss * logits.logsumexp(dim=1)[kept].square().sum()
    return F.cross_entropy(logits, labels, reduction="sum", ignore_index=IGNORED) + z


@pytest.mark.parametrize("chunk_size", [1, 2, 7, 20, 23, 64, None])
@pytest.mark.parametrize(("scaling", "z_loss"), [(1.0, 0.0), (0.25, 0.0), (3.0, 1e-2)])
def test_loss_and_gradients_are_those_of_torch(chunk_size: int | None, scaling: float, z_loss: float) -> None:
    hidden, weight, labels = inputs(torch.float64)
    expected = plain(hidden, weight, labels, scaling, z_loss)
    expected_grads = torch.autograd.grad(expected, (hidden, weight))

    got = chunked_cross_entropy(
        hidden, weight, labels, logits_scaling=scaling, z_loss=z_loss, chunk_size=chunk_size
    )
    grads = torch.autograd.grad(got.loss * 0.5, (hidden, weight))

    assert got.num_targets == 20
    assert got.loss.item() == pytest.approx(expected.item(), rel=1e-12)
    for grad, want in zip(grads, expected_grads, strict=True):
        torch.testing.assert_close(grad * 2.0, want, rtol=1e-10, atol=1e-10)


def test_gradients_agree_with_differences() -> None:
    hidden, weight, labels = inputs(torch.float64)
    hidden, weight, labels = hidden[:7, :5], weight[:9, :5], labels[:7] % 9
    labels[2] = IGNORED

    def loss(hidden: Tensor, weight: Tensor) -> Tensor:
        return chunked_cross_entropy(
            hidden, weight, labels, logits_scaling=0.7, z_loss=1e-3, chunk_size=4
        ).loss

    assert torch.autograd.gradcheck(loss, (hidden, weight))


@pytest.mark.parametrize("of_hidden", [True, False])
def test_one_side_alone_gets_its_gradient(of_hidden: bool) -> None:
    hidden, weight, labels = inputs()
    trained = hidden if of_hidden else weight
    (weight if of_hidden else hidden).requires_grad_(False)

    (grad,) = torch.autograd.grad(
        chunked_cross_entropy(hidden, weight, labels, chunk_size=5).loss, (trained,)
    )
    (want,) = torch.autograd.grad(plain(hidden, weight, labels), (trained,))

    torch.testing.assert_close(grad, want)


def test_extreme_logits_stay_finite() -> None:
    hidden, weight, labels = inputs(ignored=False)

    got = chunked_cross_entropy(hidden * 1e4, weight, labels, chunk_size=3).loss

    assert got.item() == pytest.approx(plain(hidden * 1e4, weight, labels).item(), rel=1e-5)
    assert all(grad.isfinite().all() for grad in torch.autograd.grad(got, (hidden, weight)))


def test_no_targets_give_zero_and_zero_gradients() -> None:
    hidden, weight, labels = inputs()

    got = chunked_cross_entropy(hidden, weight, torch.full_like(labels, IGNORED))
    got.loss.backward()

    assert (got.loss.item(), got.num_targets) == (0.0, 0)
    assert weight.grad is not None
    assert not weight.grad.any()


def test_autocast_multiplies_in_bfloat16_and_sums_in_float32() -> None:
    hidden, weight, labels = inputs()
    expected = plain(hidden, weight, labels)
    want = torch.autograd.grad(expected, (hidden, weight))

    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = chunked_cross_entropy(hidden, weight, labels, chunk_size=6).loss
    grads = torch.autograd.grad(got, (hidden, weight))

    assert got.dtype == torch.float32
    assert got.item() == pytest.approx(expected.item(), rel=1e-2)
    assert got.item() != expected.item()  # the products were rounded
    for grad, exact in zip(grads, want, strict=True):
        assert grad.dtype == torch.float32
        assert (grad - exact).norm() < 0.03 * exact.norm()


MEMORY = """
import resource, sys, torch
from malmoi.factory.train.loss import chunked_cross_entropy
torch.set_num_threads(1)
N, D, V = 2048, 16, 32768
hidden = torch.ones(N, D).requires_grad_()
weight = torch.ones(V, D).requires_grad_()
labels = torch.zeros(N, dtype=torch.int64)
chunked_cross_entropy(hidden[:8], weight, labels[:8]).loss.backward()   # what starting takes
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
chunked_cross_entropy(hidden, weight, labels, chunk_size=64).loss.backward()
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) * 1024 / (N * V * 4))
"""


def test_the_logits_of_all_targets_are_never_held() -> None:
    answer = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)

    assert float(answer.stdout) < 0.15, "of the memory of the (N, V) matrix"


def model_of(kind: str) -> Any:
    from transformers import (
        GraniteConfig,
        GraniteForCausalLM,
        HyperCLOVAXConfig,
        HyperCLOVAXForCausalLM,
        LlamaConfig,
        LlamaForCausalLM,
    )

    sizes: dict[str, Any] = {
        "vocab_size": 61,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    build: dict[str, Callable[[], Any]] = {
        "hyperclovax": lambda: HyperCLOVAXForCausalLM(
            HyperCLOVAXConfig(**sizes, logits_scaling=0.3, use_post_norm=True, tie_word_embeddings=True)
        ),
        "granite": lambda: GraniteForCausalLM(GraniteConfig(**sizes, logits_scaling=4.0)),
        "llama": lambda: LlamaForCausalLM(LlamaConfig(**sizes)),
    }
    torch.manual_seed(0)
    model = build[kind]()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def batch_of(rows: int = 2, length: int = 11) -> Batch:
    ids = torch.randint(0, 61, (rows, length + 1), generator=torch.Generator().manual_seed(1))
    labels = ids[:, 1:].clone()
    labels[0, 2] = IGNORED
    return Batch(ids[:, :-1], labels)


@pytest.mark.parametrize("kind", ["hyperclovax", "granite", "llama"])
def test_a_models_loss_and_gradients_are_those_of_its_logits(kind: str) -> None:
    model, batch = model_of(kind), batch_of()
    logits = model(input_ids=batch.input_ids).logits
    expected = F.cross_entropy(logits.flatten(0, 1), batch.labels.flatten(), reduction="sum")
    expected.backward()
    want = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()

    got = language_model_loss(model, batch, chunk_size=4)
    got.loss.backward()

    assert got.num_targets == batch.num_targets == 21
    assert got.loss.item() == pytest.approx(expected.item(), rel=1e-6)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, want[name], rtol=1e-4, atol=1e-4 * want[name].abs().max())


@pytest.mark.parametrize("kind", ["hyperclovax", "llama"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_masked_documents_in_one_row_are_as_if_each_were_alone(kind: str, attention: str) -> None:
    model = model_of(kind)
    model.set_attn_implementation(attention)
    ids = torch.randint(0, 61, (1, 13), generator=torch.Generator().manual_seed(2))
    lengths = [5, 1, 4, 3]
    documents = torch.repeat_interleave(torch.arange(4), torch.tensor(lengths))[None]
    labels = torch.cat([torch.cat([part[1:], torch.tensor([IGNORED])]) for part in ids[0].split(lengths)])

    packed = language_model_loss(model, Batch(ids, labels[None], None, documents))
    packed.loss.backward()
    grads = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    alone = [
        language_model_loss(model, Batch(part[None], own[None]))
        for part, own in zip(ids[0].split(lengths), labels.split(lengths), strict=True)
    ]
    sum(one.loss for one in alone).backward()  # type: ignore[union-attr]

    assert packed.num_targets == sum(one.num_targets for one in alone) == 9
    assert packed.loss.item() == pytest.approx(sum(one.loss.item() for one in alone), rel=1e-6)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, grads[name], rtol=1e-4, atol=1e-4)
    unmasked = language_model_loss(model, Batch(ids, labels[None]))
    assert abs(unmasked.loss.item() - packed.loss.item()) > 1e-2


def test_positions_begin_again_with_every_document() -> None:
    ids = torch.tensor([[7, 7, 7, 3, 3, 9], [1, 1, 1, 1, 1, 1]])

    assert document_positions(ids).tolist() == [[0, 1, 2, 0, 1, 0], [0, 1, 2, 3, 4, 5]]


def test_a_uniform_model_loses_the_logarithm_of_its_vocabulary() -> None:
    model, batch = model_of("llama"), batch_of()
    torch.nn.init.zeros_(model.lm_head.weight)

    loss, count = language_model_loss(model, batch)

    assert loss.item() == pytest.approx(count * math.log(61), rel=1e-6)


def test_soft_capped_and_unknown_logits_are_refused() -> None:
    from transformers import LlamaConfig

    capped, odd = LlamaConfig(), LlamaConfig()
    capped.final_logit_softcapping = 30.0
    odd.logits_scaling = 2.0

    with pytest.raises(Unsupported, match="'llama' cap their logits"):
        logits_scale(capped)
    with pytest.raises(Unsupported, match="not known how models of type 'llama' use logits_scaling"):
        logits_scale(odd)


def test_a_model_without_a_plain_head_is_refused() -> None:
    model = model_of("llama")
    model.lm_head = torch.nn.Linear(32, 61, bias=True)
    with pytest.raises(Unsupported, match="output layer has a bias"):
        output_head(model)
    with pytest.raises(Unsupported, match="LlamaModel has no output layer"):
        output_head(model.model)
