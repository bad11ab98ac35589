"""A figure as SVG, drawn from checked numbers and escaped words: nothing in it can run or load anything."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

_WIDTH, _HEIGHT = 640, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 44, 60
# Okabe and Ito (2008): told apart by people who see fewer colours.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#F0E442")
_FONT = "system-ui, 'Noto Sans KR', 'Malgun Gothic', sans-serif"
_MOST_NAMES = 24


@dataclass(frozen=True, slots=True)
class _Series:
    kind: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    label: str
    names: tuple[str, ...]


def draw(figure: Mapping[str, Any]) -> bytes | None:
    """A figure as SVG; None where it is not one.

    Args:
        figure: `series` and the texts `title`, `x` and `y`, as the sandbox tells them. It is not trusted.
    """
    series = [checked for told in _list(figure.get("series")) if (checked := _checked(told)) is not None]
    if not series:
        return None
    title, x, y = (_word(figure.get(key)) for key in ("title", "x", "y"))
    if series[0].kind == "pie":
        body = _pie(series[0])
    elif any(one.kind == "barh" for one in series):
        body = _bars([one for one in series if one.kind == "barh"], x, y, lying=True)
    elif any(one.kind == "bar" for one in series):
        body = _bars([one for one in series if one.kind == "bar"], x, y, lying=False)
    else:
        body = _lines(series, x, y)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" role="img" font-family="{_FONT}" font-size="12">'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>'
    )
    named = _text(_WIDTH / 2, 24, title, size=16) if title else ""
    return f"{head}{named}{body}{_legend(series)}</svg>".encode()


def _list(value: Any) -> list[Any]:
    return value[:20] if isinstance(value, list) else []


def _checked(told: Any) -> _Series | None:
    if not isinstance(told, Mapping) or told.get("kind") not in ("line", "scatter", "bar", "barh", "pie"):
        return None
    x, y = _numbers(told.get("x")), _numbers(told.get("y"))
    if not x or len(x) != len(y):
        return None
    names = told.get("names")
    words = tuple(_word(name)[:40] for name in names[: len(x)]) if isinstance(names, list) else ()
    return _Series(str(told["kind"]), x, y, _word(told.get("label")), words)


def _numbers(values: Any) -> tuple[float, ...]:
    if not isinstance(values, list) or len(values) > 5000:
        return ()
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return ()
    return tuple(float(value) if abs(value) < 1e100 else math.nan for value in values)


def _word(value: Any) -> str:
    text = value if isinstance(value, str) else ""
    return "".join(sign if sign.isprintable() else " " for sign in text)[:200]


def _lines(series: Sequence[_Series], x: str, y: str) -> str:
    points = [(a, b) for one in series for a, b in zip(one.x, one.y, strict=True)]
    finite = [(a, b) for a, b in points if math.isfinite(a) and math.isfinite(b)]
    if not finite:
        return ""
    across = _Scale([a for a, _ in finite], _LEFT, _WIDTH - _RIGHT)
    up = _Scale([b for _, b in finite], _HEIGHT - _BOTTOM, _TOP)
    parts = [_axes(across, up, x, y)]
    for number, one in enumerate(series):
        colour = _COLOURS[number % len(_COLOURS)]
        placed = [
            (across(a), up(b)) if math.isfinite(a) and math.isfinite(b) else None
            for a, b in zip(one.x, one.y, strict=True)
        ]
        if one.kind == "line":
            parts.append(_path(placed, colour))
        else:
            parts += [
                f'<circle cx="{point[0]:.1f}" cy="{point[1]:.1f}" r="3.5" fill="{colour}"/>'
                for point in placed
                if point is not None
            ]
    return "".join(parts)


def _path(points: Sequence[tuple[float, float] | None], colour: str) -> str:
    drawn: list[str] = []
    lifted = True
    for point in points:
        if point is None:
            lifted = True
            continue
        drawn.append(f"{'M' if lifted else 'L'}{point[0]:.1f} {point[1]:.1f}")
        lifted = False
    return f'<path d="{"".join(drawn)}" fill="none" stroke="{colour}" stroke-width="2"/>'


def _bars(series: Sequence[_Series], x: str, y: str, *, lying: bool) -> str:
    count = max(len(one.x) for one in series)
    values = [value for one in series for value in one.y if math.isfinite(value)]
    if not values:
        return ""
    names = max((one.names for one in series), key=len)
    ends = (_LEFT, _WIDTH - _RIGHT) if lying else (_HEIGHT - _BOTTOM, _TOP)
    scale = _Scale([0.0, *values], *ends)
    low, high = (_TOP, _HEIGHT - _BOTTOM) if lying else (_LEFT, _WIDTH - _RIGHT)
    slot = (high - low) / count
    thick = slot * 0.8 / len(series)
    parts = [_grid(scale, lying=lying), _labels(x, y)]
    for number, one in enumerate(series):
        colour = _COLOURS[number % len(_COLOURS)]
        for place, value in enumerate(one.y):
            if not math.isfinite(value):
                continue
            begin = low + slot * place + slot * 0.1 + thick * number
            near, far = sorted((scale(0.0), scale(value)))
            size = max(far - near, 0.5)
            box = (near, begin, size, thick) if lying else (begin, near, thick, size)
            parts.append(
                f'<rect x="{box[0]:.1f}" y="{box[1]:.1f}" width="{box[2]:.1f}" height="{box[3]:.1f}" '
                f'fill="{colour}"/>'
            )
    every = math.ceil(count / _MOST_NAMES)
    for place in range(0, min(count, len(names)), every):
        middle = low + slot * (place + 0.5)
        if lying:
            parts.append(_text(_LEFT - 8, middle + 4, names[place][:12], anchor="end"))
        else:
            parts.append(_text(middle, _HEIGHT - _BOTTOM + 18, names[place][:12]))
    return "".join(parts)


def _pie(one: _Series) -> str:
    values = [max(value, 0.0) if math.isfinite(value) else 0.0 for value in one.y][:20]
    total = sum(values)
    if total <= 0:
        return ""
    middle_x, middle_y, radius = 220.0, _HEIGHT / 2 + 10, 140.0
    parts: list[str] = []
    begin = -math.pi / 2
    for number, value in enumerate(values):
        end = begin + 2 * math.pi * value / total
        colour = _COLOURS[number % len(_COLOURS)]
        if value == total:
            parts.append(f'<circle cx="{middle_x}" cy="{middle_y}" r="{radius}" fill="{colour}"/>')
        elif value:
            edge = [(middle_x + radius * math.cos(a), middle_y + radius * math.sin(a)) for a in (begin, end)]
            parts.append(
                f'<path d="M{middle_x} {middle_y}L{edge[0][0]:.1f} {edge[0][1]:.1f}A{radius} {radius} 0 '
                f'{int(end - begin > math.pi)} 1 {edge[1][0]:.1f} {edge[1][1]:.1f}Z" fill="{colour}" '
                f'stroke="#ffffff"/>'
            )
        name = one.names[number] if number < len(one.names) else ""
        row = 80 + 20 * number
        parts.append(f'<rect x="410" y="{row - 10}" width="12" height="12" fill="{colour}"/>')
        parts.append(_text(430, row, f"{name} {value / total:.1%}".strip(), anchor="start"))
        begin = end
    return "".join(parts)


class _Scale:
    """From values to places on the picture, with round marks."""

    def __init__(self, values: Sequence[float], begin: float, end: float) -> None:
        low, high = min(values), max(values)
        if low == high:
            low, high = low - 1, high + 1
        step = _round_step((high - low) / 5)
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        self.marks = [number * step for number in range(first, last + 1)][:50]
        self._low, self._high = first * step, last * step
        self._begin, self._end = begin, end

    def __call__(self, value: float) -> float:
        part = (value - self._low) / (self._high - self._low)
        return self._begin + part * (self._end - self._begin)


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= rough * (1 - 1e-9))


def _axes(across: _Scale, up: _Scale, x: str, y: str) -> str:
    return _grid(up, lying=False) + _grid(across, lying=True) + _labels(x, y)


def _grid(scale: _Scale, *, lying: bool) -> str:
    parts: list[str] = []
    for mark in scale.marks:
        place = scale(mark)
        shown = f"{mark:.10g}"
        if lying:
            ends: tuple[float, float, float, float] = (place, _TOP, place, _HEIGHT - _BOTTOM)
            label = _text(place, _HEIGHT - _BOTTOM + 18, shown)
        else:
            ends = (_LEFT, place, _WIDTH - _RIGHT, place)
            label = _text(_LEFT - 8, place + 4, shown, anchor="end")
        parts.append(
            f'<line x1="{ends[0]:.1f}" y1="{ends[1]:.1f}" x2="{ends[2]:.1f}" y2="{ends[3]:.1f}" '
            f'stroke="#dddddd"/>{label}'
        )
    return "".join(parts)


def _labels(x: str, y: str) -> str:
    below = _text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 14, x) if x else ""
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    turned = f' transform="rotate(-90 16 {middle:.0f})"'
    return below + (_text(16, middle, y, more=turned) if y else "")


def _legend(series: Sequence[_Series]) -> str:
    parts: list[str] = []
    for number, one in enumerate(series):
        if not one.label or one.label.startswith("_"):
            continue
        row = _TOP + 8 + 18 * len(parts)
        colour = _COLOURS[number % len(_COLOURS)]
        mark = f'<rect x="{_WIDTH - 150}" y="{row - 9}" width="12" height="12" fill="{colour}"/>'
        parts.append(mark + _text(_WIDTH - 132, row + 1, one.label[:20], anchor="start"))
    return "".join(parts)


def _text(x: float, y: float, text: str, *, anchor: str = "middle", size: int = 12, more: str = "") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="#222222"{more}>'
        f"{escape(text)}</text>"
    )
