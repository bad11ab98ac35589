"""Fit one question: members by cross-validation, their mixture, decisions, and figures on texts held out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from malmoi.engine.classify.base import OperatingPoint
from malmoi.engine.classify.calibration import softmax
from malmoi.engine.classify.folder import Tensors
from malmoi.evals.safety.decide import find_decision, find_thresholds, measured_point
from malmoi.evals.safety.figures import macro_f1
from malmoi.evals.safety.gate import Gate, find_gate, gated
from malmoi.evals.safety.softmax import balanced_weights, fit_mix, fit_softmax

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
Member = Literal["ngrams", "encoder"]


class FitSettings(BaseModel):
    """How members are fitted."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    strength: float = Field(1.0, gt=0)
    """C of the n-gram model: larger is less regularised."""
    balance: float = Field(1.0, ge=0, le=1)
    """1: all labels count alike in training; 0: all texts do."""
    steps: int = Field(60, ge=1)
    """Most steps of L-BFGS."""
    encoder_strength: float = Field(0.3, gt=0)
    """C of the linear model on the sentence encoder."""
    folds: int = Field(5, ge=2)
    """Parts of the cross-validation that mixes and calibrates the members."""
    encoder_gain: float = Field(0.005, ge=0)
    """Macro-F1 out of fold that members with the encoder must add to n-grams alone to be used."""
    most_lost: float = Field(0.01, ge=0, le=1)
    """Recall out of fold that an operating point may lose by texts that do without the encoder."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is to be learned.

    `gold` (N,); `fold` (N,): -1 held out, else its part of the cross-validation, `folds` for texts that are
    always trained on and never measured. `ngrams` is a CSR matrix (N, F), `floor` the same for the floor,
    `vectors` (N, D), or None where the encoder is not to be used, as for kinds that have no harmless label.
    """

    labels: tuple[str, ...]
    harmless: str | None
    gold: Rows
    fold: Rows
    ngrams: Any
    floor: Any
    vectors: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True)
class Fitted:
    """A question that was learned; chances are those of the texts held out, (N_held, L)."""

    members: tuple[Member, ...]
    gate: Gate | None
    tensors: Tensors
    decision: Array
    points: tuple[OperatingPoint, ...]
    chances: Array
    floor_chances: Array
    floor_decision: Array
    tried: Mapping[str, float]
    """Members -> macro-F1 out of fold."""


Fit = Callable[[Rows], tuple[Callable[[Rows], Array], Tensors]]


def fit_question(problem: Problem, settings: FitSettings, note: Callable[[], None]) -> Fitted:
    """Fit a question.

    Args:
        problem: texts and labels.
        settings: how.
        note: called after every fit of a member: `fits(problem, settings)` times.
    """
    makers = _makers(problem, settings)
    inside = np.flatnonzero((problem.fold >= 0) & (problem.fold < settings.folds))
    held = np.flatnonzero(problem.fold < 0)
    trained = np.flatnonzero(problem.fold >= 0)
    unseen = {name: np.zeros((problem.gold.size, len(problem.labels))) for name in makers}
    for name, fit in makers.items():
        for fold in range(settings.folds):
            rows = inside[problem.fold[inside] == fold]
            if rows.size:
                unseen[name][rows] = fit(trained[problem.fold[trained] != fold])[0](rows)
            note()
    gold = problem.gold[inside]
    candidates: list[tuple[Member, ...]] = [("ngrams",)]
    if problem.vectors is not None:
        candidates.append(("ngrams", "encoder"))
    mixtures = {each: fit_mix([unseen[name][inside] for name in each], gold) for each in candidates}
    tried = {}
    for each in candidates:
        chances = _mixed(unseen, inside, each, mixtures[each])
        tried[each] = macro_f1(
            (chances * find_decision(chances, gold)).argmax(axis=1), gold, len(problem.labels)
        )
    light = candidates[0]
    members = max(candidates, key=lambda each: tried[each] - settings.encoder_gain * (each != light))
    floor = fit_mix([unseen["floor"][inside]], gold)
    final: dict[str, Array] = {}
    tensors: Tensors = {}
    for name in (*members, "floor"):
        predict, numbers = makers[name](trained)
        final[name] = np.zeros((problem.gold.size, len(problem.labels)))
        if held.size:
            final[name][held] = predict(held)
        if name != "floor":
            tensors |= numbers
        note()
    chances = _mixed(unseen, inside, members, mixtures[members])
    result = _mixed(final, held, members, mixtures[members])
    tensors |= _mixture_tensors(mixtures[members], len(problem.labels))
    gate = None
    if members != light and problem.harmless is not None:
        column = problem.labels.index(problem.harmless)
        cheap = _mixed(unseen, inside, light, mixtures[light])
        gate = find_gate(cheap, chances, gold, column, settings.most_lost)
        chances = gated(cheap, chances, column, gate.bound)
        result = gated(_mixed(final, held, light, mixtures[light]), result, column, gate.bound)
        tensors |= _mixture_tensors(mixtures[light], len(problem.labels), "light_")
    floor_decision = find_decision(_mixed(unseen, inside, ("floor",), floor), gold)
    return Fitted(
        members,
        gate,
        tensors,
        find_decision(chances, gold),
        _points(problem, chances, gold, result, problem.gold[held]),
        result,
        _mixed(final, held, ("floor",), floor),
        floor_decision,
        {" + ".join(each): round(value, 4) for each, value in tried.items()},
    )


