"""Multipliers folded into weights: the same function without HyperCLOVA X's own factors.

HyperCLOVAX computes, with multipliers c (embedding), a (attention), r (residual) and s (logits):

    h0 = c E[x];  scores = a q.k;  h += r post(f(norm(h)));  logits = s W norm_f(h)

The same numbers come out of a model without multipliers whose weights are

    E' = c E
    Wq' = a sqrt(head_dim) Wq
    post' = r post                      or without post-norms: Wo' = r Wo, Wdown' = r Wdown
    norm_f' = (s / c) norm_f            where W is E (c, which E' has gained, is taken back); else s norm_f

so that tied matrices stay tied. Attention then has the usual scale 1 / sqrt(head_dim).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from malmoi.core.errors import Unsupported
from malmoi.factory.models.weights import ReadTensor

if TYPE_CHECKING:
    from torch import Tensor

LAYER_MATRICES = (
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
)


def weight_names(config: Any) -> Iterator[str]:
    """Names of all weights of a HyperCLOVA X or Llama model, in the order of the layers.

    Raises:
        Unsupported: another architecture, biases, or scaled rotary frequencies.
    """
    check_foldable(config)
    yield "model.embed_tokens.weight"
    norms = ["input_layernorm", "post_attention_layernorm"]
    if getattr(config, "use_post_norm", False):
        norms += ["post_norm1", "post_norm2"]
    for layer in range(config.num_hidden_layers):
        for name in (*norms, *LAYER_MATRICES):
            yield f"model.layers.{layer}.{name}.weight"
    yield "model.norm.weight"
    if not config.tie_word_embeddings:
        yield "lm_head.weight"


def check_foldable(config: Any) -> None:
    """Whether a model of this configuration can be written without its own architecture.

    Raises:
        Unsupported: naming what stands in the way.
    """
    if config.model_type not in ("hyperclovax", "llama"):
        raise Unsupported(
            f"a model of the type {config.model_type} cannot be converted here.",
            fix="Convert HyperCLOVA X or Llama models; for others use llama.cpp's own converter.",
        )
    if config.attention_bias or config.mlp_bias:
        raise Unsupported(f"this {config.model_type} model has biases, which the conversion does not know.")
    kind = config.rope_parameters.get("rope_type", "default")
    if kind != "default":
        raise Unsupported(
            f"rotary frequencies of the type {kind!r} cannot be converted.",
            fix="Extend the context with a larger rope_theta instead.",
        )


def factor(config: Any, name: str) -> float:
    """By what the weight `name` is multiplied so that all multipliers become 1."""
    if config.model_type != "hyperclovax":
        return 1.0
    if name == "model.embed_tokens.weight":
        return float(config.embedding_multiplier)
    if name == "model.norm.weight":
        back = config.embedding_multiplier if config.tie_word_embeddings else 1.0
        return float(config.logits_scaling / back)
    if name.endswith("self_attn.q_proj.weight"):
        return float(config.attention_multiplier * config.head_dim**0.5)
    last = ("post_norm1.weight", "post_norm2.weight")
    if not config.use_post_norm:
        last = ("self_attn.o_proj.weight", "mlp.down_proj.weight")
    return float(config.residual_multiplier) if name.endswith(last) else 1.0


def folded_weight(config: Any, read: ReadTensor, name: str) -> Tensor:
    """The weight `name` in float32 with its factor."""
    weight = read(name).float()
    scale = factor(config, name)
    return weight if scale == 1.0 else weight * scale
