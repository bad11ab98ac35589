"""What a study found: a table for the terminal, JSON, and a page."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from malmoi.core.files import write_json, write_text
from malmoi.core.store import Artifact, Store
from malmoi.factory.ablate.compare import Comparison, compare
from malmoi.factory.ablate.study import StudySettings, Trial

_BAR = 28  # characters of the longest bar in the terminal


def compare_trials(settings: StudySettings, trials: Sequence[Trial]) -> dict[str, list[Comparison]]:
    """Figure -> one row a variant, over the seeds that every variant has finished."""
    done: dict[str, dict[int, Trial]] = {name: {} for name in settings.variants}
    for trial in trials:
        done[trial.variant][trial.seed] = trial
    seeds = [seed for seed in settings.seeds if all(seed in by_seed for by_seed in done.values())]
    return {
        figure: compare(
            {name: {seed: by_seed[seed].values[figure] for seed in seeds} for name, by_seed in done.items()},
            figure=figure,
            baseline=settings.baseline,
            lower_is_better=figure in settings.losses,
        )
        for figure in settings.figures
        if seeds
    }


def render_table(figures: Mapping[str, Sequence[Comparison]]) -> str:
    """The comparison as lines of text with bars."""
    lines = []
    for figure, rows in figures.items():
        most = max((abs(row.mean) for row in rows), default=0.0) or 1.0
        width = max(len(row.variant) for row in rows)
        lines.append(figure)
        for row in rows:
            bar = "█" * max(round(_BAR * abs(row.mean) / most), 1)
            change = "" if row.verdict == "baseline" else f"{row.change:+.2f} %"
            interval = f"[{row.interval[0]:+.2f}, {row.interval[1]:+.2f}]" if row.interval and change else ""
            lines.append(
                f"  {row.variant:<{width}}  {bar:<{_BAR}} {row.mean:.4f} ± {row.spread:.4f}  "
                f"{change:>9} {interval:<18} {row.verdict}"
            )
    return "\n".join(lines)


def save_study(
    store: Store, name: str, settings: StudySettings, trials: Sequence[Trial], inputs: Sequence[str]
) -> Artifact:
    """Keep the study as an artifact of kind report: table.json and about/study.html."""
    figures = compare_trials(settings, trials)
    with store.new_artifact("report", name, inputs=inputs, metadata={"study": settings.title}) as out:
        write_json(
            out / "table.json",
            {
                "title": settings.title,
                "baseline": settings.baseline,
                "figures": {figure: [asdict(row) for row in rows] for figure, rows in figures.items()},
                "trials": [asdict(trial) for trial in trials],
            },
        )
        (out / "about").mkdir()
        write_text(out / "about" / "study.html", _render_page(settings, trials, figures))
    return store.artifacts("report")[-1]


def _render_page(
    settings: StudySettings, trials: Sequence[Trial], figures: Mapping[str, Sequence[Comparison]]
) -> str:
    from jinja2 import Environment, FileSystemLoader

    from malmoi.factory.plots import bar_plot

    environment = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True)
    plots = {
        figure: bar_plot(
            {row.variant: row.mean for row in rows},
            title=figure,
            x_label="mean over the seeds",
            spread={row.variant: (row.mean - row.spread, row.mean + row.spread) for row in rows},
        )
        for figure, rows in figures.items()
    }
    seeds = len({trial.seed for trial in trials})
    page = environment.get_template("study.html")
    return page.render(
        title=settings.title, figures=figures, plots=plots, runs=trials, trials=len(trials), seeds=seeds
    )
