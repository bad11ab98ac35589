"""The network of multilingual-e5-small: a BERT encoder of twelve layers, in numpy.

Devlin et al. 2019 (arXiv 1810.04805), Wang et al. 2024 (arXiv 2402.05672). Texts of one batch lie behind one
another in one matrix, so that every matrix product is made once for all of them and nothing is padded; each
attends to its own tokens only.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from malmoi.engine.embed.e5.weights import Weights, unpacked

Floats = NDArray[np.float32]

_ROWS = 128  # tokens whose inner layer is made at a time: it fits the processor's second cache then


class Network:
    """Runs the encoder.

    Args:
        weights: of the network; they stay in memory as float32, but for the table of pieces.
    """

    def __init__(self, weights: Weights) -> None:
        self._sizes = weights.sizes
        self._table = weights.table
        self._first = weights.tensors["emb.ln.w"], weights.tensors["emb.ln.b"]
        self._layers = [_Layer(weights, place) for place in range(weights.sizes.layers)]
        positions = weights.tensors["emb.pos"].reshape(-1, weights.sizes.hidden)
        # All tokens are of the first of two kinds.
        self._positions = positions + weights.tensors["emb.type"][: weights.sizes.hidden]

    def tokens(self, texts: Sequence[Sequence[int]]) -> list[Floats]:
        """What the network makes of every token: for each text (tokens, hidden).

        Args:
            texts: the ids of each, with the marks of beginning and end; no more than there are positions.
        """
        lengths = [len(text) for text in texts]
        ids = np.concatenate([np.asarray(text, dtype=np.int64) for text in texts])
        states = unpacked(self._table[ids])
        states += np.concatenate([self._positions[:length] for length in lengths])
        states = _normed(states, *self._first, self._sizes.epsilon)
        bounds = np.cumsum([0, *lengths]).tolist()
        for layer in self._layers:
            states = layer(states, bounds)
        return [states[first:last] for first, last in pairwise(bounds)]


class _Layer:
    """Attention, then two dense layers, each added to what came in and normalised."""

    def __init__(self, weights: Weights, place: int) -> None:
        sizes, tensors = weights.sizes, weights.tensors
        self._heads, self._epsilon = sizes.heads, sizes.epsilon

        def dense(*names: str, outputs: int = sizes.hidden) -> tuple[Floats, Floats]:
            """Weights as (inputs, outputs), and what is added."""
            rows = [tensors[f"l{place}.{name}.w"].reshape(outputs, -1) for name in names]
            added = [tensors[f"l{place}.{name}.b"] for name in names]
            # Small matrices are multiplied twice as fast when the inputs are the rows.
            return np.ascontiguousarray(np.concatenate(rows).T), np.concatenate(added)

        def norm(name: str) -> tuple[Floats, Floats]:
            return tensors[f"l{place}.{name}.w"], tensors[f"l{place}.{name}.b"]

        self._query, self._query_added = dense("q", "k", "v")
        self._out, self._out_added = dense("ao")
        self._inner, self._inner_added = dense("fi", outputs=sizes.inner)
        self._outer, self._outer_added = dense("fo")
        self._after_attention = norm("aln")
        self._after_dense = norm("oln")

    def __call__(self, states: Floats, bounds: Sequence[int]) -> Floats:
        attended = self._attend(states @ self._query + self._query_added, bounds)
        attended = attended @ self._out
        attended += self._out_added
        attended += states
        states = _normed(attended, *self._after_attention, self._epsilon)
        dense = np.empty_like(states)
        for start in range(0, len(states), _ROWS):
            inner = states[start : start + _ROWS] @ self._inner
            inner += self._inner_added
            np.matmul(_gelu(inner), self._outer, out=dense[start : start + _ROWS])
        dense += self._outer_added
        dense += states
        return _normed(dense, *self._after_dense, self._epsilon)

    def _attend(self, triples: Floats, bounds: Sequence[int]) -> Floats:
        """Queries, keys and values, (T, 3 * hidden), to what each token takes from its text."""
        tokens, width = triples.shape[0], triples.shape[1] // 3
        size = width // self._heads
        taken = np.empty((tokens, width), dtype=np.float32)
        for first, last in pairwise(bounds):
            own = triples[first:last].reshape(last - first, 3, self._heads, size)
            queries, keys, values = (np.ascontiguousarray(own[:, one].swapaxes(0, 1)) for one in range(3))
            queries *= np.float32(1 / sqrt(size))
            scores = queries @ keys.swapaxes(1, 2)
            scores -= scores.max(axis=-1, keepdims=True)
            np.exp(scores, out=scores)
            mixed = scores @ values
            mixed /= scores.sum(axis=-1, keepdims=True)
            taken[first:last] = mixed.swapaxes(0, 1).reshape(last - first, width)
        return taken


def _normed(states: Floats, weight: Floats, added: Floats, epsilon: float) -> Floats:
    """Layer normalisation (Ba et al. 2016), in place."""
    states -= states.mean(axis=-1, keepdims=True)
    spread = np.einsum("ij,ij->i", states, states)[:, None] / np.float32(states.shape[1])
    states /= np.sqrt(spread + np.float32(epsilon))
    states *= weight
    states += added
    return states


def _gelu(values: Floats) -> Floats:
    """Hendrycks and Gimpel 2016 (arXiv 1606.08415), by its approximation with tanh: at most 0.001 off."""
    inner = values * values
    inner *= np.float32(0.044715)
    inner += np.float32(1)
    inner *= values
    inner *= np.float32(sqrt(2 / np.pi))
    np.tanh(inner, out=inner)
    inner += np.float32(1)
    inner *= values
    inner *= np.float32(0.5)
    return inner
