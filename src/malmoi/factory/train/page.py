"""The HTML page of a training run: one file without links, scripts or fonts, for light and dark screens."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from malmoi.factory.train.energy import JOULES_PER_KWH, EnergySettings, grams_of_co2

MOST_SAMPLES = 12
"""Sets of samples that the page shows, spread over the run."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What the page tells beside the metrics."""

    name: str
    """Of the stage or run."""
    figures: Mapping[str, str | float] = field(default_factory=dict)
    """Label to value, such as the number of parameters, in the order of the page."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The run's settings, nested as they are."""
    energy_basis: str = ""
    """Where the metrics' joules come from (`EnergyMeter.basis`)."""
    energy: EnergySettings = field(default_factory=EnergySettings)
    """For the intensity of the grid."""


def render_run_page(rows: Iterable[Mapping[str, Any]], facts: RunFacts) -> str:
    """The page as text.

    Args:
        rows: lines of metrics.jsonl. Understood are step, loss, grad_norm, rate, tokens, tokens_per_second,
            mfu, seconds, joules, sample, and bits_per_byte with a value for each slice; rows may have any.
        facts: the rest.
    """
    # Here, because a page is written once at the end of a run.
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    rows = list(rows)
    source = (files(__package__) / "templates" / "run.html").read_text(encoding="utf-8")
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(source)
    return template.render(
        name=facts.name,
        lead=_lead(rows),
        figures=[(label, _shown(value)) for label, value in facts.figures.items()],
        plots=[Markup(plot) for plot in _plots(rows)],  # noqa: S704  plots.py escapes every text
        slices=_slices(rows),
        samples=_samples(rows),
        energy=_energy(rows, facts),
        settings=list(_flat(facts.settings)),
    )


def _lead(rows: Sequence[Mapping[str, Any]]) -> str:
    steps = [row for row in rows if "loss" in row]
    if not steps:
        return "No step has been taken yet."
    last = steps[-1]
    parts = [f"{last['step']:,} steps"]
    if "tokens" in last:
        parts.append(f"{last['tokens']:,} tokens")
    seconds = sum(row["seconds"] for row in steps if _is_number(row.get("seconds")))
    if seconds:
        parts.append(f"{_time(seconds)} in steps")
    parts.append(f"loss {last['loss']:.4f}")
    return ", ".join(parts) + "."


def _plots(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    from malmoi.factory.plots import line_plot

    plots = []
    for key, title, unit in (
        ("loss", "Loss", "nats a target"),
        ("rate", "Learning rate", "share of the full rate"),
        ("grad_norm", "Gradient norm", "before it is shortened"),
        ("tokens_per_second", "Speed", "tokens a second"),
        ("mfu", "Model FLOPs utilisation", "share of the measured peak"),
    ):
        points = [(float(row["step"]), float(row[key])) for row in rows if _is_number(row.get(key))]
        if points:
            series = {title: points}
            if key == "loss":
                series["mean of the last steps"] = _smooth(points)
            plots.append(line_plot(series, title=title, x_label="step", y_label=unit))
    by_slice = _by_slice(rows)
    languages = {name: points for name, points in by_slice.items() if not name.startswith("source/")}
    sources = {name: points for name, points in by_slice.items() if name.startswith("source/")}
    for title, series in (("Bits per byte by language", languages), ("Bits per byte by source", sources)):
        if series:
            shown = {name.split("/", 1)[-1]: points for name, points in series.items()}
            plots.append(line_plot(shown, title=title, x_label="step", y_label="bits per byte"))
    return plots


def _smooth(points: Sequence[tuple[float, float]], keep: float = 0.9) -> list[tuple[float, float]]:
    """An exponential mean without the bias of its beginning."""
    mean, weight, smooth = 0.0, 0.0, []
    for x, y in points:
        mean, weight = keep * mean + (1 - keep) * y, keep * weight + (1 - keep)
        smooth.append((x, mean / weight))
    return smooth


def _by_slice(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    series: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        values = row.get("bits_per_byte")
        for name, value in values.items() if isinstance(values, Mapping) else ():
            if _is_number(value):
                series.setdefault(name, []).append((float(row["step"]), float(value)))
    return series


def _slices(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    return [
        {
            "name": name,
            "first": f"{points[0][1]:.4f}",
            "last": f"{points[-1][1]:.4f}",
            "best": f"{min(value for _, value in points):.4f}",
        }
        for name, points in _by_slice(rows).items()
    ]


def _samples(rows: Sequence[Mapping[str, Any]]) -> list[tuple[int, str]]:
    found = [(row["step"], str(row["sample"])) for row in rows if "sample" in row]
    if len(found) > MOST_SAMPLES:
        last = len(found) - 1
        found = [found[round(number * last / (MOST_SAMPLES - 1))] for number in range(MOST_SAMPLES)]
    return found


def _energy(rows: Sequence[Mapping[str, Any]], facts: RunFacts) -> str:
    joules = sum(row["joules"] for row in rows if _is_number(row.get("joules")))
    if not joules:
        return ""
    grams = grams_of_co2(joules, facts.energy)
    basis = f" ({facts.energy_basis})" if facts.energy_basis else ""
    return (
        f"{joules / JOULES_PER_KWH:.4g} kWh{basis}, that is {grams:.3g} g of CO2 equivalent at an assumed "
        f"{facts.energy.grid_grams_per_kwh:g} g a kilowatt hour."
    )


def _flat(settings: Mapping[str, Any], at: str = "") -> Iterable[tuple[str, str]]:
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{at}{key}.")
        else:
            yield f"{at}{key}", "" if value is None else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _shown(value: str | float) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 1000 else f"{value:.4g}"


def _time(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    return (
        f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"
    )
