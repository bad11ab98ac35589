"""The study as one HTML page, as lines of text, and as an artifact."""

import math
from collections.abc import Mapping, Sequence

from malmoi.core.files import write_bytes, write_text
from malmoi.core.store import Artifact, Store
from malmoi.evals.icl.conditions import Condition, draw_demonstrations
from malmoi.evals.icl.datasets import LabelSet
from malmoi.evals.icl.figures import Figure
from malmoi.evals.icl.study import Choices, LabelStudy, build_pairs
from malmoi.evals.icl.summary import POOLED, LabelReport, Row

REPORT = "labels.json"
_EXCERPT = 1500  # characters of a prompt that the page shows
_GAP = (math.nan, math.nan)


def save_labels(
    store: Store, name: str, report: LabelReport, sets: Sequence[LabelSet], choices: Sequence[Choices]
) -> Artifact:
    """Keep the study as an artifact of kind report: labels.json, choices.jsonl and about/labels.html."""
    metadata = {"study": "labels", "model": report.model}
    with store.new_artifact("report", name, metadata=metadata) as out:
        write_text(out / REPORT, report.model_dump_json(indent=1) + "\n")
        lines = "".join(row.model_dump_json() + "\n" for row in choices)
        write_bytes(out / "choices.jsonl", lines.encode("utf-8"))
        (out / "about").mkdir()
        write_text(out / "about" / "labels.html", render_page(report, example_prompts(report.study, sets)))
    return store.artifacts("report")[-1]


def example_prompts(study: LabelStudy, sets: Sequence[LabelSet]) -> dict[str, list[tuple[str, str]]]:
    """What the model reads for the first item of each dataset, with the fewest demonstrations, all right.

    Returns:
        Dataset -> the direction, and its context with the first label's continuation.
    """
    shown: dict[str, list[tuple[str, str]]] = {}
    for label_set in sets:
        k = min(study.shots)
        seed = study.seeds[0]
        drawn = draw_demonstrations(
            label_set.pool, k, seed=seed, name=label_set.name, balanced=study.balanced
        )
        given = drawn.labels(Condition("correct", 100))
        for method in study.methods:
            context, continuation = build_pairs(label_set, method, drawn, given)[0]
            cut = context if len(context) <= _EXCERPT else f"… {context[-_EXCERPT:]}"
            shown.setdefault(label_set.name, []).append((method, f"{cut}▸{continuation}"))
    return shown


def render_page(report: LabelReport, prompts: Mapping[str, Sequence[tuple[str, str]]]) -> str:
    """The page.

    Args:
        report: the figures.
        prompts: dataset -> (direction, prompt), to show what the model read.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, select_autoescape

    environment = Environment(
        loader=ChoiceLoader([PackageLoader("malmoi.evals.icl"), PackageLoader("malmoi.factory.corpus")]),
        autoescape=select_autoescape(["html"]),
    )
    environment.filters["figure"] = show_figure
    most = max((row.shots for row in report.rows), default=0)
    rows = [row for row in report.rows if row.metric == "accuracy"]
    names = list(dict.fromkeys(row.dataset for row in rows))
    return environment.get_template("labels.html").render(
        report=report,
        prompts=prompts,
        most=most,
        metrics={
            metric: [row for row in report.rows if row.metric == metric]
            for metric in dict.fromkeys(row.metric for row in report.rows)
        },
        curves={
            k: [_plot_curves(rows, name, k) for name in names]
            for k in sorted({row.shots for row in rows}, reverse=True)
        },
        slopes=[_plot_slopes(rows, name) for name in names],
        glers=_plot_glers(rows, most),
        without=[_why_not(row) for row in rows if row.shots == most and not _has_bar(row)],
    )


def _plot_curves(rows: Sequence[Row], name: str, k: int) -> str:
    from malmoi.factory.plots import line_plot

    series: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if row.dataset != name or row.shots != k:
            continue
        # A gap after each point: marks without a line between them.
        series[row.inference] = [shown for point in row.points for shown in (point, _GAP)]
        slope, intercept = row.figures.slope.value, row.figures.intercept.value
        if slope is not None and intercept is not None:
            series[f"{row.inference}: line"] = [(0.0, intercept), (1.0, intercept + slope)]
    return line_plot(
        series,
        title=f"{_title(name)}, {k} demonstrations",
        x_label="share of demonstrations with the right label",
        y_label="accuracy",
    )


def _plot_slopes(rows: Sequence[Row], name: str) -> str:
    from malmoi.factory.plots import line_plot

    series: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if row.dataset == name and row.figures.slope.value is not None:
            series.setdefault(row.inference, []).append((row.shots, row.figures.slope.value))
    return line_plot(series, title=_title(name), x_label="demonstrations", y_label="sensitivity b1")


def _plot_glers(rows: Sequence[Row], k: int) -> str:
    from malmoi.factory.plots import bar_plot

    shown = {
        f"{_title(row.dataset)}, {row.inference}": row for row in rows if row.shots == k and _has_bar(row)
    }
    return bar_plot(
        {name: row.figures.gler.value or 0.0 for name, row in shown.items()},
        title=f"GLER, {k} demonstrations",
        x_label="share of the gain that is owed to right labels",
        spread={
            name: (max(gler.low, 0.0), gler.high)
            for name, row in shown.items()
            if (gler := row.figures.gler).low is not None and gler.high is not None
        },
    )


def _has_bar(row: Row) -> bool:
    """Whether GLER can be a bar: it is stable and not below zero."""
    gler = row.figures.gler
    return gler.value is not None and gler.value >= 0.0 and not gler.note


def _why_not(row: Row) -> str:
    gler = row.figures.gler
    why = gler.note or "random labels did better than right ones"
    said = why if gler.value is None else f"{gler.value:.2f}, {why}"
    return f"{_title(row.dataset)}, {row.inference}: {said}"


def _title(name: str) -> str:
    return "all datasets" if name == POOLED else name


def show_figure(figure: Figure) -> str:
    """A figure with its interval; a dash where it is not defined."""
    if figure.value is None:
        return "–"
    interval = f" [{figure.low:.3f}, {figure.high:.3f}]" if figure.low is not None else ""
    return f"{figure.value:.3f}{interval}"


def render_table(report: LabelReport, metric: str = "accuracy") -> str:
    """The table as lines of text."""
    rows = [row for row in report.rows if row.metric == metric]
    head = ("dataset", "inference", "k", "b1", "b0", "R2", "zero", "right", "random", "gain", "GLER", "")
    cells: list[tuple[str, ...]] = [head]
    for row in rows:
        found = row.figures
        few = (found.r2, found.zero, found.correct, found.random, found.gain)
        cells.append(
            (
                row.dataset,
                row.inference,
                str(row.shots),
                show_figure(found.slope),
                _short(found.intercept),
                *map(_short, few),
                _short(found.gler),
                row.verdict,
            )
        )
    widths = [max(len(line[place]) for line in cells) for place in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def _short(figure: Figure) -> str:
    """A figure without its interval; a question mark where it is unstable."""
    return "–" if figure.value is None else f"{figure.value:.3f}{'?' if figure.note else ''}"
