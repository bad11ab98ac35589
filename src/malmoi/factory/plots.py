"""Plots as SVG text for the HTML pages of the factory: no libraries, no scripts, no fonts to fetch.

    line_plot({"train": [(0, 4.2), (100, 3.1)]}, title="Loss", x_label="step", y_label="nats a token")

Axes and words take the colour of the text around them (`currentColor`), and the series' colours keep a
contrast of at least 3:1 on white and on near-black, so that one SVG serves light and dark pages. Series
differ in dashes and marks too, not in colour alone. Each plot has a title and a summary for screen readers,
and marks carry their figures as tooltips. The same data always give the same text.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from unicodedata import east_asian_width
from xml.etree import ElementTree as ET  # only ever builds elements, never parses

import numpy as np

WIDTH, HEIGHT = 720.0, 320.0
COLOURS = ("#3b7fc4", "#cc6d08", "#2b9159", "#9468c8", "#d64545", "#158f96", "#9c6f3e", "#79838f")
DASHES = ("", "6 3", "2 3", "9 3 2 3")
MOST_POINTS = 600
"""Points that a line keeps; a longer one keeps the extremes of each stretch, so that no peak is lost."""

Points = Sequence[tuple[float, float]]

_CHARACTER = 6.6  # width of a letter at this size of text
_TEXT = "12"


def line_plot(
    series: Mapping[str, Points],
    *,
    title: str,
    x_label: str,
    y_label: str,
    log_x: bool = False,
    log_y: bool = False,
) -> str:
    """Lines through points; what is not finite (or not positive on a log axis) leaves a gap.

    Args:
        series: name -> (x, y) pairs in drawing order.
        title: shown above, and read to people who cannot see the plot.
        x_label: what the x axis counts, with its unit.
        y_label: the same for the y axis.
        log_x: whether the x axis is logarithmic.
        log_y: whether the y axis is logarithmic.
    """
    frame = _frame(series, title, x_label, y_label, log_x, log_y)
    if frame is None:
        return _nothing(title)
    for number, (name, points) in enumerate(series.items()):
        for stretch in _stretches(points, log_x, log_y):
            shown = _thinned(stretch)
            path = " ".join(
                f"{'L' if at else 'M'}{frame.x(x):.1f} {frame.y(y):.1f}" for at, (x, y) in enumerate(shown)
            )
            line = frame.add("path", d=path, fill="none", stroke=_colour(number))
            line.attrib |= {"stroke-width": "1.8", "stroke-linejoin": "round"}
            line.set("stroke-dasharray", DASHES[number % len(DASHES)])
            for x, y in shown if len(shown) <= 40 else shown[-1:]:
                mark = frame.add("circle", cx=frame.x(x), cy=frame.y(y), r=2.6, fill=_colour(number))
                _tip(mark, f"{name}: {_number(x)}, {_number(y)}")
    return frame.finish(list(series))


def scatter_plot(
    series: Mapping[str, Points],
    *,
    title: str,
    x_label: str,
    y_label: str,
    log_x: bool = False,
    log_y: bool = False,
) -> str:
    """Points by themselves; the arguments are those of `line_plot`."""
    frame = _frame(series, title, x_label, y_label, log_x, log_y)
    if frame is None:
        return _nothing(title)
    for number, (name, points) in enumerate(series.items()):
        for stretch in _stretches(points, log_x, log_y):
            for x, y in stretch:
                mark = _mark(frame, number, frame.x(x), frame.y(y))
                _tip(mark, f"{name}: {_number(x)}, {_number(y)}")
    return frame.finish(list(series))


def histogram(
    values: Iterable[float] | np.ndarray,
    *,
    title: str,
    x_label: str,
    y_label: str,
    weights: Iterable[float] | np.ndarray | None = None,
    bins: int = 40,
    log_x: bool = False,
    log_y: bool = False,
) -> str:
    """How often values fall into `bins` equal ranges (equal ratios where `log_x`).

    Args:
        values: any numbers; what is not finite is left out.
        title: shown above.
        x_label: what the values count, with their unit.
        y_label: what is counted.
        weights: how often each value counts; None: once.
        bins: number of ranges.
        log_x: whether the x axis is logarithmic.
        log_y: whether the y axis is logarithmic.
    """
    numbers = _numbers(values)
    counted = np.ones_like(numbers) if weights is None else _numbers(weights)
    good = np.isfinite(numbers) & (counted > 0) & ((numbers > 0) | (not log_x))
    numbers, counted = numbers[good], counted[good]
    if not numbers.size:
        return _nothing(title)
    low, high = float(numbers.min()), float(numbers.max())
    if low == high:
        low, high = (low / 2, high * 2) if log_x else (low - 0.5, high + 0.5)
    edges = np.geomspace(low, high, bins + 1) if log_x else np.linspace(low, high, bins + 1)
    edges[0], edges[-1] = low, high  # geomspace may miss them by a rounding
    counts = np.histogram(numbers, edges, weights=counted)[0]
    floor = 0.5 if log_y else 0.0
    corners = [(low, floor), (high, max(float(counts.max()), floor * 2))]
    frame = _frame({"": corners}, title, x_label, y_label, log_x, log_y)
    assert frame is not None, "both corners are finite and positive where they must be"
    for left, right, count in zip(edges[:-1], edges[1:], counts, strict=True):
        if count:
            top, bottom = frame.y(float(count)), frame.y(floor)
            width = max(frame.x(float(right)) - frame.x(float(left)) - 0.8, 0.4)
            bar = frame.add("rect", x=frame.x(float(left)), y=top, width=width, height=bottom - top)
            bar.set("fill", _colour(0))
            _tip(bar, f"{_number(float(left))} to {_number(float(right))}: {_number(float(count))}")
    return frame.finish([])


def bar_plot(
    values: Mapping[str, float],
    *,
    title: str,
    x_label: str = "",
    spread: Mapping[str, tuple[float, float]] | None = None,
) -> str:
    """Horizontal bars, one a row, with their figures.

    Args:
        values: row name -> length, zero or more; what is not finite is left out.
        title: shown above.
        x_label: what the length counts, with its unit.
        spread: row name -> (low, high), drawn as a whisker.
    """
    rows = {name: {"": value} for name, value in values.items() if math.isfinite(value)}
    return _bars(rows, title=title, x_label=x_label, spread=spread or {})


def stacked_bar_plot(rows: Mapping[str, Mapping[str, float]], *, title: str, x_label: str = "") -> str:
    """Horizontal bars of several parts: row name -> part name -> length, zero or more."""
    finite = {row: {part: v for part, v in parts.items() if math.isfinite(v)} for row, parts in rows.items()}
    return _bars(finite, title=title, x_label=x_label, spread={})


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its interval, and a level to compare it with.

    Attributes:
        value: the figure.
        low: where the interval begins; None: there is none.
        high: where it ends.
        level: drawn as a dashed mark across the row, such as what guessing gives; None: none.
    """

    value: float
    low: float | None = None
    high: float | None = None
    level: float | None = None


