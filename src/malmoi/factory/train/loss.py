"""The language-model loss without the logits of a whole batch.

For N targets and a vocabulary of V, the logits are an (N, V) matrix: for 8,192 targets and 48,000 tokens 1.6
GB, and the usual softmax holds it three times. Here the head, the softmax and both gradients are done for a
chunk of targets at a time, in the forward pass, so that only (chunk, V) is ever held; backward only scales
what is there already. The values are those of `torch.nn.functional.cross_entropy`; the idea is that of "Cut
Your Losses" (Wijmans et al. 2024, arXiv 2411.09009) and Liger Kernel (Hsu et al. 2024, arXiv 2410.10989), for
any device.

Letters: N targets, D hidden size, V vocabulary, B batch, T time.
"""

from types import MethodType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from malmoi.core.errors import Unsupported
from malmoi.factory.train.batch import IGNORED, Batch

CHUNK_ELEMENTS = 16 * 2**20
"""Logits held at a time where no chunk size is given."""

PIECE_ELEMENTS = 2**19
"""Logits that a processor's caches hold: the softmax goes over a chunk in pieces of this size."""


class LossSum(NamedTuple):
    """A loss summed over its targets; divide by the targets of all ranks and micro-batches of a step."""

    loss: Tensor
    """Scalar, float32 (float64 for float64 inputs): nats, and the z-loss where there is one."""
    num_targets: int
    """Labels that are not -100."""


def chunked_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    labels: Tensor,
    *,
    logits_scaling: float = 1.0,
    z_loss: float = 0.0,
    chunk_size: int | None = None,
) -> LossSum:
    """Cross-entropy of logits = hidden @ weight.T * logits_scaling, summed over the targets.

    Under autocast the products are in its type; the softmax and the sums are always in float32.

    Args:
        hidden: (N, D).
        weight: (V, D); a DTensor is gathered whole first.
        labels: (N,) int64; -100 is no target.
        logits_scaling: what the logits are multiplied by.
        z_loss: adds z_loss * logsumexp(logits)^2 for each target (Chowdhery et al. 2022, arXiv 2204.02311,
            section 5).
        chunk_size: targets at a time; None: as many as make 16 million logits.
    """
    if isinstance(weight, DTensor):
        weight = weight.full_tensor()
    kept = labels != IGNORED
    count = int(kept.sum())
    if count < labels.numel():
        hidden, labels = hidden[kept], labels[kept]
    if chunk_size is None:
        chunk_size = max(CHUNK_ELEMENTS // weight.shape[0], 64)
    autocast = torch.is_autocast_enabled(hidden.device.type)
    dtype = torch.get_autocast_dtype(hidden.device.type) if autocast else hidden.dtype
    loss = _ChunkedCrossEntropy.apply(hidden, weight, labels, logits_scaling, z_loss, chunk_size, dtype)
    return LossSum(loss, count)


class _ChunkedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        labels: Tensor,
        scaling: float,
        z_loss: float,
        chunk_size: int,
        dtype: torch.dtype,
    ) -> Tensor:
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        num_targets, vocab_size = hidden.shape[0], weight.shape[0]
        need_hidden, need_weight = ctx.needs_input_grad[:2]
        grad_hidden = torch.empty_like(hidden) if need_hidden else None
        grad_weight = torch.zeros(weight.shape, dtype=wide, device=weight.device) if need_weight else None
        total = torch.zeros((), dtype=wide, device=hidden.device)
        matrix = weight.to(dtype)
        # One buffer for all chunks: fresh memory costs a processor more than the softmax itself.
        buffer = hidden.new_empty((min(chunk_size, num_targets), vocab_size), dtype=dtype)
        piece_size = _piece_size(hidden.device, vocab_size, chunk_size)
        for start in range(0, num_targets, chunk_size):
            rows = slice(start, min(start + chunk_size, num_targets))
            inputs = hidden[rows].to(dtype)  # (chunk, D)
            logits = torch.mm(inputs, matrix.T, out=buffer[: inputs.shape[0]])  # (chunk, V)
            pieces = zip(logits.split(piece_size), labels[rows, None].split(piece_size), strict=True)
            for piece, targets in pieces:
                total += _softmax_step(piece, targets, wide, scaling, z_loss, need_hidden or need_weight)
            if grad_hidden is not None:
                grad_hidden[rows] = logits @ matrix
            if grad_weight is not None:
                if dtype == wide:
                    grad_weight.addmm_(logits.T, inputs)
                else:
                    grad_weight += logits.T @ inputs
        ctx.save_for_backward(grad_hidden, None if grad_weight is None else grad_weight.to(weight.dtype))
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad_hidden, grad_weight = ctx.saved_tensors
        scale = grads[0]
        return (
            None if grad_hidden is None else grad_hidden * scale.to(grad_hidden.dtype),
            None if grad_weight is None else grad_weight * scale.to(grad_weight.dtype),
            None,
            None,
            None,
            None,
            None,
        )


