"""From what the model chose to the tables of the study."""

from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict

from malmoi.evals.icl.conditions import gold_index
from malmoi.evals.icl.datasets import LabelSet
from malmoi.evals.icl.figures import METRICS, Outcomes, Sensitivity, measure_sensitivity, points_of
from malmoi.evals.icl.study import Choices, LabelStudy
from malmoi.evals.icl.wording import Method

POOLED = "all"
"""Name of the rows over all datasets."""

Verdict: TypeAlias = Literal["labels matter", "inside the noise", "wrong labels help", "not defined"]


class Row(BaseModel):
    """One line of the table."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    dataset: str
    """`all`: the datasets together."""
    method: Method
    calibrated: bool
    shots: int
    metric: str
    items: int
    chance: float
    """Accuracy of guessing."""
    figures: Sensitivity
    points: tuple[tuple[float, float], ...] = ()
    """Share of right labels and score, of each seed; what the line is fitted to."""

    @property
    def inference(self) -> str:
        """Direction and calibration in words."""
        return f"{self.method}, calibrated" if self.calibrated else self.method

    @property
    def verdict(self) -> Verdict:
        """What the interval of the sensitivity says."""
        slope = self.figures.slope
        if slope.low is None or slope.high is None:
            return "not defined"
        if slope.low <= 0.0 <= slope.high:
            return "inside the noise"
        return "labels matter" if slope.low > 0.0 else "wrong labels help"


class SetInfo(BaseModel):
    """A dataset as it was used."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    name: str
    title: str
    license: str
    split: str
    """That was scored."""
    items: int
    pool: int
    """Examples that demonstrations were drawn from."""
    labels: tuple[str, ...]
    """Empty: every item has its own."""


class LabelReport(BaseModel):
    """Everything that the study found; labels.json."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    model: str
    """As it was asked for."""
    model_sha256: str | None
    """None: it is behind a server."""
    study: LabelStudy
    started_at: str
    seconds: float
    requests: int
    """That went to the engine; the others were known from before."""
    resamples: int
    versions: dict[str, str]
    sets: tuple[SetInfo, ...]
    rows: tuple[Row, ...]
    skipped: tuple[str, ...] = ()


def describe(label_set: LabelSet) -> SetInfo:
    """A dataset as it was used."""
    first = label_set.items[0].choices
    fixed = all(item.choices == first for item in label_set.items)
    return SetInfo(
        name=label_set.name,
        title=label_set.title,
        license=label_set.license,
        split=label_set.split,
        items=len(label_set.items),
        pool=len(label_set.pool),
        labels=label_set.labels or (first if fixed else ()),
    )


def build_rows(
    study: LabelStudy, sets: Sequence[LabelSet], choices: Sequence[Choices], *, resamples: int = 1000
) -> list[Row]:
    """All lines of the table: by metric, direction and number of demonstrations, each dataset and all.

    What was skipped for one dataset is missing in its lines, and its points in the pooled one.
    """
    rows = []
    for metric in METRICS:
        for method, calibrated in _inferences(study):
            for k in study.shots:
                found: dict[str, tuple[LabelSet, Outcomes]] = {}
                for label_set in sets:
                    outcomes = outcomes_of(study, label_set, choices, method, calibrated, k)
                    if outcomes is not None:
                        found[label_set.name] = label_set, outcomes
                groups = {name: [member] for name, member in found.items()}
                if len(found) > 1:
                    groups[POOLED] = list(found.values())
                for name, members in groups.items():
                    results = [outcomes for _, outcomes in members]
                    rows.append(
                        Row(
                            dataset=name,
                            method=method,
                            calibrated=calibrated,
                            shots=k,
                            metric=metric,
                            items=sum(len(label_set.items) for label_set, _ in members),
                            chance=float(np.mean([_chance(label_set) for label_set, _ in members])),
                            figures=measure_sensitivity(results, metric=metric, resamples=resamples),
                            points=tuple(point for result in results for point in points_of(result, metric)),
                        )
                    )
    return rows


def _inferences(study: LabelStudy) -> Iterator[tuple[Method, bool]]:
    for method in study.methods:
        yield method, False
        if study.calibrate:
            yield method, True


def _chance(label_set: LabelSet) -> float:
    return float(np.mean([1.0 / len(item.choices) for item in label_set.items]))


def outcomes_of(
    study: LabelStudy,
    label_set: LabelSet,
    choices: Sequence[Choices],
    method: Method,
    calibrated: bool,
    k: int,
) -> Outcomes | None:
    """What the model chose on one dataset with k demonstrations; None: it was not asked."""
    own = [row for row in choices if row.dataset == label_set.name and row.method == method]
    by_place = {(row.shots, row.seed, row.kind, row.percent): row for row in own}

    def chosen(shots: int, seed: int, kind: str, percent: int) -> tuple[int, ...]:
        row = by_place[shots, seed, kind, percent]
        return row.calibrated if calibrated else row.plain

    if not any(row.shots == k for row in own) or not any(row.shots == 0 for row in own):
        return None
    percents = sorted(study.correct)
    return Outcomes(
        gold=np.array([gold_index(item) for item in label_set.items]),
        # With few demonstrations 25 % may be 1 of 4 or 2 of 6: what counts is what was shown.
        shares=np.array([by_place[k, study.seeds[0], "correct", percent].share for percent in percents]),
        chosen=np.array(
            [[chosen(k, seed, "correct", percent) for percent in percents] for seed in study.seeds]
        ),
        uniform=np.array([chosen(k, seed, "random", 100) for seed in study.seeds]),
        zero=np.array(chosen(0, 0, "none", 100)),
    )
