"""Loss as a power of compute, L(C) = a C^-b + c, with an interval for b.

The form is that of Henighan et al. 2020 (arXiv 2010.14701): c is what no compute removes. The fit minimises
squared errors of log L, since errors of a measured loss are nearly proportional to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import InvalidInput
from malmoi.core.intervals import percentiles

Array = NDArray[np.float64]
STEEPEST = 5.0


@dataclass(frozen=True)
class PowerLaw:
    """A fitted law.

    Attributes:
        a: factor, for compute in units of `unit`.
        b: exponent.
        c: floor.
        unit: compute that counts as 1, the geometric mean of the points.
        error: root of the mean squared error of log L.
        b_interval: 95 % of the exponents of resamples; None: too few could be fitted.
    """

    a: float
    b: float
    c: float
    unit: float
    error: float
    b_interval: tuple[float, float] | None = None

    def __call__(self, compute: Array) -> Array:
        """The loss at some compute."""
        return np.asarray(self.a * (compute / self.unit) ** -self.b + self.c)


def fit_power_law(compute: Sequence[float] | Array, loss: Sequence[float] | Array) -> PowerLaw:
    """The law through four points or more.

    For each of many floors c the line through log(L - c) is found in closed form, each point weighted by
    ((L - c) / L)^2, which turns its errors into those of log L; the best floor wins.

    Raises:
        InvalidInput: there are fewer than four, or a value is not positive and finite.
    """
    x, y = np.asarray(compute, dtype=np.float64), np.asarray(loss, dtype=np.float64)
    if len(x) < 4 or x.shape != y.shape:
        raise InvalidInput(f"a law of three numbers needs four points or more, not {len(x)}.")
    if not (np.isfinite(x) & np.isfinite(y) & (x > 0) & (y > 0)).all():
        raise InvalidInput("compute and loss must be positive and finite to lie on a power law.")
    unit = float(np.exp(np.log(x).mean()))
    scaled, lowest = np.log(x / unit), float(y.min())
    floors = lowest * (1 - np.concatenate([np.geomspace(1e-3, 1, 200), np.linspace(0.001, 1, 200)]))
    a, b, errors = _lines(scaled, y, floors)
    best = int(errors.argmin())
    step = lowest / 100
    floors = np.linspace(max(floors[best] - step, 0), min(floors[best] + step, 0.9995 * lowest), 400)
    a, b, errors = _lines(scaled, y, floors)
    best = int(errors.argmin())
    return PowerLaw(float(a[best]), float(b[best]), float(floors[best]), unit, float(errors[best]))


def _lines(x: Array, y: Array, floors: Array) -> tuple[Array, Array, Array]:
    """a, b and the root of the mean squared error of log L for each floor."""
    above = y[None, :] - floors[:, None]
    weight, target = (above / y) ** 2, np.log(above)
    total = weight.sum(1)
    mean_x, mean_y = (weight * x).sum(1) / total, (weight * target).sum(1) / total
    away = x[None, :] - mean_x[:, None]
    slope = (weight * away * (target - mean_y[:, None])).sum(1) / (weight * away**2).sum(1)
    b = np.clip(-slope, 0.0, STEEPEST)  # a loss that rises with compute follows no such law
    log_a = mean_y + b * mean_x
    law = np.exp(log_a[:, None] - b[:, None] * x) + floors[:, None]
    return np.exp(log_a), b, np.sqrt(((np.log(law) - np.log(y)) ** 2).mean(1))


def fit_with_interval(
    compute: Sequence[float] | Array, losses: Sequence[Array], *, seed: int = 0, resamples: int = 200
) -> PowerLaw:
    """The law through mean losses, with the exponent's interval over users and seeds.

    Args:
        compute: of each point.
        losses: of each point one loss a seed and user, (seeds, users); all points have the same users, who
            are drawn together, and the seeds of each point are drawn too.
        seed: of the draws.
        resamples: how many are drawn.

    Raises:
        InvalidInput: see `fit_power_law`.
    """
    law = fit_power_law(compute, [float(one.mean()) for one in losses])
    random = np.random.default_rng([seed, len(losses)])
    count = losses[0].shape[1]
    drawn = []
    for _ in range(resamples):
        users = random.integers(0, count, count)
        means = [float(one[random.integers(0, len(one), len(one))][:, users].mean()) for one in losses]
        if min(means) > 0:
            drawn.append(fit_power_law(compute, means).b)
    return PowerLaw(law.a, law.b, law.c, law.unit, law.error, percentiles(np.array(drawn)))
