"""Multinomial logistic regression on sparse or dense rows, and the mixing of members' logits.

    min over W, b of   C * sum_i w_i * -log softmax(x_i W + b)[y_i]  +  |W|^2 / 2

Convex, so that the seed has no part in it; by L-BFGS (Liu and Nocedal 1989). N rows, F features, L labels.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import MissingExtra
from malmoi.engine.classify.calibration import softmax

Array = NDArray[np.float64]
Rows = NDArray[np.int64]


def need_scipy() -> None:
    """See that scipy is there.

    Raises:
        MissingExtra: it is not.
    """
    try:
        import scipy.optimize
        import scipy.sparse  # noqa: F401
    except ImportError as error:
        raise MissingExtra("Training a classifier", "eval") from error


def fit_softmax(
    inputs: Any, gold: Rows, labels: int, *, strength: float, weights: Array, steps: int = 60
) -> tuple[Array, Array]:
    """Fit W (F, L) and b (L,).

    Args:
        inputs: (N, F), a numpy array or a scipy CSR matrix.
        gold: (N,) in [0, labels).
        labels: L.
        strength: C; larger is less regularised.
        weights: (N,) how much each row counts; their mean is made one.
        steps: most iterations.
    """
    size, width = inputs.shape
    if hasattr(inputs, "tocsr"):
        # A column without entries has no part in the loss: its weights stay zero.
        used = np.flatnonzero(np.bincount(inputs.indices, minlength=width))
        inputs = inputs[:, used]
        columns = inputs.T.tocsr()
    else:
        used, columns = np.arange(width), inputs.T
    # Of two labels' weights one is the other's negative: half of them will do.
    sides = np.array([[-0.5, 0.5]], dtype=np.float32) if labels == 2 else np.eye(labels, dtype=np.float32)
    cells = used.size * len(sides)
    # Single precision halves the time; what is summed over rows and weights is summed in double.
    shares = (strength * weights / weights.mean()).astype(np.float32)
    pull = np.float32((sides[0] ** 2).sum())

    def loss(solution: Array) -> tuple[float, Array]:
        single = solution.astype(np.float32)
        kernel = single[:cells].reshape(used.size, len(sides))
        chances = softmax((inputs @ kernel + single[cells:]) @ sides)
        right = np.log(np.maximum(chances[np.arange(size), gold], 1e-30))
        value = -float((shares * right).sum(dtype=np.float64))
        value += 0.5 * float(pull * (kernel * kernel).sum(dtype=np.float64))
        chances[np.arange(size), gold] -= 1.0
        errors = (chances * shares[:, None]) @ sides.T
        gradient = columns @ errors + pull * kernel
        return value, np.concatenate([gradient.ravel(), errors.sum(axis=0)]).astype(np.float64)

    solution = _minimize(loss, np.zeros(cells + len(sides)), steps)
    found = np.zeros((width, labels))
    found[used] = solution[:cells].reshape(used.size, len(sides)) @ sides
    return found, solution[cells:] @ sides


def fit_mix(members: Sequence[Array], gold: Rows, *, weights: Array | None = None) -> tuple[Array, Array]:
    """Weights of the members' logits, m (M,), and a shift of each label, s (L,): softmax(sum m_k z_k + s).

    Fitted on rows that no member has seen, this calibrates the mixture; a little is pulled toward m = 1/M.

    Args:
        members: M arrays (N, L) of logits.
        gold: (N,).
        weights: (N,); None: all alike.
    """
    stacked = np.stack(members)
    count, size, labels = stacked.shape
    shares = np.full(size, 1.0) if weights is None else weights / weights.mean()

    def loss(solution: Array) -> tuple[float, Array]:
        mix, shift = solution[:count], solution[count:]
        chances = softmax(np.tensordot(mix, stacked, axes=1) + shift)
        right = chances[np.arange(size), gold]
        pull = mix - 1.0 / count
        value = -float(shares @ np.log(np.maximum(right, 1e-300))) + 0.5 * float(pull @ pull)
        errors = chances
        errors[np.arange(size), gold] -= 1.0
        errors *= shares[:, None]
        gradient = np.concatenate([np.tensordot(stacked, errors, axes=2) + pull, errors.sum(axis=0)])
        return value, gradient

    # A member that says more must never count for less, however few rows there are.
    bounds = [(0.0, None)] * count + [(None, None)] * labels
    start = np.concatenate([np.full(count, 1.0 / count), np.zeros(labels)])
    solution = _minimize(loss, start, 500, bounds)
    return solution[:count], solution[count:] - solution[count:].mean()


def balanced_weights(gold: Rows, labels: int, power: float) -> Array:
    """How much each row counts: 1 / (rows of its label) ** power; 1 is all labels alike, 0 all rows alike."""
    counts = np.maximum(np.bincount(gold, minlength=labels), 1)
    weights: Array = (1.0 / counts**power)[gold]
    return np.asarray(weights / weights.mean())


def _minimize(loss: Any, start: Array, steps: int, bounds: Any = None) -> Array:
    from scipy.optimize import minimize

    options = {"maxiter": steps, "maxcor": 6, "ftol": 1e-5}
    result = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return np.asarray(result.x, dtype=np.float64)
