"""What is written down of a question that was learned: figures beside the floor, sources, worst errors."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from malmoi.engine.classify.folder import GateFile, PointFile, QuestionFile, SourceFile
from malmoi.evals.safety.datasets import Example, datasets, harmless_sets
from malmoi.evals.safety.figures import describe, difference, precision_curve, reliability
from malmoi.evals.safety.pool import Pool
from malmoi.evals.safety.question import Fitted, Problem

WORST = 25
"""Errors that the page shows."""


def held_out_figures(
    fitted: Fitted, problem: Problem, groups: Sequence[str], seed: int, resamples: int
) -> dict[str, Any]:
    """Figures on the texts held out, those of the floor, and their difference in macro-F1.

    Args:
        fitted: what was learned.
        problem: the question.
        groups: of the texts held out; those of one group are drawn together.
        seed: of the resamples.
        resamples: how many.
    """
    gold = problem.gold[problem.fold < 0]
    sides = ((fitted.chances, fitted.decision), (fitted.floor_chances, fitted.floor_decision))
    own, floor = (
        describe(chances, gold, problem.labels, decision.tolist(), groups, seed=seed, resamples=resamples)
        for chances, decision in sides
    )
    chosen, other = ((chances * decision).argmax(axis=1) for chances, decision in sides)
    return own | {
        "floor": floor,
        "over_floor": difference(chosen, other, gold, len(problem.labels), groups, seed=seed),
        "out_of_fold": dict(fitted.tried),
    }


def question_file(
    pool: Pool, dataset: str, key: str, fitted: Fitted, figures: dict[str, Any]
) -> QuestionFile:
    """The question as classifier.json has it."""
    described = datasets()[dataset]
    question = described.questions[key]
    loaded = pool.loaded[dataset]
    trained = [
        example
        for example, fold in zip(pool.examples, pool.folds, strict=True)
        if fold >= 0 and key in example.labels
    ]
    sources = [
        SourceFile(
            title=described.title,
            license=described.license,
            source=described.source,
            files=dict(loaded.sha256),
            texts=len(trained),
        )
    ]
    if question.harmless is not None:
        sources += [
            pool.sources[each.name]
            for each in harmless_sets()
            if key in each.train and each.name in pool.sources
        ]
    return QuestionFile(
        name=key,
        title=question.title,
        labels=tuple(question.labels.values()),
        harmless=question.harmless,
        decision=tuple(round(float(factor), 6) for factor in fitted.decision),
        members=fitted.members,
        gate=None
        if fitted.gate is None
        else GateFile(
            bound=fitted.gate.bound, skipped=round(fitted.gate.skipped, 4), lost=dict(fitted.gate.lost)
        ),
        context=described.context is not None,
        points=tuple(
            PointFile(
                name=point.name,
                flagged=point.flagged,
                threshold=point.threshold,
                precision=point.precision,
                recall=point.recall,
                false_positive_rate=point.false_positive_rate,
            )
            for point in fitted.points
        ),
        sources=tuple(sources),
        metrics=figures,
    )


def held_out_curves(fitted: Fitted, problem: Problem, examples: Sequence[Example]) -> dict[str, Any]:
    """Reliability, precision over recall, and the worst errors, on texts held out."""
    gold = problem.gold[problem.fold < 0]
    curves: dict[str, Any] = {"reliability": {}, "precision": {}, "floor_precision": {}, "worst": []}
    for column, label in enumerate(problem.labels):
        is_label = gold == column
        curves["reliability"][label] = reliability(fitted.chances[:, column], is_label)
        curves["precision"][label] = precision_curve(fitted.chances[:, column], is_label)
        curves["floor_precision"][label] = precision_curve(fitted.floor_chances[:, column], is_label)
    right = fitted.chances[np.arange(gold.size), gold]
    for row in np.argsort(right, kind="stable")[:WORST]:
        curves["worst"].append(
            {
                "text": examples[row].text,
                "context": examples[row].context,
                "label": problem.labels[gold[row]],
                "chances": {
                    label: round(float(chance), 3)
                    for label, chance in zip(problem.labels, fitted.chances[row], strict=True)
                },
            }
        )
    return curves
