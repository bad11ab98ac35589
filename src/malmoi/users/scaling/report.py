"""The outcome of a scaling study as JSON, a table and a page."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from malmoi.core.files import write_json, write_text
from malmoi.core.intervals import bootstrap, mean_of, percentiles
from malmoi.users.scaling.power_law import PowerLaw, fit_with_interval
from malmoi.users.scaling.study import Point, ScalingSettings, together

LEAST = 4
"""Sizes that a law needs."""


def build_report(points: Sequence[Point], settings: ScalingSettings, *, seed: int = 0) -> dict[str, Any]:
    """Figures of all runs and the law of each batch size, as JSON values.

    Args:
        points: all runs of the grid.
        settings: the grid.
        seed: of the resamples.
    """
    groups = together(points)
    rows = [_row(group, seed) for group in groups]
    laws: dict[str, Any] = {}
    for batch in sorted(settings.batch_sizes):
        line = [
            group
            for group in groups
            if group[0].place.batch == batch
            and group[0].place.history == settings.history_length
            and group[0].place.share == 1.0
        ]
        if len(line) < LEAST:
            continue
        compute = [float(np.mean([point.flops for point in group])) for group in line]
        losses = [np.stack([point.losses for point in group]) for group in line]
        laws[str(batch)] = asdict(fit_with_interval(compute, losses, seed=seed))
    return {
        "settings": settings.model_dump(mode="json"),
        "pool_users": len(points[0].losses),
        "runs": rows,
        "laws": laws,
    }


def _row(group: Sequence[Point], seed: int) -> dict[str, Any]:
    """One place of the grid over its seeds; the interval is over the pool's users."""
    place = group[0].place
    losses = np.mean([point.losses for point in group], axis=0)
    drawn = bootstrap([mean_of(losses)], len(losses), seed=seed)[0]
    low, high = percentiles(drawn) or (None, None)
    return {
        "width": place.width,
        "batch_size": place.batch,
        "history_length": place.history,
        "share": place.share,
        "seeds": [point.place.seed for point in group],
        "weights": group[0].weights,
        "flops": float(np.mean([point.flops for point in group])),
        "loss": float(losses.mean()),
        "loss_low": low,
        "loss_high": high,
        "mean_rank": 1 + float(losses.mean()) * (len(losses) - 1),
        "auc": 1 - float(losses.mean()),
    }


def render_table(report: Mapping[str, Any]) -> str:
    """A table for a terminal."""
    lines = [
        f"{'width':>6}{'batch':>7}{'history':>9}{'users':>7}{'weights':>10}{'compute':>10}{'AUC':>8}"
        f"  {'1 - AUC, 95 % over users':<26}{'mean rank':>10}"
    ]
    for row in report["runs"]:
        interval = "" if row["loss_low"] is None else f" [{row['loss_low']:.4f}, {row['loss_high']:.4f}]"
        lines.append(
            f"{row['width']:>6}{row['batch_size']:>7}{row['history_length']:>9}{row['share']:>7.0%}"
            f"{row['weights']:>10,}{row['flops']:>10.2g}{row['auc']:>8.4f}"
            f"  {row['loss']:.4f}{interval:<20}{row['mean_rank']:>10.1f}"
        )
    lines.append(f"Among {report['pool_users']} held-out users; rank 1 is best, AUC 0.5 is chance.")
    lines.extend(told(batch, law) for batch, law in report["laws"].items())
    if not report["laws"]:
        lines.append(f"No law: a batch size needs {LEAST} widths.")
    return "\n".join(lines)


def told(batch: str, law: Mapping[str, Any]) -> str:
    """A law in words."""
    interval = law["b_interval"]
    spread = "" if interval is None else f" (95 %: {interval[0]:.2f} to {interval[1]:.2f})"
    return (
        f"Batch {batch}: L = {law['a']:.3g} (C / {law['unit']:.3g})^-b + {law['c']:.3g}, "
        f"b = {law['b']:.3f}{spread}"
    )


def write_report(report: Mapping[str, Any], folder: Path) -> None:
    """Write report.json and report.html."""
    write_json(folder / "report.json", dict(report))
    write_text(folder / "report.html", render_page(report))


def render_page(report: Mapping[str, Any]) -> str:
    """The page; it needs no other file."""
    from jinja2 import Environment, PackageLoader, select_autoescape

    environment = Environment(
        loader=PackageLoader("malmoi.users.scaling", ""), autoescape=select_autoescape(["html"])
    )
    laws = [told(batch, law) for batch, law in report["laws"].items()]
    return environment.get_template("report.html").render(report=report, plots=_plots(report), laws=laws)


def _plots(report: Mapping[str, Any]) -> list[str]:
    from malmoi.factory.plots import line_plot

    settings, rows = report["settings"], report["runs"]
    whole = [r for r in rows if r["history_length"] == settings["history_length"] and r["share"] == 1.0]
    by_compute: dict[str, list[tuple[float, float]]] = {}
    for batch in sorted(settings["batch_sizes"]):
        line = sorted((r["flops"], r["loss"]) for r in whole if r["batch_size"] == batch)
        by_compute[f"batch {batch}"] = line
        if (law := report["laws"].get(str(batch))) is not None:
            values = {name: law[name] for name in ("a", "b", "c", "unit", "error")}
            at = np.geomspace(line[0][0], line[-1][0], 30)
            curve = PowerLaw(**values)(at)
            by_compute[f"law of {batch}"] = list(zip(at.tolist(), curve.tolist(), strict=True))
    plots = [
        line_plot(
            by_compute,
            title="Compute",
            x_label="floating-point operations",
            y_label="1 - AUC",
            log_x=True,
            log_y=True,
        )
    ]
    most = max(settings["batch_sizes"])
    widths = sorted(settings["widths"])
    middle = widths[len(widths) // 2]
    same = [r for r in rows if r["batch_size"] == most and r["width"] == middle]
    for name, key, fixed in (
        ("History", "history_length", "share"),
        ("Users learned from", "share", "history_length"),
    ):
        kept = {"share": 1.0, "history_length": settings["history_length"]}[fixed]
        line = sorted((r[key], r["loss"]) for r in same if r[fixed] == kept)
        if len(line) > 1:
            label = "events read" if key == "history_length" else "share of the users"
            plots.append(line_plot({"": line}, title=name, x_label=label, y_label="1 - AUC"))
    return plots