def _softmax_step(
    logits: Tensor, targets: Tensor, wide: torch.dtype, scaling: float, z_loss: float, need_grad: bool
) -> Tensor:
    """The loss of some rows of logits, (rows, V), which become their own gradient where it is needed."""
    values = logits.to(wide)  # the logits themselves, where they are wide already
    if scaling != 1.0:
        values *= scaling
    at_target = values.gather(1, targets)
    top = values.amax(dim=1, keepdim=True)
    sums = values.sub_(top).exp_().sum(dim=1, keepdim=True)
    lse = top + sums.log()  # (rows, 1)
    if need_grad:
        # d loss / d (logits before scaling) = scaling * ((1 + 2 z lse) softmax - [target])
        values *= scaling * (1.0 + 2.0 * z_loss * lse) / sums
        values.scatter_add_(1, targets, torch.full_like(lse, -scaling))
        if logits is not values:
            logits.copy_(values)
    return (lse - at_target).sum() + z_loss * lse.square().sum()


def _piece_size(device: torch.device, vocab_size: int, chunk_size: int) -> int:
    """Rows that go through the softmax at a time: on a processor, as many as its caches hold."""
    return max(PIECE_ELEMENTS // vocab_size, 1) if device.type == "cpu" else chunk_size


def language_model_loss(
    model: nn.Module, batch: Batch, *, z_loss: float = 0.0, chunk_size: int | None = None
) -> LossSum:
    """Next-token loss of a causal language model of transformers on a batch, summed over its targets.

    The decoder gives hidden states and the head's weight goes to `chunked_cross_entropy`. A batch with
    `document_ids` is read as documents that do not see each other: every document's positions begin at 0,
    from which transformers builds the block-diagonal mask for whatever attention the model uses.

    A model under FSDP2 (`fully_shard` on the root, the head in the root's group) runs inside the root's
    forward hooks, so that the head's weight is there unsharded and its gradient is reduced as any other's.

    Raises:
        Unsupported: the model's logits are not a scaled product with the head's weight.
    """
    if not isinstance(model, FSDPModule):
        return _loss(model, batch, z_loss, chunk_size)
    if not hasattr(model, "malmoi_loss"):
        model.malmoi_loss = MethodType(_loss, model)
        register_fsdp_forward_method(model, "malmoi_loss")
    result: LossSum = model.malmoi_loss(batch, z_loss, chunk_size)
    return result


def _loss(model: Any, batch: Batch, z_loss: float, chunk_size: int | None) -> LossSum:
    head = output_head(model)
    hidden = hidden_states(model, batch)
    return chunked_cross_entropy(
        hidden.flatten(0, 1),
        head.weight,
        batch.labels.flatten(),
        logits_scaling=logits_scale(model.config),
        z_loss=z_loss,
        chunk_size=chunk_size,
    )


def hidden_states(model: Any, batch: Batch) -> Tensor:
    """What the model's head reads: the decoder's last hidden states, (B, T, D)."""
    positions = batch.position_ids
    if batch.document_ids is not None:
        positions = document_positions(batch.document_ids)
    output = model.base_model(input_ids=batch.input_ids, position_ids=positions, use_cache=False)
    hidden: Tensor = output.last_hidden_state
    return hidden


def document_positions(document_ids: Tensor) -> Tensor:
    """Each token's position in its own document; (B, T) ids, equal inside a document, to (B, T) int64."""
    index = torch.arange(document_ids.shape[1], device=document_ids.device).expand_as(document_ids)
    begins = torch.ones_like(document_ids, dtype=torch.bool)
    begins[:, 1:] = document_ids[:, 1:] != document_ids[:, :-1]
    return index - torch.where(begins, index, 0).cummax(dim=1).values


def output_head(model: Any) -> nn.Linear:
    """The model's output layer.

    Raises:
        Unsupported: it has none, or one with a bias.
    """
    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    if head is None or getattr(head, "weight", None) is None:
        raise Unsupported(
            f"{type(model).__name__} has no output layer to train.", fix="Use a causal language model."
        )
    if getattr(head, "bias", None) is not None:
        raise Unsupported(
            f"{type(model).__name__}'s output layer has a bias, which training does not handle."
        )
    found: nn.Linear = head
    return found


def logits_scale(config: Any) -> float:
    """What a model's logits are multiplied by after its head, from its configuration.

    HyperCLOVA X multiplies by `logits_scaling`, Granite divides by it, Cohere multiplies by `logit_scale`.

    Raises:
        Unsupported: the logits are soft-capped.
    """
    if getattr(config, "final_logit_softcapping", None) is not None:
        raise Unsupported(
            f"models of type {config.model_type!r} cap their logits softly, which training does not handle."
        )
    if getattr(config, "logit_scale", None) is not None:
        return float(config.logit_scale)
    scaling = getattr(config, "logits_scaling", None)
    if scaling is None:
        return 1.0
    if config.model_type.startswith("granite"):
        return 1.0 / float(scaling)
    if config.model_type.startswith("hyperclovax"):
        return float(scaling)
    raise Unsupported(f"it is not known how models of type {config.model_type!r} use logits_scaling.")
