"""What happened to a corpus, as one HTML page without anything to fetch, and as text for the terminal."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from pathlib import Path
from typing import Any

from malmoi.core.errors import InvalidInput
from malmoi.factory.corpus.dedup import draw
from malmoi.factory.corpus.documents import (
    Document,
    Mixture,
    Reject,
    read_documents,
    read_mixture,
    read_rejects,
)
from malmoi.factory.corpus.tally import LENGTH_STEPS, QUALITY_CLASSES
from malmoi.factory.plots import bar_plot, histogram, stacked_bar_plot

SAMPLES = 3
"""Samples that the page shows of each source, and of each reason."""
EXCERPT = 600
MOST_LOOKED_AT = 300_000
"""Documents among which samples are drawn."""


@dataclass(frozen=True, slots=True)
class CorpusReport:
    """All that the page shows."""

    mixture: Mixture
    counts: dict[str, Any]
    speeds: list[dict[str, Any]]
    samples: dict[str, list[Document]]
    """By source."""
    rejects: dict[tuple[str, str], list[Reject]]
    """By step and reason."""
    matches: list[dict[str, Any]]
    """The first texts of evaluation sets that were found."""

    @property
    def kept(self) -> int:
        """Documents for training and validation."""
        return sum(total[s]["documents"] for total in self.counts["sources"].values() for s in _SPLITS)

    @property
    def seen(self) -> int:
        """Documents that were read."""
        return int(next((step["seen"] for step in self.counts["steps"] if step["name"] == "read"), 0))


_SPLITS = ("train", "validation")


def read_report(
    folder: Path,
    *,
    samples: int = SAMPLES,
    source: str | None = None,
    reason: str | None = None,
    grep: str | None = None,
) -> CorpusReport:
    """The report of the corpus in `folder`.

    Args:
        folder: a corpus artifact.
        samples: how many of each source, and of each reason.
        source: samples of this source alone.
        reason: rejects of this reason (or step) alone.
        grep: samples that hold this text, in any case of letters.

    Raises:
        InvalidInput: it is no corpus, or a file of it cannot be read.
    """
    mixture = read_mixture(folder)
    try:
        counts = json.loads((folder / "counts.json").read_bytes())
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"{folder / 'counts.json'} cannot be read: {error}.", fix="Make the corpus again."
        ) from error
    speeds = folder / "about" / "steps.json"
    wanted = grep.lower() if grep else None

    def fits(document: Document) -> bool:
        return (source is None or document.source == source) and (
            wanted is None or wanted in document.text.lower()
        )

    kept = (document for document in _limited(read_documents(folder)) if fits(document))
    dropped = (
        reject
        for reject in _limited(read_rejects(folder))
        if fits(reject.document) and (reason is None or reason in (reject.reason, reject.step))
    )
    return CorpusReport(
        mixture=mixture,
        counts=counts,
        speeds=json.loads(speeds.read_bytes())["steps"] if speeds.exists() else [],
        samples=_drawn(kept, lambda document: document.source, lambda document: document.id, samples),
        rejects=_drawn(dropped, lambda r: (r.step, r.reason), lambda r: r.document.id, samples),
        matches=list(_matches(folder)),
    )


def _limited(items: Iterator[Any]) -> Iterator[Any]:
    for number, item in enumerate(items):
        if number >= MOST_LOOKED_AT:
            return
        yield item


def _drawn(
    items: Iterator[Any], group: Callable[[Any], Any], identifier: Callable[[Any], str], count: int
) -> dict[Any, list[Any]]:
    """For each group the items with the least draws: always the same ones, from anywhere in the corpus."""
    chosen: dict[Any, list[tuple[int, int, Any]]] = {}
    for number, item in enumerate(items):
        own = chosen.setdefault(group(item), [])
        own.append((draw(0, "look", identifier(item)), number, item))
        if len(own) >= 4 * count + 64:
            own[:] = nsmallest(count, own)
    return {name: [item for _, _, item in nsmallest(count, own)] for name, own in chosen.items()}


def _matches(folder: Path, most: int = 60) -> Iterator[dict[str, Any]]:
    path = folder / "contamination.jsonl"
    if path.exists():
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file):
                if number >= most:
                    return
                yield json.loads(line)


def render_report(report: CorpusReport, *, title: str = "Corpus") -> str:
    """The page as HTML."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("malmoi.factory.corpus"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"megabytes": megabytes, "excerpt": excerpt}
    template = environment.get_template("report.html.jinja")
    return template.render(title=title, report=report, plots=_plots(report), notes=report.counts["notes"])


def megabytes(size: float) -> str:
    """A size for people."""
    if size >= 1e5:
        return f"{size / 1e6:,.1f} MB"
    return f"{size / 1e3:,.1f} kB"


def excerpt(text: str, length: int = EXCERPT) -> str:
    """The beginning of a text, without personal data: rejects were dropped before it was taken out."""
    from malmoi.core.pii import PiiSettings, remove_pii

    # A little more than is shown, so that a number at the end is seen whole.
    shown = remove_pii(text[: length + 64], PiiSettings())[0][:length]
    return shown + ("…" if len(text) > length else "")


