"""Plots of results: figures with their intervals, and what guessing gives."""

from collections.abc import Mapping, Sequence

from malmoi.evals.metrics import METRICS
from malmoi.evals.report.words import LANGUAGES, Phrase, phrase
from malmoi.evals.results import MetricResult, TaskResult
from malmoi.factory.plots import Interval, interval_plot

MOST_ROWS = 60
"""Rows of one plot; more are drawn as several."""


def plot_tasks(tasks: Sequence[TaskResult]) -> list[Phrase]:
    """The main metrics of tasks, one plot a scale, each in both languages."""
    scales: dict[str, dict[str, dict[str, Interval]]] = {}
    for task in tasks:
        if task.metrics and (interval := interval_of(task.metrics[0])) is not None:
            name = task.metrics[0].name
            scales.setdefault(_scale(name), {})[f"{task.name} {name}"] = {"": interval}
    return [
        plot
        for scale, rows in scales.items()
        for part in _parts(rows)
        for plot in [_plot(part, _title(scale), ends=(0.0, 1.0) if scale == "plot" else None)]
    ]


def plot_categories(task: TaskResult) -> str:
    """The main metric of a task by category."""
    rows = {
        category or "–": {"": interval}
        for category, figures in task.by_category.items()
        if figures and (interval := interval_of(figures[0])) is not None
    }
    ends = (0.0, 1.0) if _scale(task.metrics[0].name) == "plot" else None
    return "".join(
        interval_plot(
            part,
            title=f"{task.name}: {task.metrics[0].name}",
            level_label="찍었을 때 · guessing",
            ends=ends,
        )
        for part in _parts(rows)
    )


def plot_differences(rows: Mapping[str, Interval]) -> Phrase:
    """Differences between two models, with a mark where there is none."""
    return _plot({name: {"": one} for name, one in rows.items()}, phrase("differences"), level="0")


def plot_models(rows: Mapping[str, Mapping[str, Interval]], title: str) -> Phrase:
    """Several models by task."""
    return _plot(rows, dict.fromkeys(LANGUAGES, title), ends=(0.0, 1.0))


def interval_of(figure: MetricResult) -> Interval | None:
    """A figure as it is drawn; None where it is not defined."""
    if figure.value is None:
        return None
    return Interval(figure.value, figure.low, figure.high, figure.chance)


def _plot(
    rows: Mapping[str, Mapping[str, Interval]],
    title: Phrase,
    *,
    ends: tuple[float, float] | None = None,
    level: str | None = None,
) -> Phrase:
    chance = phrase("chance")
    return {
        language: interval_plot(rows, title=title[language], level_label=level or chance[language], ends=ends)
        for language in LANGUAGES
    }


def _parts(rows: Mapping[str, Mapping[str, Interval]]) -> list[dict[str, Mapping[str, Interval]]]:
    names = list(rows)
    return [
        {name: rows[name] for name in names[start : start + MOST_ROWS]}
        for start in range(0, len(names), MOST_ROWS)
    ]


def _scale(name: str) -> str:
    """Which plot a metric belongs to: figures of different scales never share an axis."""
    known = METRICS.get(name)
    if known is None or known.top == 1.0:
        return "plot"
    if known.top is not None:
        return "plot_hundred"
    return name if known.lower_is_better else "plot_signed"


def _title(scale: str) -> Phrase:
    if scale in ("plot", "plot_hundred", "plot_signed"):
        return phrase(scale)
    return phrase("plot_other", metric=scale)
