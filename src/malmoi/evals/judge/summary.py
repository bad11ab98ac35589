"""What a judge's items say together, and what is known to mislead judges: position and length."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from malmoi.evals.results import ItemResult


@dataclass(frozen=True, slots=True)
class ScoreSummary:
    """Of `judge_conversations`.

    Attributes:
        score: mean score of the readable verdicts, deductions made, from 1 to 10; None: none was readable.
        times_ten: the same on the scale of the HyperCLOVA X report (x 10).
        by_turn: the same by turn.
        by_category: the same by category.
        items: how many answers; `unreadable` of them have no score, `other_language` lost points.
        deduction: points lost by language, on the mean.
        asked_again: verdicts that were only readable at the second time, or never.
        mean_characters: length of the answers.
        score_by_length: rank correlation of length and the judge's own score; near 0 is good.
    """

    score: float | None
    times_ten: float | None
    by_turn: Mapping[int, float]
    by_category: Mapping[str, float]
    items: int
    unreadable: int
    other_language: int
    deduction: float
    asked_again: int
    mean_characters: float
    score_by_length: float | None


@dataclass(frozen=True, slots=True)
class PairSummary:
    """Of `compare_conversations`.

    Attributes:
        win_rate: share of the first model, ties as one half.
        wins: of the first model; `ties` and `losses` likewise.
        agreement: share of questions on which both orders say the same.
        position_bias: how much more often the place A is preferred than B, over all readable verdicts that
            prefer one, from -1 to 1; 0 is good.
        longer_wins: share of the longer conversation among decided questions; 0.5 is good.
        unreadable: questions with a verdict that could not be read.
    """

    items: int
    win_rate: float | None
    wins: int
    ties: int
    losses: int
    agreement: float | None
    position_bias: float | None
    longer_wins: float | None
    unreadable: int


def summarise_scores(items: Sequence[ItemResult]) -> ScoreSummary:
    """The figures of scored conversations."""
    read = [item for item in items if item.fields["judge_score"] is not None]
    score = _mean([item.fields["score"] for item in read])
    turns: defaultdict[int, list[float]] = defaultdict(list)
    categories: defaultdict[str, list[float]] = defaultdict(list)
    for item in read:
        turns[item.fields["turn"]].append(item.fields["score"])
        categories[item.category].append(item.fields["score"])
    return ScoreSummary(
        score=score,
        times_ten=None if score is None else 10 * score,
        by_turn={turn: float(np.mean(scores)) for turn, scores in sorted(turns.items())},
        by_category={name: float(np.mean(scores)) for name, scores in sorted(categories.items())},
        items=len(items),
        unreadable=len(items) - len(read),
        other_language=sum(item.grades["other_language"] == 1.0 for item in items),
        deduction=_mean([item.fields["deduction"] for item in items]) or 0.0,
        asked_again=sum(item.fields["asked"] > 1 for item in items),
        mean_characters=_mean([item.fields["characters"] for item in items]) or 0.0,
        score_by_length=_rank_correlation(
            [item.fields["characters"] for item in read], [item.fields["judge_score"] for item in read]
        ),
    )


def summarise_pairs(items: Sequence[ItemResult]) -> PairSummary:
    """The figures of compared conversations."""
    letters = [letter for item in items for letter in item.fields["letters"]]
    at_a, at_b = letters.count("A"), letters.count("B")
    decided = [item for item in items if item.grade != 0.5 and len(set(item.fields["characters"])) > 1]
    longer = [
        (item.fields["characters"][0] > item.fields["characters"][1]) == (item.grade == 1.0)
        for item in decided
    ]
    return PairSummary(
        items=len(items),
        win_rate=_mean([item.grade for item in items]),
        wins=sum(item.grade == 1.0 for item in items),
        ties=sum(item.grade == 0.5 for item in items),
        losses=sum(item.grade == 0.0 for item in items),
        agreement=_mean([item.grades["agreed"] for item in items]),
        position_bias=(at_a - at_b) / (at_a + at_b) if at_a + at_b else None,
        longer_wins=_mean([float(won) for won in longer]),
        unreadable=sum(item.grades["unreadable"] == 1.0 for item in items),
    )


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _rank_correlation(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Spearman's, with mean ranks for ties; None where one side does not vary."""
    if len(set(one)) < 2 or len(set(other)) < 2:
        return None
    return float(np.corrcoef(_ranks(one), _ranks(other))[0, 1])


def _ranks(values: Sequence[float]) -> list[float]:
    ordered = sorted(values)
    first = {value: ordered.index(value) for value in set(ordered)}
    return [first[value] + (ordered.count(value) - 1) / 2 for value in values]