def _plots(report: CorpusReport) -> dict[str, str]:
    counts = report.counts
    steps = counts["steps"]
    flow = {step["name"]: {"kept": step["kept"], "dropped": step["seen"] - step["kept"]} for step in steps}
    flow_bytes = {
        step["name"]: {
            "kept": step["bytes_kept"] / 1e6,
            "dropped": max(step["bytes_seen"] - step["bytes_kept"], 0) / 1e6,
        }
        for step in steps
    }
    reasons = {
        f"{step['name']}: {reason}": count
        for step in steps
        for reason, count in step["dropped"].items()
        if reason != "over_max_bytes"  # a sample, no fault; it would dwarf the others
    }
    most = dict(Counter(reasons).most_common(25))
    languages: Counter[str] = Counter()
    lengths: Counter[str] = Counter()
    quality: Counter[str] = Counter()
    for total in counts["sources"].values():
        languages.update(total["languages"])
        lengths.update(total["lengths"])
        quality.update(total["quality"])
    groups: Counter[str] = Counter()
    sources = report.mixture.sources
    for source in sources:
        groups[source.group] += source.bytes
    weights = {group: sum(source.weight for source in sources if source.group == group) for group in groups}
    plots = {
        "flow": stacked_bar_plot(flow, title="Documents by step", x_label="documents"),
        "flow_bytes": stacked_bar_plot(flow_bytes, title="Text by step", x_label="MB"),
        "reasons": bar_plot(most, title="Reasons", x_label="documents dropped"),
        "languages": bar_plot(
            {name: size / 1e6 for name, size in languages.most_common(20)},
            title="Languages",
            x_label="MB for training",
        ),
        "sources": stacked_bar_plot(
            {source.name: {source.group: source.bytes / 1e6} for source in sources},
            title="Sources",
            x_label="MB for training",
        ),
        "weights": stacked_bar_plot(
            {source.name: {source.group: 100 * source.weight} for source in sources},
            title="Mixture",
            x_label="% of the training tokens",
        ),
        "groups": bar_plot(
            {name: 100 * weight for name, weight in weights.items()},
            title="Groups",
            x_label="% of the mixture",
        ),
        "lengths": histogram(
            [2 ** ((int(place) + 0.5) / LENGTH_STEPS) for place in lengths],
            weights=list(lengths.values()),
            bins=30,
            log_x=True,
            title="Length",
            x_label="characters",
            y_label="documents",
        ),
        "speeds": bar_plot(
            {
                row["name"]: row["megabytes_per_second"]
                for row in report.speeds
                if row["megabytes_per_second"]
            },
            title="Speed of each step",
            x_label="MB a second, one core",
        ),
    }
    if quality:
        plots["quality"] = histogram(
            [(int(place) + 0.5) / QUALITY_CLASSES for place in quality],
            weights=list(quality.values()),
            bins=QUALITY_CLASSES,
            title="Quality score",
            x_label="score",
            y_label="documents",
        )
    return plots


def describe(report: CorpusReport) -> Iterator[str]:
    """The report as lines for a terminal, without samples."""
    yield f"{report.kept:,} of {report.seen:,} documents kept."
    yield ""
    rows: list[Sequence[str]] = [("step", "seen", "kept", "text", "dropped by reason")]
    for step in report.counts["steps"]:
        reasons = ", ".join(f"{name} {count:,}" for name, count in step["dropped"].items())
        rows.append(
            (step["name"], f"{step['seen']:,}", f"{step['kept']:,}", megabytes(step["bytes_kept"]), reasons)
        )
    yield from _table(rows, right={1, 2, 3})
    yield ""
    rows = [("source", "group", "license", "documents", "text", "held out", "weight", "epochs")]
    for source in report.mixture.sources:
        held = report.counts["sources"][source.name]["validation"]["documents"]
        rows.append(
            (
                source.name,
                source.group,
                source.license,
                f"{source.documents:,}",
                megabytes(source.bytes),
                f"{held:,}",
                f"{source.weight:.1%}",
                f"{source.epochs:.2f}",
            )
        )
    yield from _table(rows, right={3, 4, 5, 6, 7})
    problems = report.counts["problems"]["counts"]
    if problems:
        yield ""
        yield "Not read: " + ", ".join(f"{name} {count:,}" for name, count in sorted(problems.items()))
    for note in report.counts["notes"]:
        yield f"Note: {note}"


def _table(rows: Sequence[Sequence[str]], right: set[int]) -> Iterator[str]:
    from unicodedata import east_asian_width

    def width(text: str) -> int:
        return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)

    widths = [max(width(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = []
        for column, cell in enumerate(row):
            space = " " * (widths[column] - width(cell))
            cells.append(space + cell if column in right else cell + space)
        yield "  ".join(cells).rstrip()
