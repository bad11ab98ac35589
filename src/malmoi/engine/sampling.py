"""Choosing the next token from a vector of logits. Numpy only; pure functions and one small state.

Order of the steps, as in transformers: penalties, bias, temperature, top-k, top-p, min-p, draw. V is the size
of the vocabulary. The draw is one uniform number a token from PCG64, so a seed gives the same text on every
machine that computes the same logits.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import InvalidInput
from malmoi.engine.base import Sampling

Logits = NDArray[np.float32]
Floats = NDArray[np.float64]
Ids = NDArray[np.int64]


def with_defaults(sampling: Sampling, defaults: Sampling) -> Sampling:
    """`sampling`, with the values of `defaults` where it has None."""
    missing = {
        field.name: getattr(defaults, field.name)
        for field in fields(Sampling)
        if getattr(sampling, field.name) is None
    }
    return replace(sampling, **missing)


def log_softmax(logits: Logits) -> Floats:
    """Natural-log probabilities, (V,) -> (V,)."""
    wide = logits.astype(np.float64)
    wide -= wide.max()
    return np.asarray(wide - np.log(np.exp(wide).sum()), dtype=np.float64)


def top_logprobs(logprobs: Floats, k: int) -> list[tuple[int, float]]:
    """The `k` likeliest ids with their log-probability, likeliest first."""
    if k <= 0:
        return []
    best = _best(logprobs, k)
    return [(int(token), float(logprobs[token])) for token in best]


def penalise(
    logits: Logits,
    *,
    seen: Iterable[int],
    generated: Mapping[int, int],
    repetition: float = 1.0,
    presence: float = 0.0,
    frequency: float = 0.0,
) -> Logits:
    """Logits made lower for tokens that were there before; the input is not changed.

    Args:
        logits: (V,).
        seen: ids of prompt and answer; the repetition penalty (Keskar et al. 2019) divides what is above zero
            and multiplies what is below.
        generated: how often each id was generated; presence and frequency (OpenAI) are subtracted.
        repetition: 1 turns it off.
        presence: once for every token that was generated.
        frequency: for every time that it was generated.
    """
    logits = logits.copy()
    if repetition != 1.0:
        ids = np.fromiter(set(seen), dtype=np.int64)
        old = logits[ids]
        logits[ids] = np.where(old > 0, old / repetition, old * repetition)
    if (presence or frequency) and generated:
        ids = np.fromiter(generated.keys(), dtype=np.int64)
        counts = np.fromiter(generated.values(), dtype=np.float32)
        logits[ids] -= np.float32(presence) + np.float32(frequency) * counts
    return logits


def candidates(
    logits: Logits, *, temperature: float, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0
) -> tuple[Ids, Floats]:
    """The ids that may be drawn, likeliest first, and their probabilities, which sum to 1.

    Args:
        logits: (V,).
        temperature: above 0.
        top_k: keep so many; 0: all.
        top_p: keep the fewest whose probabilities reach this sum (Holtzman et al. 2020); at least one.
        min_p: drop what is less likely than this share of the likeliest (Nguyen et al. 2024).
    """
    size = min(top_k, len(logits)) if top_k > 0 else len(logits)
    ids = _best(logits.astype(np.float64), size)
    scaled = logits[ids].astype(np.float64) / temperature
    probs = np.exp(scaled - scaled[0])
    probs /= probs.sum()
    if top_p < 1.0:
        before = np.cumsum(probs) - probs  # the sum of all likelier ones
        keep = before < top_p
        keep[0] = True
        ids, probs = ids[keep], probs[keep]
        probs /= probs.sum()
    if min_p > 0.0:
        keep = probs >= min_p * probs[0]
        ids, probs = ids[keep], probs[keep]
        probs /= probs.sum()
    return ids, probs


class Chooser:
    """Chooses the tokens of one answer: the sampling, its random numbers, and what was written so far."""

    def __init__(self, sampling: Sampling, prompt_ids: Iterable[int], *, vocab_size: int) -> None:
        self._sampling = sampling
        self._random = np.random.Generator(np.random.PCG64(sampling.seed))
        self._seen = {token for token in prompt_ids if 0 <= token < vocab_size}
        self._generated: Counter[int] = Counter()
        for token in sampling.logit_bias:
            if not 0 <= token < vocab_size:
                raise InvalidInput(f"there is no token {token}.", field="logit_bias")

    def choose(self, logits: Logits, *, forbidden: Iterable[int] = ()) -> int:
        """The next token for logits (V,); it is remembered. `forbidden` ids are never chosen."""
        sampling = self._sampling
        logits = penalise(
            logits,
            seen=self._seen,
            generated=self._generated,
            repetition=_or(sampling.repetition_penalty, 1.0),
            presence=_or(sampling.presence_penalty, 0.0),
            frequency=_or(sampling.frequency_penalty, 0.0),
        )
        for token, bias in sampling.logit_bias.items():
            logits[token] += np.float32(bias)
        for token in forbidden:
            logits[token] = -np.inf
        token = self._draw(logits)
        self._seen.add(token)
        self._generated[token] += 1
        return token

    def _draw(self, logits: Logits) -> int:
        temperature = _or(self._sampling.temperature, 1.0)
        if temperature <= 0.0:
            return int(np.argmax(logits))
        ids, probs = candidates(
            logits,
            temperature=temperature,
            top_k=int(_or(self._sampling.top_k, 0)),
            top_p=_or(self._sampling.top_p, 1.0),
            min_p=_or(self._sampling.min_p, 0.0),
        )
        place = int(np.searchsorted(np.cumsum(probs), self._random.random(), side="right"))
        return int(ids[min(place, len(ids) - 1)])


def _best(values: Floats, k: int) -> Ids:
    """The places of the `k` largest values, largest first; of equals the first place first."""
    if k < len(values):
        # The k-th largest value; with all that equal it, so that ties are cut by place and not by chance.
        edge = np.partition(values, len(values) - k)[len(values) - k]
        places = np.flatnonzero(values >= edge)
    else:
        places = np.arange(len(values))
    order = np.argsort(-values[places], kind="stable")[:k]
    return places[order].astype(np.int64)


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