def interval_plot(
    rows: Mapping[str, Mapping[str, Interval]],
    *,
    title: str,
    x_label: str = "",
    level_label: str = "level",
    ends: tuple[float, float] | None = None,
) -> str:
    """Figures with their intervals, one row a name, one mark a series.

    Args:
        rows: row name -> series name -> figure; a single series may be named "".
        title: shown above.
        x_label: what is measured, with its unit.
        level_label: what the dashed marks mean.
        ends: of the axis, where the figures themselves shall not decide them.
    """
    drawn = {name: {s: i for s, i in row.items() if math.isfinite(i.value)} for name, row in rows.items()}
    drawn = {name: row for name, row in drawn.items() if row}
    if not drawn:
        return _nothing(title)
    series = list(dict.fromkeys(name for row in drawn.values() for name in row))
    every = [i for row in drawn.values() for i in row.values()]
    reached = [v for i in every for v in (i.value, i.low, i.high, i.level) if v is not None]
    ticks = _ticks([*reached, *(ends or ())], log=False)
    step = 12.0 + 12.0 * len(series)
    top = 38.0 + (22.0 * _legend_rows(series) if len(series) > 1 else 0.0)
    bottom = top + step * len(drawn)
    left = 16 + min(max(_width(name) for name in drawn), 300.0)
    room = 14 + max(_width(_number(i.value)) for i in every)
    x = _scale(ticks[0], max(ticks[-1], ticks[0] + 1e-12), left, WIDTH - room, log=False)
    levels = any(i.level is not None for i in every)
    svg = _svg(bottom + (46 if x_label or levels else 26), title, x_label or "figures with intervals")
    for tick in ticks:
        _add(svg, "line", x1=x(tick), x2=x(tick), y1=top, y2=bottom, **_GRID)
        _words(svg, _number(tick), x(tick), bottom + 15, anchor="middle")
    frame = _Frame(svg, x, float)
    for number, (name, row) in enumerate(drawn.items()):
        begin = top + step * number
        _words(svg, _cut(name, 300.0), left - 6, begin + step / 2 + 4, anchor="end")
        for place, label in enumerate(series):
            if label in row:
                at = begin + 12 + 12.0 * place if len(series) > 1 else begin + step / 2
                _interval(frame, row[label], place, at, f"{name} {label}".strip())
        for level in {i.level for i in row.values() if i.level is not None}:
            line = _add(svg, "line", x1=x(level), x2=x(level), y1=begin + 2, y2=begin + step - 2)
            line.attrib |= {"stroke": "currentColor", "stroke-width": "1.6", "stroke-dasharray": "3 2"}
            _tip(line, f"{name}, {level_label}: {_number(level)}")
    note = " · ".join(part for part in (x_label, f"┆ {level_label}" if levels else "") if part)
    if note:
        _words(svg, note, (left + WIDTH - room) / 2, bottom + 36, anchor="middle")
    if len(series) > 1:
        _legend(svg, series, lines=False)
    return _text_of(svg)


