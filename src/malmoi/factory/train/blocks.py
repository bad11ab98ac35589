"""Decoder blocks of transformers' models with fewer passes over memory: the same function, but quicker.

On a processor a small model's step is not bound by its products (bfloat16 units do a depth-4 model's in a
tenth of the time) but by reading and writing activations: norms in float32, rotary embeddings, casts before
every product, and the backward pass of attention. `quicken` gives every block of a model that it knows
another `forward`, made of a few autograd functions with a written backward:

    rms_norm          one statistic, the result in the type that the products read
    add_rms_norm      residual + multiplier * norm(branch), in one
    rotate            rotary embedding in the products' type, written in the order that attention reads
    causal_attention  in blocks of queries, each with only the keys that it may see

Weights, their names and the model's class stay as they are; with a cache (generation) or attention dropout
the block's own forward runs, and blocks of other models are left alone. Equal to it to 1e-5 in float32
(tests/factory/train/test_blocks.py).

Letters: B batch, T time, D hidden size, H heads, G heads of a key-value head, K size of a head, C queries of
a block.
"""

from collections.abc import Callable
from functools import partial
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

QUERY_BLOCK = 128
LONGEST = 1024
"""Beyond it, and on accelerators, torch's own attention is taken, which keeps no probabilities: they grow
with T squared."""

_KNOWN = ("HyperCLOVAXDecoderLayer", "LlamaDecoderLayer")


def quicken(model: Any) -> int:
    """Give the model's blocks their quick forward, and say how many there were; others stay as they are."""
    blocks = [block for block in model.base_model.layers if type(block).__name__ in _KNOWN]
    for block in blocks:
        block.forward = MethodType(_quick(block.forward), block)
    final = getattr(model.base_model, "norm", None)
    if blocks and final is not None:
        final.forward = MethodType(_norm_forward, final)
    return len(blocks)


def recompute(model: Any) -> None:
    """Keep only the input of each block, and compute what is inside again when backward needs it."""
    for block in model.base_model.layers:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)


def restore(model: Any) -> None:
    """Undo `quicken` and `recompute`."""
    for module in (*model.base_model.layers, model.base_model.norm):
        module.__dict__.pop("forward", None)


