"""Muon: momentum whose update is made orthogonal (Jordan et al. 2024, kellerjordan.github.io/posts/muon).

    B <- momentum * B + (1 - momentum) * G
    U  = G + momentum * (B - G)                           Nesterov's look ahead
    O  = U V^T of the singular value decomposition of U   by five Newton-Schulz steps
    W <- W - rate * sqrt(max(1, rows / columns)) * O

The factor is Jordan's. It gives every update the spectral norm sqrt(rows / columns) that keeps the size of
features as widths grow (Yang, Simon and Bernstein 2023, "A Spectral Condition for Feature Learning", arXiv
2310.17813, condition 1; (rows, columns) = (outputs, inputs)), so the best rate stays where it is when the
model gets wider. Moonlight's 0.2 * sqrt(max(rows, columns)) (Liu et al. 2025, arXiv 2502.16982) matches
AdamW's size of an update instead, and its best rate falls with the width.

`torch.optim.Muon` orthogonalizes in bfloat16 always and one matrix at a time, and with DTensors every product
of its iteration communicates: two ranks then differ from one by far more than float32 rounding. Here matrices
of one shape go through the iteration together; sharded ones are gathered whole, shared out among the ranks,
and each rank keeps its shard of the result.
"""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor, Replicate, Shard

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of Jordan's quintic: largest slope at 0 for which the singular values stay in about [0.7, 1.2]."""


def orthogonalize(matrices: Tensor, *, num_steps: int = 5, dtype: torch.dtype = torch.float32) -> Tensor:
    """The nearest orthogonal matrices, roughly: all singular values come to lie near 1.

    Args:
        matrices: (K, R, C).
        num_steps: Newton-Schulz steps; each is X <- a X + (b X X^T + c (X X^T)^2) X.
        dtype: of the products.

    Returns:
        (K, R, C) in `dtype`.
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices  # the smaller side makes the Gram matrix
    # The Frobenius norm bounds the spectral norm, which the iteration needs to be at most 1.
    x = (x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)).to(dtype).contiguous()
    for _ in range(num_steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def orthogonal_updates(updates: Sequence[Tensor], *, num_steps: int, dtype: torch.dtype) -> list[Tensor]:
    """`orthogonalize` for many matrices, plain or sharded; each result is sharded as its update is.

    Under FSDP2 all ranks must call it with the same matrices in the same order.
    """
    results: list[Tensor | None] = [None] * len(updates)
    for indices in _same_shape(updates):
        group = [updates[index] for index in indices]
        whole = torch.stack([u.full_tensor() if isinstance(u, DTensor) else u for u in group])
        turned = whole.shape[1] > whole.shape[2]
        done = _shared_out(whole.mT if turned else whole, group[0], num_steps=num_steps, dtype=dtype)
        for index, update, matrix in zip(indices, group, done.mT if turned else done, strict=True):
            results[index] = _shard_like(matrix, update)
    return [result for result in results if result is not None]


def _same_shape(updates: Sequence[Tensor]) -> list[list[int]]:
    """Indices of the matrices that go through the iteration together."""
    groups: dict[object, list[int]] = {}
    for index, update in enumerate(updates):
        layout = (update.device_mesh, update.placements) if isinstance(update, DTensor) else None
        groups.setdefault((tuple(update.shape), layout), []).append(index)
    return list(groups.values())


def _shared_out(whole: Tensor, like: Tensor, *, num_steps: int, dtype: torch.dtype) -> Tensor:
    """Each rank of the sharding orthogonalizes its part of the stack; all get all."""
    sharded = (
        [i for i, p in enumerate(like.placements) if isinstance(p, Shard)]
        if isinstance(like, DTensor)
        else []
    )
    if not sharded:
        return orthogonalize(whole, num_steps=num_steps, dtype=dtype)
    assert isinstance(like, DTensor)
    process_group = like.device_mesh.get_group(sharded[0])
    size, rank = dist.get_world_size(process_group), dist.get_rank(process_group)
    if size == 1:
        return orthogonalize(whole, num_steps=num_steps, dtype=dtype)
    share = -(-whole.shape[0] // size)  # the last ranks may have less, or nothing
    mine = whole[rank * share : (rank + 1) * share]
    part = whole.new_zeros((share, *whole.shape[1:]), dtype=dtype)
    if mine.shape[0]:
        part[: mine.shape[0]] = orthogonalize(mine, num_steps=num_steps, dtype=dtype)
    parts = whole.new_empty((size * share, *whole.shape[1:]), dtype=dtype)
    dist.all_gather_into_tensor(parts, part, group=process_group)
    return parts[: whole.shape[0]]


def _shard_like(matrix: Tensor, like: Tensor) -> Tensor:
    if not isinstance(like, DTensor):
        return matrix
    everywhere = [Replicate()] * like.device_mesh.ndim
    spread = DTensor.from_local(matrix.contiguous(), like.device_mesh, everywhere, run_check=False)
    return spread.redistribute(placements=like.placements)  # cuts locally, sends nothing
