"""A learned score of quality: is this text more like the good examples or more like the bad ones?

    x_j = log(1 + c_j) / |log(1 + c)|          c_j: how often n-gram bucket j occurs in the text's sample
    score = sigmoid(a (w . x + b) + c)

The n-grams are of 2 to 4 characters, hashed into 2^18 buckets, so that there is no vocabulary and any
language goes; w is fitted by logistic regression with AdaGrad (Duchi et al. 2011), a and c on texts held out
from that (Platt 1999), so that of the texts with score 0.8 about 80 % are good. Cost: about 15 MB/s on one
core, for it reads at most 3,000 characters of a text. The result depends on the texts, their order, and the
seed.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from malmoi.core.errors import InvalidInput
from malmoi.core.files import write_bytes, write_json
from malmoi.engine.classify.calibration import calibration_error, fit_platt, sigmoid
from malmoi.engine.classify.ngrams import codes_of, counted, hashed_ngrams
from malmoi.factory.corpus.documents import Document

Floats = NDArray[np.float32]
Features = tuple[NDArray[np.int64], Floats]
"""Buckets, and their values; the squares of the values sum to 1."""
ORDERS = (2, 3, 4)
WINDOW = 1000
SAMPLE = 3 * WINDOW + 2
NUM_BUCKETS = 6
"""Ordinal buckets 0 to 5, as raters of usefulness use them."""
FORMAT = 1


class QualitySettings(BaseModel):
    """How a scorer is trained."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    bits: int = Field(18, ge=8, le=24)
    """2^bits n-gram buckets."""
    epochs: int = Field(5, ge=1, le=100)
    """Passes over the examples."""
    learning_rate: float = Field(0.5, gt=0)
    """AdaGrad's first step."""
    l2: float = Field(1e-6, ge=0)
    """Pull of the weights toward zero."""
    max_examples: int = Field(20_000, ge=10)
    """Examples of each side; more are left out, evenly."""
    held_out: float = Field(0.2, gt=0, lt=0.9)
    """Share of the examples kept from training: half calibrates the score, half measures it."""


class QualityReport(BaseModel):
    """How good a scorer is on texts that it has not seen."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    good: int
    """Good examples."""
    bad: int
    """Bad examples."""
    measured: int
    """Texts that the figures below were measured on."""
    accuracy: float
    """Share on the right side of 0.5, good and bad texts weighed alike."""
    auc: float
    """Chance that a good text scores above a bad one."""
    calibration_error: float
    """Mean distance between score and share of good texts, over ten classes of the score."""


class QualityScorer:
    """A trained scorer.

    Args:
        weights: (2**bits,) float32.
        bias: added to the product of weights and features.
        scale: a of the calibration.
        shift: c of the calibration.
        report: its figures.
    """

    def __init__(
        self, weights: Floats, bias: float, scale: float, shift: float, report: QualityReport
    ) -> None:
        self.weights = weights
        self.bias = bias
        self.scale = scale
        self.shift = shift
        self.report = report
        self._bits = int(weights.size).bit_length() - 1

    def score(self, text: str) -> float:
        """The chance that `text` is good, in [0, 1]; 0 for a text of less than two characters."""
        buckets, values = features(text, self._bits)
        if not buckets.size:
            return 0.0
        margin = float(self.weights[buckets] @ values) + self.bias
        return float(sigmoid(self.scale * margin + self.shift))

    def save(self, folder: Path) -> None:
        """Write `quality.safetensors` and `quality.json` into `folder`.

        Raises:
            DiskFull: there is no room.
        """
        from safetensors.numpy import save

        write_bytes(folder / "quality.safetensors", save({"weights": self.weights}))
        values = {
            "format": FORMAT,
            "bias": self.bias,
            "scale": self.scale,
            "shift": self.shift,
            "report": self.report.model_dump(),
        }
        write_json(folder / "quality.json", values)

    @classmethod
    def load(cls, folder: Path) -> "QualityScorer":
        """Read what `save` wrote.

        Raises:
            InvalidInput: it is not there, or is not a scorer.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            values = json.loads((folder / "quality.json").read_bytes())
            weights = load((folder / "quality.safetensors").read_bytes())["weights"]
            if values["format"] != FORMAT or weights.ndim != 1 or weights.dtype != np.float32:
                raise ValueError(f"its format is {values['format']}, not {FORMAT}")
            if weights.size < 256 or weights.size & (weights.size - 1):
                raise ValueError(f"{weights.size} weights are no power of two")
            report = QualityReport.model_validate(values["report"])
            bias, scale, shift = (float(values[name]) for name in ("bias", "scale", "shift"))
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise InvalidInput(
                f"{folder} holds no quality scorer that can be read: {error}.", fix="Train it again."
            ) from error
        return cls(weights, bias, scale, shift, report)


def bucket(score: float) -> int:
    """The ordinal bucket of a score: 0 (worst) to 5 (best), equal shares of [0, 1]."""
    return min(NUM_BUCKETS - 1, int(score * NUM_BUCKETS))


def features(text: str, bits: int) -> Features:
    """The n-gram buckets of a text's sample, sorted, and their values."""
    sample = text if len(text) <= SAMPLE else _sample(text)
    sample = " ".join(sample.lower().split())
    return counted(hashed_ngrams(codes_of(sample), ORDERS, bits))


def _sample(text: str) -> str:
    middle = (len(text) - WINDOW) // 2
    return f"{text[:WINDOW]} {text[middle : middle + WINDOW]} {text[-WINDOW:]}"


