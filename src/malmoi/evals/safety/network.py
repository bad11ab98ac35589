"""A small network on sentence vectors: relu(e V + v) U + u, several of them averaged.

Plain numpy: AdamW (Loshchilov and Hutter 2019) with dropout on inputs and hidden units; the average of K
networks is one network of K times the hidden units. N rows, D numbers a vector, H hidden units, L labels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
BATCH = 64
SCALE = 4.0
"""Vectors have length one; their numbers are too small to learn from in a few steps."""


@dataclass(frozen=True, slots=True)
class Network:
    """`hidden` (D, H), `hidden_bias` (H,), `out` (H, L), `out_bias` (L,)."""

    hidden: Floats
    hidden_bias: Floats
    out: Floats
    out_bias: Floats

    def logits(self, vectors: Floats) -> Floats:
        """(N, L) of vectors (N, D)."""
        units = np.maximum(vectors @ self.hidden + self.hidden_bias, 0)
        result: Floats = units @ self.out + self.out_bias
        return result


def fit_networks(
    vectors: Floats,
    gold: Rows,
    labels: int,
    *,
    weights: NDArray[np.float64],
    units: int,
    networks: int,
    epochs: int,
    seed: int,
) -> Network:
    """Fit several networks from different starts, and average them.

    Args:
        vectors: (N, D).
        gold: (N,) in [0, labels).
        labels: L.
        weights: (N,) how much each row counts.
        units: hidden units of one network.
        networks: how many.
        epochs: passes over the rows.
        seed: of starts, order and dropout.
    """
    members = [
        _fit(
            vectors * np.float32(SCALE),
            gold,
            labels,
            weights,
            units,
            epochs,
            np.random.default_rng([seed, n]),
        )
        for n in range(networks)
    ]
    return Network(
        np.concatenate([member[0] for member in members], axis=1) * np.float32(SCALE),
        np.concatenate([member[1] for member in members]),
        np.concatenate([member[2] for member in members]) * np.float32(1 / networks),
        np.asarray(np.stack([member[3] for member in members]).mean(axis=0), dtype=np.float32),
    )


def _fit(
    vectors: Floats,
    gold: Rows,
    labels: int,
    weights: NDArray[np.float64],
    units: int,
    epochs: int,
    rng: np.random.Generator,
) -> list[Floats]:
    size, width = vectors.shape
    shares = (weights / weights.mean()).astype(np.float32)
    parts = [
        rng.normal(0, 3 * np.sqrt(2 / width), (width, units)).astype(np.float32),
        np.zeros(units, dtype=np.float32),
        rng.normal(0, np.sqrt(1 / units), (units, labels)).astype(np.float32),
        np.zeros(labels, dtype=np.float32),
    ]
    first = [np.zeros_like(part) for part in parts]
    second = [np.zeros_like(part) for part in parts]
    total = epochs * -(-size // BATCH)
    step = 0
    for _ in range(epochs):
        order = rng.permutation(size)
        for begin in range(0, size, BATCH):
            rows = order[begin : begin + BATCH]
            step += 1
            rate = 2e-3 * (1 - (step - 1) / total)
            gradients = _gradients(parts, vectors[rows], gold[rows], shares[rows], rng)
            for number, gradient in enumerate(gradients):
                first[number] += np.float32(0.1) * (gradient - first[number])
                second[number] += np.float32(0.001) * (gradient**2 - second[number])
                slope = first[number] / (1 - 0.9**step)
                change = slope / (np.sqrt(second[number] / (1 - 0.999**step)) + 1e-8)
                decay = 0.01 if parts[number].ndim == 2 else 0.0
                parts[number] -= (rate * (change + decay * parts[number])).astype(np.float32)
    return parts


def _gradients(
    parts: list[Floats], inputs: Floats, gold: Rows, shares: Floats, rng: np.random.Generator
) -> list[Floats]:
    """Gradients of a batch's mean weighted cross-entropy, a tenth of inputs and 0.3 of units being off."""
    hidden, hidden_bias, out, out_bias = parts
    inputs = inputs * _kept(inputs.shape, 0.1, rng)
    units = np.maximum(inputs @ hidden + hidden_bias, 0)
    mask = _kept(units.shape, 0.3, rng)
    shown = units * mask
    logits = shown @ out + out_bias
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    errors = chances / chances.sum(axis=1, keepdims=True)
    errors[np.arange(len(gold)), gold] -= 1
    errors *= shares[:, None] / np.float32(len(gold))
    back = (errors @ out.T) * mask * (units > 0)
    return [inputs.T @ back, back.sum(axis=0), shown.T @ errors, errors.sum(axis=0)]


def _kept(shape: tuple[int, ...], share: float, rng: np.random.Generator) -> Floats:
    """Dropout: zero for a share of the places, the others larger by as much."""
    return ((rng.random(shape, dtype=np.float32) > share) / np.float32(1 - share)).astype(np.float32)
