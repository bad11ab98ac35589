"""A study's report as one HTML file, and as a table for a terminal."""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from malmoi.factory.plots import Interval, interval_plot


def render_page(report: Mapping[str, Any]) -> str:
    """HTML; every text is escaped."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    source = files(__package__).joinpath("lmrec.html").read_text(encoding="utf-8")
    plot = interval_plot(
        {row["name"]: {"": Interval(row["ndcg@10"], row["low"], row["high"])} for row in report["rows"]},
        title="NDCG@10",
        x_label="mean with its 95 % interval over users",
    )
    return (
        Environment(autoescape=True, undefined=StrictUndefined)
        .from_string(source)
        .render(
            report=report,
            plot=Markup(plot),  # noqa: S704  plots.py escapes every text
            settings=json.dumps(report["settings"], ensure_ascii=False, indent=2),
        )
    )


def render_table(report: Mapping[str, Any]) -> str:
    """The rows and comparisons as text."""
    lines = [f"{'variant':<24}{'HR@10':>8}{'NDCG@10':>9}   95 % interval"]
    lines += [
        f"{row['name']:<24}{row['hr@10']:>8.4f}{row['ndcg@10']:>9.4f}   {row['low']:.4f} to {row['high']:.4f}"
        for row in report["rows"]
    ]
    lines.append("")
    lines += [
        f"{row['a']} - {row['b']}: {row['difference']:+.4f} ({row['low']:+.4f} to {row['high']:+.4f}), "
        f"{row['verdict']}" + (f" (each fit: {_signed(row['each'])})" if len(row["each"]) > 1 else "")
        for row in report["comparisons"]
    ]
    return "\n".join(lines)


def _signed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:+.4f}" for value in values)