def _interval(frame: "_Frame", one: Interval, number: int, at: float, name: str) -> None:
    """A whisker, a mark and the figure."""
    end = frame.x(one.value)
    if one.low is not None and one.high is not None:
        low, high = frame.x(one.low), frame.x(one.high)
        for x1, x2, y1, y2 in ((low, high, at, at), (low, low, at - 4, at + 4), (high, high, at - 4, at + 4)):
            line = frame.add("line", x1=x1, x2=x2, y1=y1, y2=y2, stroke=_colour(number))
            line.set("stroke-width", "1.8")
        end = max(end, high)
    _tip(_mark(frame, number, frame.x(one.value), at), f"{name}: {_number(one.value)}")
    _words(frame.svg, _number(one.value), end + 6, at + 4)


def _numbers(values: Iterable[float] | np.ndarray) -> np.ndarray:
    return np.asarray(values if isinstance(values, np.ndarray) else list(values), dtype=np.float64)


@dataclass
class _Frame:
    """A plot being drawn: the element, the scales, and where the axes are."""

    svg: ET.Element
    x: Callable[[float], float]
    y: Callable[[float], float]

    def add(self, tag: str, **attributes: float | str) -> ET.Element:
        return _add(self.svg, tag, **attributes)

    def finish(self, names: Sequence[str]) -> str:
        """The text, with a legend where more than one series has to be told apart."""
        if len(names) > 1:
            _legend(self.svg, names, lines=True)
        return _text_of(self.svg)


def _frame(
    series: Mapping[str, Points], title: str, x_label: str, y_label: str, log_x: bool, log_y: bool
) -> _Frame | None:
    """Axes around all points; None where there is no point to show."""
    shown = [p for points in series.values() for part in _stretches(points, log_x, log_y) for p in part]
    if not shown:
        return None
    x_ticks = _ticks([x for x, _ in shown], log_x)
    y_ticks = _ticks([y for _, y in shown], log_y)
    left = 34 + max(_width(_number(tick)) for tick in y_ticks)
    top = 34.0 + (22.0 * _legend_rows(list(series)) if len(series) > 1 else 0.0)
    right, bottom = WIDTH - 28, HEIGHT - 46
    xs = [x for x, _ in shown] + ([] if log_x else x_ticks[:1])
    x = _scale(min(xs), max(x for x, _ in shown), left, right, log_x)
    y = _scale(min(y_ticks), max(y_ticks), bottom, top, log_y)
    summary = f"{y_label} by {x_label}; {', '.join(name for name in series if name)}".rstrip("; ")
    svg = _svg(HEIGHT, title, summary)
    for tick in x_ticks:
        if left - 1 <= x(tick) <= right + 1:
            _add(svg, "line", x1=x(tick), x2=x(tick), y1=top, y2=bottom, **_GRID)
            _words(svg, _number(tick), x(tick), bottom + 16, anchor="middle")
    for tick in y_ticks:
        _add(svg, "line", x1=left, x2=right, y1=y(tick), y2=y(tick), **_GRID)
        _words(svg, _number(tick), left - 6, y(tick) + 4, anchor="end")
    _words(svg, x_label, (left + right) / 2, HEIGHT - 8, anchor="middle")
    label = _words(svg, y_label, 0, 0, anchor="middle")
    label.set("transform", f"translate(14 {(top + bottom) / 2:.1f}) rotate(-90)")
    return _Frame(svg, x, y)


