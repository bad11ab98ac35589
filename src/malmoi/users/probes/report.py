"""Probing several kinds of vectors for one trait, on the same users, and telling the outcome."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from malmoi.core.intervals import bootstrap, percentiles
from malmoi.core.stage import Progress, SilentProgress
from malmoi.users.probes.classifiers import ProbeKind, fit_classifier
from malmoi.users.probes.figures import figures_of
from malmoi.users.probes.labels import Labels
from malmoi.users.probes.splitting import stratified

SHARE = 0.3
"""Of the users that are the test."""
KINDS: tuple[ProbeKind, ...] = ("linear", "mlp")


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 % interval over the test's users; None where too few resamples have one."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class ProbeRow:
    """One kind of vectors under one classifier.

    Attributes:
        vectors: whose they are.
        kind: of the classifier.
        size: numbers a user.
        decay: strength that was chosen.
        figures: by name.
        ahead: AUROC minus that of the first vectors' same classifier, on the same resamples; None: it is
            the first.
    """

    vectors: str
    kind: ProbeKind
    size: int
    decay: float
    figures: Mapping[str, Figure]
    ahead: Figure | None


@dataclass(frozen=True)
class ProbeReport:
    """All rows for one trait."""

    trait: str
    classes: Mapping[str, int]
    train_users: int
    test_users: int
    seed: int
    unknown: int
    rare: Mapping[str, int]
    rows: tuple[ProbeRow, ...]

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def run_probes(
    vectors: Mapping[str, NDArray[np.float64]],
    labels: Labels,
    *,
    kinds: Sequence[ProbeKind] = KINDS,
    seed: int = 0,
    resamples: int = 1000,
    progress: Progress | None = None,
) -> ProbeReport:
    """Probe every kind of vectors with every classifier.

    Args:
        vectors: name -> (P, D) of the users of `labels.rows`; the first is what the others are compared with.
        labels: the trait.
        kinds: of classifiers.
        seed: of the split, of the first weights and of the resamples.
        resamples: of the bootstrap.
        progress: where it tells how far it is.
    """
    train, test = stratified(labels.label, SHARE, seed)
    rows = []
    first: dict[str, Any] = {}
    with (progress or SilentProgress()).task("Probe", total=len(vectors) * len(kinds), unit="probes") as task:
        for name, features in vectors.items():
            for kind in kinds:
                probe = fit_classifier(
                    kind, features[train], labels.label[train], classes=len(labels.classes), seed=seed
                )
                statistics = figures_of(probe.chances(features[test]), labels.label[test])
                drawn = dict(
                    zip(
                        statistics,
                        bootstrap(list(statistics.values()), len(test), seed=seed, resamples=resamples),
                        strict=True,
                    )
                )
                once = np.ones((1, len(test)))
                values = {figure: float(statistic(once)[0]) for figure, statistic in statistics.items()}
                ahead = None
                if kind in first:
                    value, resampled = first[kind]
                    ahead = _figure(values["auroc"] - value, drawn["auroc"] - resampled)
                else:
                    first[kind] = values["auroc"], drawn["auroc"]
                figures = {figure: _figure(value, drawn[figure]) for figure, value in values.items()}
                rows.append(ProbeRow(name, kind, features.shape[1], probe.decay, figures, ahead))
                task.advance(1, auroc=round(values["auroc"], 3))
    counts = np.bincount(labels.label, minlength=len(labels.classes)).tolist()
    return ProbeReport(
        trait=labels.name,
        classes=dict(zip(labels.classes, counts, strict=True)),
        train_users=len(train),
        test_users=len(test),
        seed=seed,
        unknown=labels.unknown,
        rare=dict(labels.rare or {}),
        rows=tuple(rows),
    )


def _figure(value: float, drawn: NDArray[np.float64]) -> Figure:
    low, high = percentiles(drawn) or (None, None)
    return Figure(value, low, high)


def render_probes(report: ProbeReport) -> str:
    """A table for a terminal."""
    classes = ", ".join(f"{name} {count}" for name, count in report.classes.items())
    lines = [
        f"{report.trait} ({classes}): {report.train_users} users to learn from, {report.test_users} to test",
        f"{'vectors':<22}{'probe':<8}{'AUROC':>20}{'AP':>20}{'accuracy':>20}{'macro-F1':>20}"
        f"{'AUROC ahead':>24}",
    ]
    for row in report.rows:
        cells = "".join(f"{_told(figure):>20}" for figure in row.figures.values())
        ahead = "" if row.ahead is None else _told(row.ahead, sign=True)
        lines.append(f"{row.vectors[:21]:<22}{row.kind:<8}{cells}{ahead:>24}")
    if report.unknown:
        lines.append(f"{report.unknown} users of the file are not in the logs.")
    if report.rare:
        lines.append("Left out for want of users: " + ", ".join(f"{k} {v}" for k, v in report.rare.items()))
    return "\n".join(lines)


def _told(figure: Figure, *, sign: bool = False) -> str:
    text = f"{figure.value:+.3f}" if sign else f"{figure.value:.3f}"
    return text if figure.low is None else f"{text} [{figure.low:.2f}, {figure.high:.2f}]"