def _quick(own: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def forward(
        block: Any,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        use_cache: bool | None = False,
        position_embeddings: tuple[Tensor, Tensor] | None = None,
        **kwargs: Any,
    ) -> Tensor:
        dropout = block.training and block.self_attn.attention_dropout > 0.0
        masked = attention_mask is not None and attention_mask.ndim != 4
        if past_key_values is not None or position_embeddings is None or dropout or masked:
            return own(
                hidden_states,
                attention_mask=attention_mask,
                position_ids=position_ids,
                past_key_values=past_key_values,
                use_cache=use_cache,
                position_embeddings=position_embeddings,
                **kwargs,
            )
        branch = _norm(hidden_states, block.input_layernorm)
        branch = _attend(block.self_attn, branch, position_embeddings, attention_mask)
        hidden_states = _add(hidden_states, branch, getattr(block, "post_norm1", None), block)
        branch = block.mlp(_norm(hidden_states, block.post_attention_layernorm))
        return _add(hidden_states, branch, getattr(block, "post_norm2", None), block)

    return forward


def _norm(x: Tensor, module: Any) -> Tensor:
    return rms_norm(x, module.weight, module.variance_epsilon, _product_type(x))


def _norm_forward(module: Any, hidden_states: Tensor) -> Tensor:
    return _norm(hidden_states, module)


def _add(residual: Tensor, branch: Tensor, norm: Any, block: Any) -> Tensor:
    multiplier = float(getattr(block, "residual_multiplier", 1.0))
    if norm is None or isinstance(norm, nn.Identity):
        return torch.add(residual, branch, alpha=multiplier)
    return add_rms_norm(residual, branch, norm.weight, norm.variance_epsilon, multiplier)


def _attend(
    attention: Any, x: Tensor, position_embeddings: tuple[Tensor, Tensor], mask: Tensor | None
) -> Tensor:
    shape = (*x.shape[:2], -1, attention.head_dim)
    cos, sin = position_embeddings
    q = rotate(attention.q_proj(x).view(shape), cos, sin)  # (B, H, T, K)
    k = rotate(attention.k_proj(x).view(shape), cos, sin)
    v = attention.v_proj(x).view(shape).transpose(1, 2)
    if mask is None and x.shape[1] <= LONGEST and x.device.type == "cpu":
        mixed = causal_attention(q, k, v, attention.scaling)
    else:
        mixed = nn.functional.scaled_dot_product_attention(
            q, k, v, mask, is_causal=mask is None, scale=attention.scaling, enable_gqa=len(q[0]) != len(k[0])
        )
    joined: Tensor = attention.o_proj(mixed.transpose(1, 2).flatten(2))
    return joined


def _product_type(x: Tensor) -> torch.dtype:
    """The type that products compute in here."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def rms_norm(x: Tensor, weight: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
    """Give x / sqrt(mean(x^2) + eps) * weight over the last dimension, computed in float32, as `dtype`."""
    result: Tensor = _RMSNorm.apply(x, weight, eps, dtype)
    return result


def add_rms_norm(residual: Tensor, x: Tensor, weight: Tensor, eps: float, multiplier: float) -> Tensor:
    """Give residual + multiplier * rms_norm(x), in the residual's type."""
    result: Tensor = _AddRMSNorm.apply(residual, x, weight, eps, multiplier)
    return result


def _inverse_rms(x: Tensor, eps: float) -> Tensor:
    """(..., 1), float32."""
    norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
    return norm.square_().div_(x.shape[-1]).add_(eps).rsqrt_()


def _norm_gradients(gradient: Tensor, x: Tensor, inverse: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of rms_norm by x, in x's type, and by the weight.

    With y = x * r * w:  dw = sum over rows of g * x * r;  dx = r * (g * w) - x * r^3 / D * sum(g * w * x).
    """
    width = x.shape[-1]
    g, rows, r = gradient.reshape(-1, width), x.reshape(-1, width), inverse.reshape(-1, 1)
    product = torch.mul(g, rows).float()
    grad_weight = torch.mv(product.T, r.squeeze(1))
    pull = torch.mv(product, weight).unsqueeze(1) * (r**3 / -width)
    grad_x = torch.mul(g, weight).mul_(r).addcmul_(rows.to(weight.dtype), pull)
    return grad_x.to(x.dtype).view_as(x), grad_weight


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
        inverse = _inverse_rms(x, eps)
        ctx.save_for_backward(x, weight, inverse)
        return (x * inverse).mul_(weight).to(dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, inverse = ctx.saved_tensors
        grad_x, grad_weight = _norm_gradients(grads[0], x, inverse, weight)
        return grad_x, grad_weight, None, None


class _AddRMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, residual: Tensor, x: Tensor, weight: Tensor, eps: float, multiplier: float
    ) -> Tensor:
        inverse = _inverse_rms(x, eps)
        ctx.save_for_backward(x, weight, inverse)
        ctx.multiplier = multiplier
        return torch.addcmul(residual, x * inverse, weight, value=multiplier)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, inverse = ctx.saved_tensors
        gradient = grads[0] if ctx.multiplier == 1.0 else grads[0] * ctx.multiplier
        grad_x, grad_weight = _norm_gradients(gradient, x, inverse, weight)
        return grads[0], grad_x, grad_weight, None, None


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding of the half-rotation kind.

    Args:
        x: (B, T, H, K).
        cos: (B or 1, T, K), both halves alike, as transformers makes it.
        sin: the same.

    Returns:
        (B, H, T, K), contiguous, in x's type.
    """
    half = x.shape[-1] // 2
    table = (cos[..., :half].to(x.dtype).unsqueeze(1), sin[..., :half].to(x.dtype).unsqueeze(1))
    result: Tensor = _Rotate.apply(x, *table)
    return result


class _Rotate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _rotated(x.transpose(1, 2), cos, sin, 1.0)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        cos, sin = ctx.saved_tensors
        return _rotated(grads[0], cos, sin, -1.0).transpose(1, 2), None, None


def _rotated(x: Tensor, cos: Tensor, sin: Tensor, direction: float) -> Tensor:
    half = x.shape[-1] // 2
    first, second = x[..., :half], x[..., half:]
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    torch.mul(first, cos, out=out[..., :half]).addcmul_(second, sin, value=-direction)
    torch.mul(second, cos, out=out[..., half:]).addcmul_(first, sin, value=direction)
    return out


def causal_attention(q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    """Causal attention with grouped heads.

    Args:
        q: (B, H, T, K).
        k: (B, H / G, T, K).
        v: the same.
        scale: of the scores.

    Returns:
        (B, H, T, K).
    """
    result: Tensor = _CausalAttention.apply(q, k, v, scale)
    return result


class _CausalAttention(torch.autograd.Function):
    """Keeps the probabilities, half of T x T for each head; T is short here."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        keys, values = k.flatten(0, 1), v.flatten(0, 1)  # (B * H / G, T, K)
        out = torch.empty(q.shape, dtype=q.dtype, device=q.device)
        kept = []
        for start in range(0, q.shape[2], QUERY_BLOCK):
            end = min(start + QUERY_BLOCK, q.shape[2])
            queries = _grouped(q, k.shape[1], start, end) * scale  # (B * H / G, G * C, K)
            scores = torch.bmm(queries, keys[:, :end].mT)  # (B * H / G, G * C, end)
            _hide_future(scores, end - start)
            probabilities = torch.softmax(scores, dim=-1)
            kept.append(probabilities)
            mixed = torch.bmm(probabilities, values[:, :end])
            out[:, :, start:end] = mixed.view(q.shape[0], q.shape[1], end - start, q.shape[3])
        ctx.save_for_backward(q, k, v, *kept)
        ctx.scale = scale
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, *kept = ctx.saved_tensors
        keys, values = k.flatten(0, 1), v.flatten(0, 1)
        wide = torch.float64 if q.dtype == torch.float64 else torch.float32
        grad_q = torch.empty_like(q)
        grad_k = torch.zeros(keys.shape, dtype=wide, device=q.device)
        grad_v = torch.zeros(keys.shape, dtype=wide, device=q.device)
        for number, probabilities in enumerate(kept):
            start = number * QUERY_BLOCK
            end = min(start + QUERY_BLOCK, q.shape[2])
            gradient = _grouped(grads[0], k.shape[1], start, end)
            queries = _grouped(q, k.shape[1], start, end)
            grad_v[:, :end] += torch.bmm(probabilities.mT, gradient)
            grad_scores = torch._softmax_backward_data(
                torch.bmm(gradient, values[:, :end].mT), probabilities, -1, probabilities.dtype
            )
            grad_k[:, :end] += torch.bmm(grad_scores.mT, queries)
            part = torch.bmm(grad_scores, keys[:, :end]) * ctx.scale
            grad_q[:, :, start:end] = part.view(q.shape[0], q.shape[1], end - start, q.shape[3])
        grad_k = (grad_k * ctx.scale).to(k.dtype).view_as(k)
        return grad_q, grad_k, grad_v.to(v.dtype).view_as(v), None


def _grouped(x: Tensor, num_groups: int, start: int, end: int) -> Tensor:
    """Queries start to end of (B, H, T, K), those of one key-value head together: (B * H / G, G * C, K)."""
    return x[:, :, start:end].reshape(x.shape[0] * num_groups, -1, x.shape[3])


def _hide_future(scores: Tensor, num_queries: int) -> None:
    """Of the last `num_queries` keys, hide from each query those after it."""
    last = scores[:, :, -num_queries:].unflatten(1, (-1, num_queries))
    hidden = torch.full((num_queries, num_queries), float("-inf"), dtype=scores.dtype, device=scores.device)
    last += hidden.triu_(1)