_GRID = {"stroke": "currentColor", "stroke-opacity": "0.16", "stroke-width": "1"}


def _bars(
    rows: Mapping[str, Mapping[str, float]],
    *,
    title: str,
    x_label: str,
    spread: Mapping[str, tuple[float, float]],
) -> str:
    rows = {name: parts for name, parts in rows.items() if parts}
    if not rows:
        return _nothing(title)
    parts = list(dict.fromkeys(part for row in rows.values() for part in row))
    step = 24.0
    named = len(parts) > 1
    top = 38.0 + (22.0 * _legend_rows(parts) if named else 0.0)
    height = top + step * len(rows) + (46 if x_label else 26)
    left = 16 + min(max(_width(name) for name in rows), 300.0)
    sums = {name: sum(row.values()) for name, row in rows.items()}
    ends = [*sums.values(), *(high for name, (_, high) in spread.items() if name in rows)]
    ticks = _ticks([0.0, *ends], log=False)
    room = 12 + max(_width(_number(total)) for total in sums.values())
    x = _scale(0.0, max(ticks[-1], 1e-12), left, WIDTH - room, log=False)
    svg = _svg(height, title, x_label or "bars")
    for tick in ticks:
        _add(svg, "line", x1=x(tick), x2=x(tick), y1=top, y2=top + step * len(rows), **_GRID)
        _words(svg, _number(tick), x(tick), top + step * len(rows) + 15, anchor="middle")
    for number, (name, row) in enumerate(rows.items()):
        at = top + step * number
        _words(svg, _cut(name, 300.0), left - 6, at + step / 2 + 4, anchor="end")
        reached = 0.0
        for part, value in row.items():
            width = max(x(reached + value) - x(reached), 0.0)
            bar = _add(svg, "rect", x=x(reached), y=at + 3, width=width, height=step - 6)
            bar.set("fill", _colour(parts.index(part)))
            _tip(bar, f"{name}{' / ' + part if part else ''}: {_number(value)}")
            reached += value
        if name in spread:
            low, high = spread[name]
            for x1, x2, y1, y2 in (
                (low, high, 0.5, 0.5),
                (low, low, 0.3, 0.7),
                (high, high, 0.3, 0.7),
            ):
                line = _add(svg, "line", x1=x(x1), x2=x(x2), y1=at + step * y1, y2=at + step * y2)
                line.attrib |= {"stroke": "currentColor", "stroke-width": "1.6"}
            reached = max(reached, high)
        _words(svg, _number(sums[name]), x(reached) + 5, at + step / 2 + 4)
    if x_label:
        _words(svg, x_label, (left + WIDTH - room) / 2, height - 8, anchor="middle")
    if named:
        _legend(svg, parts, lines=False)
    return _text_of(svg)


