"""The study of sources as one HTML page with heat maps, as lines of text, and as an artifact."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict

from malmoi.core.files import write_text
from malmoi.core.store import Artifact, Store
from malmoi.evals.corpora.ranks import EVERY, Rank
from malmoi.evals.corpora.results import Addition, Mix

REPORT = "corpora.json"


class CorporaReport(BaseModel):
    """Everything that the study found; corpora.json."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    title: str
    finished_at: datetime
    seeds: tuple[int, ...]
    """That every mix has finished."""
    num_bytes: int | None
    """Text that each model was trained on; None: the budget is counted otherwise."""
    shots: dict[str, int]
    """Stage -> demonstrations."""
    mixes: tuple[Mix, ...]
    ranks: tuple[Rank, ...]
    additions: tuple[Addition, ...]
    versions: dict[str, str]


class Shade(BaseModel):
    """One cell of a heat map."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    text: str
    small: str = ""
    heat: float
    """0 to 1: how strong its colour is."""
    against: bool = False
    """Whether it has the other colour."""
    noise: bool = False


HeatMap: TypeAlias = Mapping[str, Mapping[str, Shade]]
"""Row -> column -> cell."""


def save_corpora(store: Store, name: str, report: CorporaReport, inputs: Sequence[str]) -> Artifact:
    """Keep the study as an artifact of kind report: corpora.json and about/corpora.html."""
    with store.new_artifact("report", name, inputs=inputs, metadata={"study": "corpora"}) as out:
        write_text(out / REPORT, report.model_dump_json(indent=1) + "\n")
        (out / "about").mkdir()
        write_text(out / "about" / "corpora.html", render_page(report))
    return store.artifacts("report")[-1]


def render_page(report: CorporaReport) -> str:
    """The page."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, select_autoescape

    # The studies share their style sheet, which adds to the one of reports.
    packages = ("malmoi.evals.corpora", "malmoi.evals.icl", "malmoi.factory.corpus")
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in packages]),
        autoescape=select_autoescape(["html"]),
    )
    stages = list(report.shots)
    return environment.get_template("corpora.html").render(
        report=report,
        score_maps={stage: map_scores(report.mixes, stage) for stage in stages},
        bits_map=map_bits(report.mixes),
        rank_maps={stage: map_ranks(report.ranks, stage) for stage in stages},
        scatters=[_plot(report.mixes, stage, report.shots[stage]) for stage in stages],
    )


def map_scores(mixes: Sequence[Mix], stage: str) -> HeatMap:
    """Mix by task: the farther from chance, the stronger; what is inside the noise is marked."""
    scores = {mix.name: mix.scores[stage] for mix in mixes}
    most = max(
        (abs(s.figure.mean - s.chance) for tasks in scores.values() for s in tasks.values()), default=0.0
    )
    return {
        name: {
            f"{task} (chance {score.chance:.2f})": Shade(
                text=f"{score.figure.mean:.3f}",
                small=f"± {score.figure.spread:.3f}, {score.verdict}",
                heat=abs(score.figure.mean - score.chance) / most if most else 0.0,
                against=score.figure.mean < score.chance,
                noise=score.verdict == "inside the noise",
            )
            for task, score in tasks.items()
        }
        for name, tasks in scores.items()
    }


def map_bits(mixes: Sequence[Mix]) -> HeatMap:
    """Mix by source: the lower of its column, the stronger."""
    sources = list(mixes[0].bits) if mixes else []
    ends = {source: _ends([mix.bits[source].mean for mix in mixes]) for source in sources}
    return {
        mix.name: {
            source: Shade(
                text=f"{figure.mean:.3f}",
                small=f"± {figure.spread:.3f}",
                heat=(ends[source][1] - figure.mean) / (ends[source][1] - ends[source][0] or 1.0),
            )
            for source, figure in mix.bits.items()
        }
        for mix in mixes
    }


def map_ranks(ranks: Sequence[Rank], stage: str) -> HeatMap:
    """Source by task: rank correlation of bits and score."""
    rows: dict[str, dict[str, Shade]] = {}
    for rank in ranks:
        if rank.stage == stage:
            interval = f"[{rank.low:.2f}, {rank.high:.2f}]" if rank.low is not None else rank.note
            rows.setdefault(rank.source, {})[rank.task] = Shade(
                text="–" if rank.rho is None else f"{rank.rho:.2f}",
                small=interval + (", inside the noise" if rank.rho is not None and rank.is_noise else ""),
                heat=abs(rank.rho or 0.0),
                against=(rank.rho or 0.0) > 0.0,
                noise=rank.is_noise,
            )
    return rows


def _ends(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)


def _plot(mixes: Sequence[Mix], stage: str, shots: int) -> str:
    from malmoi.factory.plots import scatter_plot

    tasks = list(mixes[0].scores[stage]) if mixes else []
    series = {
        task: [(mix.mean_bits(), mix.scores[stage][task].figure.mean) for mix in mixes] for task in tasks
    }
    return scatter_plot(
        series,
        title=f"{shots} demonstrations" if shots else "no demonstrations",
        x_label=f"bits per byte, mean of {EVERY}",
        y_label="accuracy",
    )


def render_table(report: CorporaReport) -> str:
    """The matrices as lines of text; * marks a score that is not inside the noise of guessing."""
    lines = []
    for stage, shots in report.shots.items():
        tasks = list(report.mixes[0].scores[stage])
        lines += [f"accuracy, {shots} demonstrations (* not guessing)"]
        lines += _grid(
            report.mixes,
            tasks,
            lambda mix, task, stage=stage: (
                f"{mix.scores[stage][task].figure.mean:.3f}"  # type: ignore[misc]
                + ("" if mix.scores[stage][task].verdict == "inside the noise" else "*")
            ),
        )
    sources = list(report.mixes[0].bits)
    lines += ["bits per byte of held-out text"]
    lines += _grid(report.mixes, sources, lambda mix, source: f"{mix.bits[source].mean:.3f}")
    lines += ["rank correlation of bits per byte (all sources) and accuracy over the mixes"]
    for rank in report.ranks:
        if rank.source == EVERY:
            interval = f"[{rank.low:+.2f}, {rank.high:+.2f}]" if rank.low is not None else rank.note
            value = "–" if rank.rho is None else f"{rank.rho:+.2f}"
            noise = "inside the noise" if rank.is_noise and rank.rho is not None else ""
            name = f"{rank.task}, {report.shots[rank.stage]} demonstrations"
            lines.append(f"  {name:<36} {value:>6} {interval} {noise}".rstrip())
    return "\n".join(lines)


def _grid(mixes: Sequence[Mix], columns: Sequence[str], cell: Callable[[Mix, str], str]) -> list[str]:
    first = max(len("mix"), *(len(mix.name) for mix in mixes))
    widths = [max(len(column), 6) for column in columns]
    rows = [["mix", *columns], *([mix.name, *(cell(mix, column) for column in columns)] for mix in mixes)]
    return [
        "  "
        + "  ".join(text.ljust(width) for text, width in zip(row, [first, *widths], strict=True)).rstrip()
        for row in rows
    ]
