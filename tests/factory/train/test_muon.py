import pytest
import torch

from malmoi.factory.train.muon import orthogonal_updates, orthogonalize


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("rows", "columns"), [(16, 16), (48, 16), (16, 48)])
def test_singular_values_come_near_one_and_vectors_stay(rows: int, columns: int) -> None:
    matrix = random(2, rows, columns) * 100.0

    got = orthogonalize(matrix)

    assert got.shape == matrix.shape
    values = torch.linalg.svdvals(got)
    assert values.min() > 0.4, "the smallest values of a random square matrix are the hardest"
    assert values.max() < 1.3
    # U S V^T with other values S is diagonal in the singular vectors of the matrix itself.
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    turned = u.mT @ got @ v.mT
    off = turned - torch.diag_embed(torch.diagonal(turned, dim1=1, dim2=2))
    assert off.abs().max() < 1e-3


def test_size_of_the_matrix_does_not_matter() -> None:
    matrix = random(1, 8, 12)

    torch.testing.assert_close(orthogonalize(matrix * 1e-6), orthogonalize(matrix), rtol=1e-3, atol=1e-3)


def test_nothing_becomes_nothing() -> None:
    assert not orthogonalize(torch.zeros(1, 4, 6)).any()


def test_bfloat16_is_close_to_float32() -> None:
    matrix = random(1, 32, 32)

    got = orthogonalize(matrix, dtype=torch.bfloat16)

    assert got.dtype == torch.bfloat16
    assert (got.float() - orthogonalize(matrix)).abs().mean() < 0.01


def test_matrices_of_one_shape_together_are_as_each_alone() -> None:
    shapes = [(8, 12), (12, 8), (8, 12), (5, 5), (12, 8)]
    updates = [random(*shape, seed=number) for number, shape in enumerate(shapes)]

    got = orthogonal_updates(updates, num_steps=5, dtype=torch.float32)

    for update, result in zip(updates, got, strict=True):
        torch.testing.assert_close(result, orthogonalize(update[None])[0], rtol=1e-5, atol=1e-5)