def _stretches(points: Points, log_x: bool, log_y: bool) -> list[list[tuple[float, float]]]:
    """The points in runs that can be drawn."""
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        drawable = math.isfinite(x) and math.isfinite(y) and not (log_x and x <= 0) and not (log_y and y <= 0)
        if drawable:
            runs[-1].append((float(x), float(y)))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    if len(points) <= MOST_POINTS:
        return points
    kept = {0, len(points) - 1}
    edges = np.linspace(0, len(points), MOST_POINTS // 2 + 1).astype(int)
    for start, stop in pairwise(edges):
        stretch = range(int(start), int(stop))
        kept.add(min(stretch, key=lambda at: points[at][1]))
        kept.add(max(stretch, key=lambda at: points[at][1]))
    return [points[at] for at in sorted(kept)]


def _scale(low: float, high: float, start: float, stop: float, log: bool) -> Callable[[float], float]:
    """A function from values to positions."""
    if log:
        low, high = math.log10(low), math.log10(high)
    if low == high:
        low, high = low - 0.5, high + 0.5

    def position(value: float) -> float:
        return start + (stop - start) * ((math.log10(value) if log else value) - low) / (high - low)

    return position


def _ticks(values: Sequence[float], log: bool) -> list[float]:
    """About five round values that embrace all of `values`."""
    low, high = min(values), max(values)
    if log:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        last = max(last, first + 1)
        if last - first <= 2:
            steps = [m * 10.0**e for e in range(first, last) for m in (1, 2, 5)] + [10.0**last]
            inside = [s for s in steps if low <= s <= high]
            below = [s for s in steps if s < low][-1:]
            above = [s for s in steps if s > high][:1]
            return below + inside + above
        return [10.0**e for e in range(first, last + 1, max(1, (last - first) // 6))] + (
            [] if (last - first) % max(1, (last - first) // 6) == 0 else [10.0**last]
        )
    if low == high:
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * min((m for m in (1, 2, 2.5, 5, 10) if m * power >= rough), default=10)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(n * step, 12) for n in range(first, last + 1)]


def _number(value: float) -> str:
    """A short figure: 12,300 · 1.2M · 0.034 · 3e-05."""
    size = abs(value)
    if size >= 1e12:
        return f"{value:.2g}"
    for factor, unit in ((1e9, "G"), (1e6, "M")):
        if size >= factor:
            return f"{value / factor:.3g}{unit}"
    if size >= 1000 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _width(text: str) -> float:
    return sum(_CHARACTER * (1.75 if east_asian_width(c) in "WF" else 1.0) for c in text)


def _cut(text: str, width: float) -> str:
    if _width(text) <= width:
        return text
    while text and _width(text) > width - _CHARACTER * 2:
        text = text[:-1]
    return text + "…"


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _svg(height: float, title: str, summary: str) -> ET.Element:
    svg = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "role": "img", "class": "plot"})
    svg.attrib |= {"viewBox": f"0 0 {WIDTH:.0f} {height:.0f}", "width": f"{WIDTH:.0f}"}
    svg.attrib |= {"style": "max-width:100%;height:auto", "aria-label": f"{title}. {summary}."}
    svg.attrib |= {"font-family": "system-ui, sans-serif", "font-size": _TEXT}
    heading = _words(svg, title, WIDTH / 2, 18, anchor="middle")
    heading.attrib |= {"font-size": "14", "font-weight": "600"}
    return svg


def _nothing(title: str) -> str:
    svg = _svg(80, title, "nothing to show")
    _words(svg, "nothing to show", WIDTH / 2, 50, anchor="middle")
    return _text_of(svg)


def _add(parent: ET.Element, tag: str, **attributes: float | str) -> ET.Element:
    made = {k: v if isinstance(v, str) else f"{v:.1f}" for k, v in attributes.items()}
    return ET.SubElement(parent, tag, made)


def _words(parent: ET.Element, text: str, x: float, y: float, *, anchor: str = "start") -> ET.Element:
    element = _add(parent, "text", x=x, y=y, fill="currentColor")
    element.set("text-anchor", anchor)
    element.text = _printable(text)
    return element


def _tip(element: ET.Element, text: str) -> None:
    ET.SubElement(element, "title").text = _printable(text)


def _printable(text: str) -> str:
    """Without the characters that XML cannot hold."""
    return "".join(c if c in "\t\n" or (c >= " " and not "\ud800" <= c <= "\udfff") else "�" for c in text)


def _mark(frame: _Frame, number: int, x: float, y: float) -> ET.Element:
    """A round, square or triangular mark by the number of its series."""
    shape, colour = number % 3, _colour(number)
    if shape == 0:
        return frame.add("circle", cx=x, cy=y, r=3.2, fill=colour)
    if shape == 1:
        return frame.add("rect", x=x - 3, y=y - 3, width=6.0, height=6.0, fill=colour)
    return frame.add("path", d=f"M{x:.1f} {y - 4:.1f}l4 7h-8z", fill=colour)


def _legend_places(names: Sequence[str]) -> list[tuple[float, float]]:
    """Where the entries go, wrapped to the width of the plot."""
    places, x, y = [], 16.0, 40.0
    for name in names:
        width = 36 + _width(name)
        if x + width > WIDTH and x > 16:
            x, y = 16.0, y + 22
        places.append((x, y))
        x += width
    return places


def _legend_rows(names: Sequence[str]) -> int:
    return len({y for _, y in _legend_places(names)})


def _legend(svg: ET.Element, names: Sequence[str], *, lines: bool) -> None:
    for number, (name, (x, y)) in enumerate(zip(names, _legend_places(names), strict=True)):
        if lines:
            line = _add(svg, "line", x1=x, x2=x + 18, y1=y, y2=y, stroke=_colour(number))
            line.attrib |= {"stroke-width": "2.4", "stroke-dasharray": DASHES[number % len(DASHES)]}
        else:
            _add(svg, "rect", x=x + 4, y=y - 6, width=12.0, height=12.0, fill=_colour(number))
        _words(svg, name, x + 23, y + 4)


def _text_of(svg: ET.Element) -> str:
    for element in svg.iter():
        if element.get("stroke-dasharray") == "":
            del element.attrib["stroke-dasharray"]
    return ET.tostring(svg, encoding="unicode")
