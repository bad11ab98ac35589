"""The ball against closed forms, finite differences, and points at its border."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from malmoi.users.graphs.ball import BORDER, distance, distances, expmap0, project

torch.set_num_threads(1)


def c(value: float, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.tensor(value, dtype=dtype)


@pytest.mark.parametrize("curvature", [0.1, 1.0, 10.0])
def test_expmap_from_the_origin_goes_twice_the_length(curvature: float) -> None:
    v = torch.tensor([0.3, -0.4], dtype=torch.float64)
    x = expmap0(v, c(curvature))
    assert torch.allclose(x, v / 0.5 * math.tanh(math.sqrt(curvature) * 0.5) / math.sqrt(curvature))
    # The metric at the origin is 4 times the plain one, so the distance is 2 |v| for every curvature.
    assert distance(torch.zeros_like(x), x, c(curvature)) == pytest.approx(1.0, abs=1e-9)


def test_distance_equals_the_usual_form() -> None:
    random = torch.Generator().manual_seed(0)
    x, y = (torch.randn(20, 5, dtype=torch.float64, generator=random) * 0.15 for _ in range(2))
    k = c(1.7)
    inside = (1 - k * x.square().sum(1)) * (1 - k * y.square().sum(1))
    usual = torch.acosh(1 + 2 * k * (x - y).square().sum(1) / inside) / k.sqrt()
    assert torch.allclose(distance(x, y, k), usual)
    assert torch.allclose(distances(x, y, k), distance(x[:, None], y[None], k))


def test_distance_obeys_a_metric() -> None:
    random = torch.Generator().manual_seed(1)
    x, y, z = (expmap0(torch.randn(50, 3, dtype=torch.float64, generator=random), c(2.0)) for _ in range(3))
    xy, yz, xz = (distance(a, b, c(2.0)) for a, b in ((x, y), (y, z), (x, z)))
    assert torch.allclose(xy, distance(y, x, c(2.0)))
    assert (xz <= xy + yz + 1e-9).all()
    assert (distance(x, x, c(2.0)) < 1e-6).all()


def test_flat_limit_is_twice_the_plain_distance() -> None:
    x, y = torch.tensor([0.1, 0.2], dtype=torch.float64), torch.tensor([-0.3, 0.1], dtype=torch.float64)
    assert distance(x, y, c(1e-9)) == pytest.approx(2 * float((x - y).norm()), rel=1e-6)


def test_gradients_by_finite_differences() -> None:
    random = torch.Generator().manual_seed(2)
    u, i = (torch.randn(4, 3, dtype=torch.float64, generator=random).requires_grad_() for _ in range(2))
    curvature = c(0.7).requires_grad_()
    assert gradcheck(lambda a, b, k: distance(expmap0(a, k), expmap0(b, k), k), (u, i, curvature))


@pytest.mark.parametrize("length", [0.0, 1e-30, 1.0, 1e3, 1e20])
@pytest.mark.parametrize("curvature", [0.1, 10.0])
def test_float32_stays_finite_at_centre_and_border(length: float, curvature: float) -> None:
    u = torch.tensor([[length, 0.0]], requires_grad=True)
    i = torch.tensor([[-length, 0.0]], requires_grad=True)
    k = torch.tensor(curvature, requires_grad=True)
    x, y = expmap0(u, k), expmap0(i, k)
    assert float((k * x.square().sum()).detach()) < 1.0
    far = distance(x, y, k)
    far.sum().backward()
    for value in (far, u.grad, i.grad, k.grad):
        assert value is not None
        assert torch.isfinite(value).all()


def test_project_moves_only_what_is_outside() -> None:
    x = torch.tensor([[0.5, 0.0], [3.0, 4.0]])
    found = project(x, torch.tensor(1.0))
    assert torch.equal(found[0], x[0])
    assert torch.allclose(found[1], torch.tensor([0.6, 0.8]) * (1 - BORDER))