def train_scorer(
    good: Iterable[str], bad: Iterable[str], *, seed: int, settings: QualitySettings | None = None
) -> QualityScorer:
    """Fit a scorer to examples.

    Args:
        good: texts that should score high.
        bad: texts that should score low.
        seed: of the order of training and of what is held out.
        settings: how it is trained.

    Raises:
        InvalidInput: a side has fewer than 20 texts.
    """
    settings = settings or QualitySettings()
    sides = [_chosen(texts, settings.max_examples) for texts in (bad, good)]
    for name, texts in zip(("bad", "good"), sides, strict=True):
        if len(texts) < 20:
            raise InvalidInput(
                f"the quality scorer has {len(texts)} {name} examples and needs at least 20.",
                fix="Name more files or sources.",
            )
    examples = [features(text, settings.bits) for texts in sides for text in texts]
    labels = np.repeat(np.array([0.0, 1.0]), [len(texts) for texts in sides])
    rng = np.random.default_rng(seed)
    training, calibration, test = _split(labels, settings.held_out, rng)
    weights, bias = _fit(examples, labels, training, settings, rng)

    def margins(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.array([float(weights[examples[row][0]] @ examples[row][1]) + bias for row in rows])

    scale, shift = fit_platt(margins(calibration), labels[calibration])
    scores = sigmoid(scale * margins(test) + shift)
    report = measure(scores, labels[test], good=len(sides[1]), bad=len(sides[0]))
    return QualityScorer(weights, bias, scale, shift, report)


def _chosen(texts: Iterable[str], most: int) -> list[str]:
    """At most `most` texts, spread evenly over all of them, holding at most twice as many at a time."""
    kept: list[str] = []
    step = 1
    for number, text in enumerate(texts):
        if number % step == 0 and not text.isspace() and text:
            kept.append(text if len(text) <= SAMPLE else _sample(text))
            if len(kept) >= 2 * most:
                kept, step = kept[::2], step * 2
    return kept[:: max(1, -(-len(kept) // most))]


def _split(
    labels: NDArray[np.float64], held_out: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Rows for training, calibration and measuring, with the same share of both sides in each."""
    parts: list[list[NDArray[np.int64]]] = [[], [], []]
    for label in (0.0, 1.0):
        rows = rng.permutation(np.flatnonzero(labels == label))
        held = max(4, round(held_out * rows.size))
        parts[0].append(rows[held:])
        parts[1].append(rows[: held // 2])
        parts[2].append(rows[held // 2 : held])
    training, calibration, test = (np.concatenate(part) for part in parts)
    return training, calibration, test


def _fit(
    examples: Sequence[Features],
    labels: NDArray[np.float64],
    rows: NDArray[np.int64],
    settings: QualitySettings,
    rng: np.random.Generator,
) -> tuple[Floats, float]:
    """Logistic regression, one example at a time; the smaller side counts as much as the larger one."""
    weights = np.zeros(1 << settings.bits, dtype=np.float32)
    squares = np.full(1 << settings.bits, 1e-6, dtype=np.float32)
    bias, bias_square = 0.0, 1e-6
    good_share = float(labels[rows].mean())
    for _ in range(settings.epochs):
        for row in rng.permutation(rows):
            buckets, values = examples[row]
            if not buckets.size:
                continue
            label = labels[row]
            old = weights[buckets]
            error = float(sigmoid(float(old @ values) + bias) - label)
            error *= 0.5 / (good_share if label else 1.0 - good_share)
            gradient = np.float32(error) * values + np.float32(settings.l2) * old
            squares[buckets] += gradient * gradient
            weights[buckets] = old - np.float32(settings.learning_rate) * gradient / np.sqrt(squares[buckets])
            bias_square += error * error
            bias -= settings.learning_rate * error / bias_square**0.5
    return weights, bias


def measure(
    scores: NDArray[np.float64], labels: NDArray[np.float64], *, good: int, bad: int
) -> QualityReport:
    """A scorer's figures from scores (N,) and labels (N,) of texts held out.

    Args:
        scores: in [0, 1].
        labels: 1 for good.
        good: good examples in all.
        bad: bad examples in all.
    """
    is_good = labels > 0
    sides = float((scores[is_good] >= 0.5).mean()), float((scores[~is_good] < 0.5).mean())
    higher = (scores[is_good][:, None] > scores[~is_good][None, :]).mean()
    equal = (scores[is_good][:, None] == scores[~is_good][None, :]).mean()
    weight = np.where(is_good, 0.5 / is_good.sum(), 0.5 / (~is_good).sum())
    return QualityReport(
        good=good,
        bad=bad,
        measured=int(labels.size),
        accuracy=round(sum(sides) / 2, 4),
        auc=round(float(higher + equal / 2), 4),
        calibration_error=round(calibration_error(scores, labels, weight), 4),
    )


class ScoreQuality:
    """The change that writes the score into each document, and counts the ordinal buckets."""

    name = "score"

    def __init__(self, scorer: QualityScorer) -> None:
        self.scorer = scorer

    def change(self, document: Document) -> tuple[Document, Mapping[str, int]]:
        """The document with its quality."""
        score = self.scorer.score(document.text)
        return replace(document, quality=score), {f"bucket_{bucket(score)}": 1}


class QualityThreshold:
    """The rule that keeps documents with a score of at least `lowest`; those without one are kept.

    Args:
        lowest: in [0, 1].
        languages: only these are judged; empty: all.
    """

    name = "quality"

    def __init__(self, lowest: float, languages: tuple[str, ...] = ()) -> None:
        self.lowest = lowest
        self.languages = frozenset(languages)

    def judge(self, document: Document) -> str | None:
        """`low_quality`, or None."""
        if document.quality is None or (self.languages and document.language not in self.languages):
            return None
        return "low_quality" if document.quality < self.lowest else None