def fits(has_encoder: bool, settings: FitSettings) -> int:
    """How many members `fit_question` fits at most."""
    return (2 + has_encoder) * (settings.folds + 1)


def _makers(problem: Problem, settings: FitSettings) -> dict[str, Fit]:
    """For each member a function: rows to train on -> (rows -> logits, its tensors)."""

    def linear(matrix: Any) -> Fit:
        def fit(rows: Rows) -> tuple[Callable[[Rows], Array], Tensors]:
            weights = balanced_weights(problem.gold[rows], len(problem.labels), settings.balance)
            kernel, bias = fit_softmax(
                matrix[rows],
                problem.gold[rows],
                len(problem.labels),
                strength=settings.strength,
                weights=weights,
                steps=settings.steps,
            )
            # As it will be read again from the file.
            stored: Tensors = {"ngrams": kernel.astype(np.float16), "ngrams_bias": bias.astype(np.float32)}
            rounded = stored["ngrams"].astype(np.float32)
            return lambda rows: np.asarray(matrix[rows] @ rounded + stored["ngrams_bias"], np.float64), stored

        return fit

    def line(vectors: NDArray[np.float32]) -> Fit:
        def fit(rows: Rows) -> tuple[Callable[[Rows], Array], Tensors]:
            kernel, bias = fit_softmax(
                vectors[rows],
                problem.gold[rows],
                len(problem.labels),
                strength=settings.encoder_strength,
                weights=balanced_weights(problem.gold[rows], len(problem.labels), settings.balance),
                steps=settings.steps,
            )
            stored: Tensors = {
                "encoder": kernel.astype(np.float16),
                "encoder_bias": bias.astype(np.float32),
            }
            return lambda rows: vectors[rows] @ kernel + bias, stored

        return fit

    makers = {"floor": linear(problem.floor), "ngrams": linear(problem.ngrams)}
    if problem.vectors is not None:
        makers["encoder"] = line(problem.vectors)
    return makers


def _mixture_tensors(mixture: tuple[Array, Array], labels: int, kind: str = "") -> Tensors:
    mix, shift = mixture
    return {
        f"{kind}mix": np.repeat(mix[:, None], labels, axis=1).astype(np.float32),
        f"{kind}shift": shift.astype(np.float32),
    }


def _mixed(
    logits: Mapping[str, Array], rows: Rows, members: Sequence[str], mixture: tuple[Array, Array]
) -> Array:
    mix, shift = mixture
    whole = sum(weight * logits[name][rows] for weight, name in zip(mix, members, strict=True))
    return np.asarray(softmax(whole + shift))


def _points(
    problem: Problem, chances: Array, gold: Rows, held_chances: Array, held_gold: Rows
) -> tuple[OperatingPoint, ...]:
    """Operating points chosen out of fold and measured on what is held out."""
    if problem.harmless is None:
        return ()
    column = problem.labels.index(problem.harmless)
    flagged = [label for label in problem.labels if label != problem.harmless]
    thresholds = find_thresholds(1 - chances[:, column], gold != column)
    return tuple(
        measured_point(name, flagged, threshold, 1 - held_chances[:, column], held_gold != column)
        for name, threshold in thresholds.items()
    )
