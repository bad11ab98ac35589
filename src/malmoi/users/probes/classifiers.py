"""Classifiers that are small enough to say something about their input: logistic regression, and one layer.

Both are found by L-BFGS over all users at once, in numpy, so that a probe needs no torch and has no learning
rate. Campaigns (users/campaigns.py) are the same logistic regression. N users, D features, H hidden values, K
classes.

    linear   p = softmax(x W + b)
    mlp      p = softmax(tanh(x V + c) W + b)
    loss     mean cross-entropy + decay / 2 (|W|^2 + |V|^2)
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
ProbeKind = Literal["linear", "mlp"]
HIDDEN = 32
DECAYS = (1e-4, 1e-3, 1e-2, 1e-1)
"""Strengths that are tried; the users that decide are no users of the test."""
_STEPS = {"linear": 300, "mlp": 150}


@dataclass(frozen=True)
class Classifier:
    """A fitted probe.

    Attributes:
        kind: linear or mlp.
        decay: the strength that was chosen.
        mean: of the features, (D,).
        spread: their deviation, (D,).
        weights: all weights in one row.
        classes: how many.
    """

    kind: ProbeKind
    decay: float
    mean: Array
    spread: Array
    weights: Array
    classes: int

    def chances(self, features: Array) -> Array:
        """Probability of each class, (N, K)."""
        x = (features - self.mean) / self.spread
        return np.exp(_log_chances(self.kind, self.weights, x, self.classes)[0])


def fit_classifier(
    kind: ProbeKind, features: Array, labels: NDArray[np.int64], *, classes: int, seed: int
) -> Classifier:
    """Choose the decay on a quarter of the users, then fit on all of them.

    Args:
        kind: linear or mlp.
        features: (N, D), finite; put to mean 0 and deviation 1 here.
        labels: classes from 0, (N,).
        classes: K.
        seed: of the quarter and the first weights.
    """
    from malmoi.users.probes.splitting import stratified

    mean, spread = features.mean(0), features.std(0)
    spread = np.where(spread > 1e-9, spread, 1.0)
    x = (features - mean) / spread
    fitting, choosing = stratified(labels, 0.25, seed)
    targets = np.eye(classes)[labels]
    losses = []
    for decay in DECAYS:
        weights = _minimum(kind, x[fitting], targets[fitting], decay, seed)
        chances = _log_chances(kind, weights, x[choosing], classes)[0]
        losses.append(-(targets[choosing] * chances).sum(1).mean())
    decay = DECAYS[int(np.argmin(losses))]
    return Classifier(kind, decay, mean, spread, _minimum(kind, x, targets, decay, seed), classes)


def fit_logistic(features: Array, chances: Array, *, penalty: float) -> tuple[Array, float]:
    """Weights w, (D,), and b of the least sum of log losses of sigmoid(x w + b), plus penalty / 2 |w|^2.

    Args:
        features: (N, D).
        chances: of a yes, (N,), from 0 to 1.
        penalty: of the weights; b is free.
    """
    # Of two classes the difference counts; at the minimum W is (-w / 2, w / 2), which has half of |w|^2.
    targets = np.stack([1.0 - chances, chances], axis=1)
    found = _minimum("linear", features, targets, 2.0 * penalty / len(features), 0)
    w, b, _, _ = _parts("linear", found, features.shape[1], 2)
    return w[:, 1] - w[:, 0], float(b[1] - b[0])


def _minimum(kind: ProbeKind, x: Array, targets: Array, decay: float, seed: int) -> Array:
    from scipy.optimize import minimize

    found = minimize(
        loss_of(kind, x, targets, decay),
        first_weights(kind, x.shape[1], targets.shape[1], seed),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _STEPS[kind]},
    )
    return np.asarray(found.x)


def first_weights(kind: ProbeKind, features: int, classes: int, seed: int) -> Array:
    """Zeros for linear, whose loss has one minimum; small random numbers for mlp."""
    if kind == "linear":
        return np.zeros((features + 1) * classes)
    random = np.random.default_rng([seed, features])
    hidden = random.normal(0, features**-0.5, (features, HIDDEN))
    out = random.normal(0, HIDDEN**-0.5, (HIDDEN, classes))
    return np.concatenate([hidden.ravel(), np.zeros(HIDDEN), out.ravel(), np.zeros(classes)])


def loss_of(
    kind: ProbeKind, x: Array, targets: Array, decay: float
) -> Callable[[Array], tuple[float, Array]]:
    """The loss and its gradient as a function of the weights; targets are chances of the classes, (N, K)."""
    classes = targets.shape[1]

    def loss(weights: Array) -> tuple[float, Array]:
        logs, hidden = _log_chances(kind, weights, x, classes)
        wrong = (np.exp(logs) - targets) / len(x)
        value = -(targets * logs).sum(1).mean()
        w, _, v, _ = _parts(kind, weights, x.shape[1], classes)
        value += 0.5 * decay * ((w * w).sum() + (v * v).sum())
        below = x if kind == "linear" else hidden
        parts = [(below.T @ wrong + decay * w).ravel(), wrong.sum(0)]
        if kind == "mlp":
            back = (wrong @ w.T) * (1.0 - hidden * hidden)
            parts = [(x.T @ back + decay * v).ravel(), back.sum(0), *parts]
        return float(value), np.concatenate(parts)

    return loss


def _log_chances(kind: ProbeKind, weights: Array, x: Array, classes: int) -> tuple[Array, Array]:
    """Log probabilities, (N, K), and the hidden values, (N, H)."""
    w, b, v, c = _parts(kind, weights, x.shape[1], classes)
    hidden = x if kind == "linear" else np.tanh(x @ v + c)
    logits = hidden @ w + b
    logits -= logits.max(1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(1, keepdims=True)), hidden


def _parts(kind: ProbeKind, weights: Array, features: int, classes: int) -> tuple[Array, Array, Array, Array]:
    """W, b, V, c; V and c are empty for linear."""
    if kind == "linear":
        return weights[:-classes].reshape(features, classes), weights[-classes:], np.zeros(0), np.zeros(0)
    first, second = features * HIDDEN, features * HIDDEN + HIDDEN
    v, c = weights[:first].reshape(features, HIDDEN), weights[first:second]
    return weights[second:-classes].reshape(HIDDEN, classes), weights[-classes:], v, c
