"""Batches larger than memory: a function over rows in chunks, of which only the results are kept.

Contrast needs the vectors of a whole batch before it can have a gradient. So each chunk goes forward without
its inner values being kept; the loss gives the gradient of every vector; and then chunk after chunk goes
forward again, now keeping what the way back needs, and back. The memory is that of one chunk, the gradient
that of the whole batch, the price one more forward.

Source: Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup",
arXiv 2101.06983 (GradCache). Its two passes are what torch's activation checkpoints do when each chunk is one
of them; that also gives dropout the same random numbers both times, and leaves the training loop as it is.
Ours: item vectors are results of chunks too, so that each distinct text stays encoded once however many
chunks use it.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def in_chunks(function: Callable[..., Tensor], size: int | None, *inputs: Tensor) -> Tensor:
    """`function(*inputs)`, whose rows do not depend on each other, computed `size` rows at a time.

    Args:
        function: takes the inputs and gives one row for each of theirs.
        size: rows of a chunk; None: all in one, with everything kept.
        inputs: tensors with the same number of rows.
    """
    rows = len(inputs[0])
    if size is None or rows <= size:
        return function(*inputs)
    parts = []
    for start in range(0, rows, size):
        piece = [tensor[start : start + size] for tensor in inputs]
        if torch.is_grad_enabled():
            parts.append(checkpoint(function, *piece, use_reentrant=False))
        else:
            parts.append(function(*piece))
    return torch.cat(parts)
