"""Products with sparse matrices, and the two matrices by which graphs spread what nodes know.

N nodes, E edges, D columns. With A the edges and A~ = A + I:

    random walk   P = A~ D^-1          columns add up to 1 (Shin et al. 2020, GESM, arXiv 2005.08485)
    symmetric     S = D^-1/2 A~ D^-1/2 (Kipf and Welling 2017, arXiv 1609.02907, equation 2)

A `Pattern` is where a matrix may differ from zero, in CSR form, and the same for its transpose: the gradient
of Y = M X is dX = M^T dY, and reading M^T by rows is several times faster than scattering M's columns. Where
M's values are learned (attention) their gradient is dM_ij = dY_i . X_j, on the pattern alone.

Cost of a product: E D multiplications forward, as many backward, and memory for the result only.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from malmoi.users.graphs.graph import Features

_NARROW = 32
"""Columns up to which torch's CSR product is the faster one; wider ones go through embedding_bag."""


@dataclass(frozen=True)
class Pattern:
    """Where an (R, C) matrix has values: E places, sorted by row, and by column for its transpose.

    Attributes:
        indptr: row r's values lie at indptr[r] to indptr[r + 1], (R + 1,).
        row: of each value, (E,).
        column: of each value, (E,).
        indptr_t: the same as `indptr` by columns, (C + 1,).
        row_t: of each value in the order of columns, (E,).
        order_t: values in the order of columns are `values[order_t]`, (E,).
    """

    indptr: Tensor
    row: Tensor
    column: Tensor
    indptr_t: Tensor
    row_t: Tensor
    order_t: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, (R, C)."""
        return len(self.indptr) - 1, len(self.indptr_t) - 1


@dataclass(frozen=True)
class Matrix:
    """A sparse matrix whose values are not learned; `values` has shape (E,)."""

    pattern: Pattern
    values: Tensor

    def __matmul__(self, dense: Tensor) -> Tensor:
        """(R, C) @ (C, D) = (R, D), with a gradient for `dense`."""
        return product(self.pattern, self.values, dense)

    def dense(self) -> Tensor:
        """The whole matrix, (R, C)."""
        whole = self.values.new_zeros(self.pattern.shape)
        whole[self.pattern.row, self.pattern.column] = self.values
        return whole


def build_pattern(indptr: NDArray[np.int64], column: NDArray[np.int64], num_columns: int) -> Pattern:
    """The pattern of a CSR matrix."""
    rows = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    order = np.lexsort((rows, column))
    counts = np.bincount(column, minlength=num_columns)
    indptr_t = np.concatenate([[0], np.cumsum(counts)])
    parts = (indptr, rows, column, indptr_t, rows[order], order)
    return Pattern(*(torch.from_numpy(np.array(part, dtype=np.int64)) for part in parts))


def feature_matrix(features: Features) -> Matrix:
    """The features as they are, (N, F)."""
    pattern = build_pattern(features.indptr, features.indices, features.width)
    return Matrix(pattern, torch.from_numpy(np.array(features.data, dtype=np.float32)))


def random_walk(edges: NDArray[np.int64], num_nodes: int) -> Matrix:
    """P = (A + I) D^-1, (N, N): column j says where one step from j leads.

    Args:
        edges: (2, E), in both directions, without self-loops.
        num_nodes: N.
    """
    _, columns, indptr = _with_loops(edges, num_nodes)
    degree = np.bincount(columns, minlength=num_nodes)
    pattern = build_pattern(indptr, columns, num_nodes)
    return Matrix(pattern, torch.from_numpy((1.0 / degree[columns]).astype(np.float32)))


def symmetric_walk(edges: NDArray[np.int64], num_nodes: int) -> Matrix:
    """S = D^-1/2 (A + I) D^-1/2, (N, N); the arguments are those of `random_walk`."""
    rows, columns, indptr = _with_loops(edges, num_nodes)
    degree = np.bincount(columns, minlength=num_nodes)
    values = 1.0 / np.sqrt(degree[rows] * degree[columns])
    return Matrix(build_pattern(indptr, columns, num_nodes), torch.from_numpy(values.astype(np.float32)))


def bipartite_walk(user: NDArray[np.int64], item: NDArray[np.int64], shape: tuple[int, int]) -> Matrix:
    """R_ui = 1 / sqrt(d_u d_i) over the pairs, each once, (N, M): half of LightGCN's symmetric matrix.

    Source: He et al. 2020, LightGCN, arXiv 2002.02126, equation 3. One step takes items' vectors to users by
    R and users' to items by R^T.
    """
    pairs = np.unique(np.stack([user, item]), axis=1)
    users, items = pairs[0], pairs[1]
    d_user, d_item = np.bincount(users, minlength=shape[0]), np.bincount(items, minlength=shape[1])
    values = 1.0 / np.sqrt(d_user[users] * d_item[items].astype(np.float64))
    indptr = np.concatenate([[0], np.cumsum(d_user)])
    return Matrix(build_pattern(indptr, items, shape[1]), torch.from_numpy(values.astype(np.float32)))


def transposed(matrix: Matrix) -> Matrix:
    """M^T, sharing no work with M: its product and gradient are those of M turned round."""
    p = matrix.pattern
    back = torch.empty_like(p.order_t)
    back[p.order_t] = torch.arange(len(p.order_t))
    columns = torch.repeat_interleave(torch.arange(p.shape[1]), p.indptr_t.diff())
    turned = Pattern(p.indptr_t, columns, p.row_t, p.indptr, p.column, back)
    return Matrix(turned, matrix.values[p.order_t])


def product(pattern: Pattern, values: Tensor, dense: Tensor) -> Tensor:
    """M @ dense for the M that has `values` at `pattern`; gradients for both.

    Shapes: values (E,), dense (C, D), result (R, D).
    """
    result: Tensor = _Product.apply(values, dense, pattern)
    return result


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values: Tensor, dense: Tensor, pattern: Pattern) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.pattern = pattern
        # What no gradient needs is not kept: for constant matrices the input's whole memory is saved.
        ctx.save_for_backward(values, dense if ctx.needs_input_grad[0] else None)
        return _multiply(pattern.indptr, pattern.column, values, dense)

    @staticmethod
    def backward(ctx, gradient: Tensor):  # type: ignore[no-untyped-def]
        pattern: Pattern = ctx.pattern
        values, dense = ctx.saved_tensors
        for_values = for_dense = None
        if ctx.needs_input_grad[0]:
            for_values = _on_pattern(pattern, gradient, dense)
        if ctx.needs_input_grad[1]:
            turned = values[pattern.order_t]
            for_dense = _multiply(pattern.indptr_t, pattern.row_t, turned, gradient.contiguous())
        return for_values, for_dense, None


def walk_blocks(matrix: Matrix, dense: Tensor, steps: int, rows: Tensor) -> Tensor:
    """The chosen rows of X, M X, ..., M^s X side by side.

    One function, because its gradient needs one (N, D) buffer, where one product after the other would make
    two for every step.

    Args:
        matrix: M, (N, N).
        dense: X, (N, D).
        steps: s.
        rows: each once, (R,).

    Returns:
        (R, (s + 1) D).
    """
    result: Tensor = _Blocks.apply(dense, matrix, steps, rows)
    return result


class _Blocks(torch.autograd.Function):
    """dX = sum over k of (M^T)^k of block k's gradient, from the last block inwards."""

    @staticmethod
    def forward(ctx, dense: Tensor, matrix: Matrix, steps: int, rows: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.matrix, ctx.rows, ctx.size = matrix, rows, dense.shape
        p, blocks = matrix.pattern, [dense[rows]]
        for _ in range(steps):
            dense = _multiply(p.indptr, p.column, matrix.values, dense)
            blocks.append(dense[rows])
        return torch.cat(blocks, dim=1)

    @staticmethod
    def backward(ctx, gradient: Tensor):  # type: ignore[no-untyped-def]
        p, turned = ctx.matrix.pattern, ctx.matrix.values[ctx.matrix.pattern.order_t]
        blocks = gradient.split(ctx.size[1], dim=1)
        total = gradient.new_zeros(ctx.size)
        for number, block in enumerate(reversed(blocks)):
            if number:
                total = _multiply(p.indptr_t, p.row_t, turned, total)
            total.index_add_(0, ctx.rows, block)
        return total, None, None, None


def _multiply(indptr: Tensor, column: Tensor, values: Tensor, dense: Tensor) -> Tensor:
    """CSR times dense."""
    if dense.shape[1] > _NARROW:
        return functional.embedding_bag(
            column, dense, indptr, mode="sum", per_sample_weights=values, include_last_offset=True
        )
    return _csr(indptr, column, values, dense.shape[0]) @ dense


def _on_pattern(pattern: Pattern, left: Tensor, right: Tensor) -> Tensor:
    """left_i . right_j at every place (i, j); rows are read in place, not gathered."""
    empty = _csr(pattern.indptr, pattern.column, left.new_zeros(len(pattern.column)), right.shape[0])
    found = torch.sparse.sampled_addmm(empty, left.contiguous(), right.contiguous().T, beta=0.0)
    return found.values()


def _csr(indptr: Tensor, column: Tensor, values: Tensor, num_columns: int) -> Tensor:
    """The CSR matrix of torch over these arrays, without a copy."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        shape = (len(indptr) - 1, num_columns)
        return torch.sparse_csr_tensor(indptr, column, values, shape, check_invariants=False)


def _with_loops(
    edges: NDArray[np.int64], num_nodes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Rows, columns and indptr of A + I, sorted by row."""
    loops = np.arange(num_nodes, dtype=np.int64)
    rows, columns = np.concatenate([edges[0], loops]), np.concatenate([edges[1], loops])
    order = np.lexsort((columns, rows))
    rows, columns = rows[order], columns[order]
    return rows, columns, np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=num_nodes))])
