"""Sparse products and walks against closed forms and finite differences."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from malmoi.users.graphs.attention import attend, edge_softmax
from malmoi.users.graphs.graph import Features, undirected
from malmoi.users.graphs.walk import (
    Matrix,
    bipartite_walk,
    build_pattern,
    feature_matrix,
    product,
    random_walk,
    symmetric_walk,
    transposed,
    walk_blocks,
)

torch.set_num_threads(1)

PATH = np.array([[0, 1, 1, 2], [1, 0, 2, 1]])  # 0 - 1 - 2


def drawn_pattern(rows: int, columns: int, seed: int = 0) -> Matrix:
    """A random sparse matrix with empty rows and columns, in float64."""
    random = np.random.default_rng(seed)
    there = random.random((rows, columns)) < 0.4
    there[1] = False
    there[:, 2] = False
    indptr = np.concatenate([[0], np.cumsum(there.sum(1))])
    pattern = build_pattern(indptr, np.nonzero(there)[1], columns)
    return Matrix(pattern, torch.from_numpy(random.normal(size=int(there.sum()))))


def test_random_walk_of_a_path() -> None:
    expected = [[1 / 2, 1 / 3, 0], [1 / 2, 1 / 3, 1 / 2], [0, 1 / 3, 1 / 2]]
    assert torch.allclose(random_walk(PATH, 3).dense(), torch.tensor(expected))


def test_random_walk_keeps_probability_over_many_steps() -> None:
    random = np.random.default_rng(1)
    walk = random_walk(undirected(random.integers(0, 30, (2, 60))), 30)
    x = torch.from_numpy(random.dirichlet(np.ones(30))).float()[:, None]
    for _ in range(50):
        x = walk @ x
    # The stationary distribution of a walk with loops goes with the degrees, component by component.
    assert torch.allclose(x.sum(), torch.tensor(1.0), atol=1e-5)
    assert torch.allclose(walk @ x, x, atol=1e-4)


def test_symmetric_walk_of_a_path() -> None:
    a, b = 1 / np.sqrt(6), 1 / 3
    expected = torch.tensor([[1 / 2, a, 0], [a, b, a], [0, a, 1 / 2]], dtype=torch.float32)
    assert torch.allclose(symmetric_walk(PATH, 3).dense(), expected)


def test_bipartite_walk_counts_a_pair_once() -> None:
    user, item = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    expected = torch.tensor([[1 / np.sqrt(2), 1 / 2], [0, 1 / np.sqrt(2)]], dtype=torch.float32)
    assert torch.allclose(bipartite_walk(user, item, (2, 2)).dense(), expected)


@pytest.mark.parametrize("width", [3, 40], ids=["narrow", "wide"])
def test_product_and_transpose_equal_the_dense_ones(width: int) -> None:
    matrix = drawn_pattern(7, 5)
    x = torch.randn(5, width, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(matrix @ x, matrix.dense() @ x)
    turned = transposed(matrix)
    y = torch.randn(7, width, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.equal(turned.dense(), matrix.dense().T)
    assert torch.allclose(turned @ y, matrix.dense().T @ y)
    assert torch.equal(transposed(turned).dense(), matrix.dense())


@pytest.mark.parametrize("width", [3, 40], ids=["narrow", "wide"])
def test_product_gradients_by_finite_differences(width: int) -> None:
    matrix = drawn_pattern(6, 5)
    values = matrix.values.clone().requires_grad_()
    x = torch.randn(
        5, width, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    ).requires_grad_()
    assert gradcheck(lambda v, d: product(matrix.pattern, v, d), (values, x))


def test_walk_blocks_are_the_products_side_by_side() -> None:
    walk = random_walk(PATH, 3)
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    rows = torch.tensor([2, 0])
    p = walk.dense()
    expected = torch.cat([x[rows], (p @ x)[rows], (p @ p @ x)[rows]], dim=1)
    assert torch.allclose(walk_blocks(walk, x, 2, rows), expected)


def test_walk_blocks_gradient_by_finite_differences() -> None:
    walk = random_walk(PATH, 3)
    walk = Matrix(walk.pattern, walk.values.double())
    x = torch.randn(3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert gradcheck(lambda d: walk_blocks(walk, d, 3, torch.tensor([2, 0])), (x,))


def test_feature_matrix_is_the_features() -> None:
    features = Features(
        np.array([2.0, 3.0, 5.0], dtype=np.float32), np.array([1, 0, 2]), np.array([0, 1, 3]), 3
    )
    assert np.array_equal(feature_matrix(features).dense().numpy(), features.dense())
    assert np.allclose(features.normalized().dense(), [[0, 1, 0], [3 / 8, 0, 5 / 8]])


def test_edge_softmax_adds_up_and_survives_large_scores() -> None:
    walk = random_walk(PATH, 3)
    scores = torch.tensor([1e4, 1e4, 0.0, 1.0, 2.0, -1e4, 1e4], dtype=torch.float32)[:, None]
    shares = edge_softmax(walk.pattern, scores)[:, 0]
    sums = torch.zeros(3).index_add(0, walk.pattern.row, shares)
    assert torch.allclose(sums, torch.ones(3))
    assert torch.allclose(shares[:2], torch.full((2,), 0.5))
    assert shares[5] == 0.0


def test_edge_softmax_gradient_by_finite_differences() -> None:
    pattern = random_walk(PATH, 3).pattern
    scores = torch.randn(
        7, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    ).requires_grad_()
    assert gradcheck(lambda x: edge_softmax(pattern, x), (scores,))


def test_attention_equals_the_formula() -> None:
    walk = random_walk(PATH, 3)
    random = torch.Generator().manual_seed(0)
    z, left, right = (torch.randn(3, 2, *more, generator=random) for more in ((4,), (), ()))
    found = attend(walk, z, left, right, dropout=0.5, training=False)
    p = walk.dense()
    for head in range(2):
        scores = left[:, head, None] * right[None, :, head] * p
        alpha = scores.masked_fill(p == 0, -torch.inf).softmax(1)
        assert torch.allclose(found[:, 4 * head : 4 * head + 4], alpha @ z[:, head], atol=1e-6)


def test_attention_drops_only_while_training() -> None:
    walk = random_walk(PATH, 3)
    torch.manual_seed(0)
    z, scores = torch.randn(3, 2, 4), torch.randn(3, 2)
    still = attend(walk, z, scores, scores, dropout=0.9, training=False)
    assert torch.equal(still, attend(walk, z, scores, scores, dropout=0.9, training=False))
    assert not torch.equal(still, attend(walk, z, scores, scores, dropout=0.9, training=True))
