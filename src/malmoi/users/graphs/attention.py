"""The multiplicative attention of GESM: how much a node takes from each of its neighbours.

N nodes, E edges with self-loops, m heads of width h.

    e = Z a + b,  e' = Z a' + b'                      (N, m)
    alpha_ij = softmax over i's edges of e_i e'_j P_ij
    result_i = sum_j dropout(alpha_ij) Z_j            (N, m h)

Source: Shin et al. 2020, "GESM", arXiv 2005.08485, as its authors' program has it: a product of both scores
and the walk's probability, not the LeakyReLU of their sum of a graph attention network.

Memory: E numbers a head for alpha, and Z's rows are never gathered (`walk.product`, head by head), so that
the E m h numbers of the textbook form never exist.
"""

import torch
from torch import Tensor
from torch.nn import functional

from malmoi.users.graphs.walk import Matrix, Pattern, product


def edge_softmax(pattern: Pattern, scores: Tensor) -> Tensor:
    """Softmax of the scores over each row's edges; every row must have one. Shapes: (E, m) to (E, m)."""
    result: Tensor = _EdgeSoftmax.apply(scores, pattern)
    return result


class _EdgeSoftmax(torch.autograd.Function):
    """y = exp(x) / sum over the row; dx = y (dy - sum over the row of y dy)."""

    @staticmethod
    def forward(ctx, scores: Tensor, pattern: Pattern) -> Tensor:  # type: ignore[no-untyped-def]
        highest = _over_rows(pattern, scores, "max")
        y = torch.exp(scores - highest[pattern.row])
        y = y / _over_rows(pattern, y, "sum")[pattern.row]
        ctx.pattern = pattern
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, gradient: Tensor):  # type: ignore[no-untyped-def]
        (y,) = ctx.saved_tensors
        weighted = y * gradient
        return weighted - y * _over_rows(ctx.pattern, weighted, "sum")[ctx.pattern.row], None


def _over_rows(pattern: Pattern, values: Tensor, how: str) -> Tensor:
    return torch.segment_reduce(values.contiguous(), how, lengths=pattern.indptr.diff(), axis=0, unsafe=True)


def attend(walk: Matrix, z: Tensor, left: Tensor, right: Tensor, dropout: float, training: bool) -> Tensor:
    """Every node's mixture of its neighbours, head by head.

    Args:
        walk: P with self-loops, (N, N).
        z: what is mixed, (N, m, h).
        left: e, (N, m).
        right: e', (N, m).
        dropout: share of alpha's values that are dropped while training.
        training: whether to drop.

    Returns:
        (N, m h).
    """
    pattern = walk.pattern
    scores = left[pattern.row] * right[pattern.column] * walk.values[:, None]
    alpha = functional.dropout(edge_softmax(pattern, scores), dropout, training)
    heads = [product(pattern, alpha[:, head].contiguous(), z[:, head]) for head in range(z.shape[1])]
    return torch.cat(heads, dim=1)
