"""Plots inside the sandbox: `plots`, which code also finds under the name `matplotlib.pyplot`.

The commonest calls of pyplot, kept as plain data; the picture is drawn outside (`picture.py`), so that
nothing that code does in here can put anything into a picture but numbers and words. Standard library only.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

MOST_FIGURES = 8
_MOST_POINTS = 5000
_MOST_SERIES = 20
_LONGEST = 200


class Axes:
    """One picture; its methods are those of pyplot and of its axes."""

    def __init__(self) -> None:
        self.series: list[dict[str, Any]] = []
        self.told: dict[str, Any] = {}

    def plot(self, *values: Any, label: str = "", **_: Any) -> None:
        """A line: `plot(y)`, `plot(x, y)`, `plot(x, y, "o-")`."""
        style = next((value for value in values if isinstance(value, str)), "")
        numbers = [value for value in values if not isinstance(value, str)]
        y = _numbers(numbers[-1])
        x = _numbers(numbers[0]) if len(numbers) > 1 else [float(n) for n in range(len(y))]
        dots = "o" in style or "." in style
        kind = "scatter" if dots and "-" not in style else "line"
        self._add(kind, x, y, label)

    def scatter(self, x: Any, y: Any, *_: Any, label: str = "", **__: Any) -> None:
        """Dots."""
        self._add("scatter", _numbers(x), _numbers(y), label)

    def bar(self, x: Any, height: Any, *_: Any, label: str = "", **__: Any) -> None:
        """Columns; `x` are names or numbers."""
        self._bars("bar", x, height, label)

    def barh(self, y: Any, width: Any, *_: Any, label: str = "", **__: Any) -> None:
        """Bars from left to right."""
        self._bars("barh", y, width, label)

    def hist(self, x: Any, bins: Any = 10, *_: Any, label: str = "", **__: Any) -> None:
        """How many values lie between edges."""
        values = [value for value in _numbers(x) if math.isfinite(value)]
        edges = _edges(values, bins)
        counts = [0.0] * (len(edges) - 1)
        for value in values:
            place = next((n for n in range(len(counts)) if value < edges[n + 1]), len(counts) - 1)
            if edges[0] <= value <= edges[-1]:
                counts[place] += 1
        names = [f"{edge:g}" for edge in edges[:-1]]
        self._add("bar", [float(n) for n in range(len(counts))], counts, label, names)

    def pie(self, x: Any, labels: Any = None, *_: Any, **__: Any) -> None:
        """Shares of a whole."""
        values = _numbers(x)
        names = _names(labels) if labels is not None else ["" for _ in values]
        self._add("pie", [float(n) for n in range(len(values))], values, "", names)

    def set_title(self, text: Any, *_: Any, **__: Any) -> None:
        """What stands above."""
        self.told["title"] = str(text)[:_LONGEST]

    def set_xlabel(self, text: Any, *_: Any, **__: Any) -> None:
        """What stands below."""
        self.told["x"] = str(text)[:_LONGEST]

    def set_ylabel(self, text: Any, *_: Any, **__: Any) -> None:
        """What stands at the left."""
        self.told["y"] = str(text)[:_LONGEST]

    def _nothing(self, *_: Any, **__: Any) -> None:
        """What makes no difference to these pictures."""

    legend = grid = set_xlim = set_ylim = tick_params = set_xticks = set_yticks = axhline = axvline = _nothing

    def _bars(self, kind: str, places: Any, values: Any, label: str) -> None:
        numbers = _numbers(values)
        names = _names(places)
        self._add(kind, [float(n) for n in range(len(numbers))], numbers, label, names)

    def _add(self, kind: str, x: list[float], y: list[float], label: Any, names: Any = None) -> None:
        if len(x) != len(y):
            raise ValueError(f"x and y must have the same length, but have {len(x)} and {len(y)}")
        if len(x) > _MOST_POINTS or len(self.series) >= _MOST_SERIES:
            raise ValueError(f"a plot holds {_MOST_SERIES} series of {_MOST_POINTS} points")
        series = {"kind": kind, "x": x, "y": y, "label": str(label)[:_LONGEST], "names": names or []}
        self.series.append(series)


class Figure:
    """What `figure` and `subplots` give; it does nothing by itself."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: None


class _Drawn:
    """The pictures of this run."""

    def __init__(self) -> None:
        self.axes: list[Axes] = []
        self.open = False

    def current(self) -> Axes:
        if not self.open:
            self.new()
        return self.axes[-1]

    def new(self) -> Axes:
        if len(self.axes) >= MOST_FIGURES:
            raise ValueError(f"at most {MOST_FIGURES} plots are drawn")
        self.axes.append(Axes())
        self.open = True
        return self.axes[-1]


def module(name: str) -> Any:
    """The module that code imports, and its pictures as `drawn`."""
    from types import ModuleType

    drawn = _Drawn()
    made = ModuleType(name, __doc__)
    methods = {
        **{known: known for known in ("plot", "scatter", "bar", "barh", "hist", "pie", "legend", "grid")},
        "title": "set_title",
        "xlabel": "set_xlabel",
        "ylabel": "set_ylabel",
        "xlim": "set_xlim",
        "ylim": "set_ylim",
        "xticks": "set_xticks",
        "yticks": "set_yticks",
        "axhline": "axhline",
        "axvline": "axvline",
    }

    def on_current(method: str) -> Any:
        return lambda *values, **named: getattr(drawn.current(), method)(*values, **named)

    for known, method in methods.items():
        setattr(made, known, on_current(method))

    def figure(*_: Any, **__: Any) -> Figure:
        drawn.open = False
        return Figure()

    def subplots(rows: int = 1, columns: int = 1, *_: Any, **named: Any) -> tuple[Figure, Any]:
        rows, columns = named.get("nrows", rows), named.get("ncols", columns)
        axes = [[drawn.new() for _ in range(columns)] for _ in range(rows)]
        if rows == columns == 1:
            return Figure(), axes[0][0]
        return Figure(), axes[0] if rows == 1 else [row[0] for row in axes] if columns == 1 else axes

    def show(*_: Any, **__: Any) -> None:
        drawn.open = False

    def nothing(*_: Any, **__: Any) -> None:
        return None

    for function in (figure, subplots, show):
        setattr(made, function.__name__, function)
    for known in ("savefig", "tight_layout", "close", "style", "clf"):
        setattr(made, known, nothing)
    made.gca = drawn.current  # type: ignore[attr-defined]
    made.drawn = drawn  # type: ignore[attr-defined]
    return made


def figures(made: Any) -> list[dict[str, Any]]:
    """All pictures as plain data."""
    return [{"series": axes.series, **axes.told} for axes in made.drawn.axes if axes.series]


def _numbers(values: Any) -> list[float]:
    told: Iterable[Any] = values if hasattr(values, "__iter__") else [values]
    return [float(value) for value in told]


def _names(values: Any) -> list[str]:
    told: Iterable[Any] = values if hasattr(values, "__iter__") and not isinstance(values, str) else [values]
    return [f"{value:g}" if isinstance(value, float) else str(value)[:40] for value in told]


def _edges(values: Sequence[float], bins: Any) -> list[float]:
    if hasattr(bins, "__iter__"):
        return [float(edge) for edge in bins]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    width = (high - low) / int(bins) or 1.0
    return [low + width * number for number in range(int(bins) + 1)]
