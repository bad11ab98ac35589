"""The Poincare ball of curvature -c: as much hyperbolic geometry as a metric model needs.

All points of a ball have length below 1 / sqrt(c). With m(x) = 1 - c |x|^2:

    expmap0(v) = tanh(sqrt(c) |v|) v / (sqrt(c) |v|)
    d(x, y) = 2 / sqrt(c) asinh sqrt(c |x - y|^2 / (m(x) m(y)))

Source: Ganea et al. 2018, "Hyperbolic Neural Networks", arXiv 1805.09112, lemmas 1 and 2. The distance is the
usual acosh(1 + 2 t) / sqrt(c) by the identity acosh(1 + 2 t) = 2 asinh(sqrt(t)), which keeps its digits for
close points, where 1 + 2 t rounds to 1.

Near the border float32 has no digits left for m(x), and the gradient grows without bound: points are kept
inside (1 - 1e-5) / sqrt(c), the argument of tanh below 15, and the argument of the root above 1e-15.

Shapes broadcast; the last dimension is that of the vectors, which the result of a distance lacks.
"""

import torch
from torch import Tensor

BORDER = 1e-5
"""How far points stay from the border, as a share of the radius."""
_SMALLEST = 1e-15
_LARGEST_TANH = 15.0


def project(x: Tensor, c: Tensor) -> Tensor:
    """The nearest point that is not too close to the border: x itself, or x shortened."""
    radius = (1 - BORDER) / c.sqrt()
    length = x.norm(dim=-1, keepdim=True).clamp(min=_SMALLEST)
    return torch.where(length > radius, x / length * radius, x)


def expmap0(v: Tensor, c: Tensor) -> Tensor:
    """Where the straight line of direction and speed v from the origin is after one unit of time."""
    # Very long v would overflow when squared: only direction and length matter, so it is divided first.
    largest = v.detach().abs().amax(-1, keepdim=True).clamp(min=1.0)
    v = v / largest
    # The length's gradient at 0 is not defined, but v's own factor there is 1: sqrt(s + tiny) is smooth.
    length = (v.square().sum(-1, keepdim=True) + _SMALLEST**2).sqrt()
    far = torch.tanh((c.sqrt() * length * largest).clamp(max=_LARGEST_TANH))
    return project(far * v / (c.sqrt() * length), c)


def distance(x: Tensor, y: Tensor, c: Tensor) -> Tensor:
    """d(x, y); 0 gradient where both are the same point."""
    return _from_square((x - y).square().sum(-1), x.square().sum(-1), y.square().sum(-1), c)


def distances(x: Tensor, y: Tensor, c: Tensor) -> Tensor:
    """Every x to every y, (B, D) and (M, D) to (B, M), without B M D numbers at once.

    From differences, not from |x|^2 + |y|^2 - 2 x y: that loses the digits of close points.
    """
    square = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").square()
    return _from_square(square, x.square().sum(-1)[:, None], y.square().sum(-1)[None, :], c)


def _from_square(square: Tensor, xx: Tensor, yy: Tensor, c: Tensor) -> Tensor:
    inside = ((1 - c * xx) * (1 - c * yy)).clamp(min=_SMALLEST)
    return 2 / c.sqrt() * torch.asinh((c * square / inside).clamp(min=_SMALLEST).sqrt())
