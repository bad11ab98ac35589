"""How far a run is: bars on a terminal, a line every few seconds elsewhere. Everything goes to stderr.

    with open_progress() as progress, progress.task("Tokenize", total=100, unit="docs") as task:
        task.advance(1, speed=3.2)

A finished task leaves one line with its time and speed, so that what scrolled by tells the story of the run.
"""

import math
import sys
import unicodedata
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

import click

from malmoi.core.stage import Progress, SilentProgress, Task

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

_PLAIN_EVERY = 5.0
"""Seconds between two lines of a task where there is no terminal."""
_BAR_EVERY = 0.1
_SPEED_OVER = 15.0
"""Seconds that a speed is averaged over."""


@contextmanager
def open_progress(quiet: bool = False) -> Iterator[Progress]:
    """Show progress on stderr until the block ends; `quiet` shows nothing."""
    if quiet:
        yield SilentProgress()
        return
    bars = _open_bars()
    if bars is None:
        yield _Lines()
        return
    with bars:
        yield _Bars(bars)


def _open_bars() -> "Bars | None":
    """Bars of rich where it is installed and stderr is a terminal that can draw them."""
    if not sys.stderr.isatty():
        return None
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
        from rich.table import Column
    except ImportError:
        return None
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    if console.is_dumb_terminal:
        return None
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
        BarColumn(bar_width=16),
        TextColumn(
            "{task.fields[figures]}",
            markup=False,
            table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
        ),
        console=console,
        expand=True,
        refresh_per_second=8,
    )


class _Meter:
    """Counts one task: how much is done, how fast, and how long it will take."""

    def __init__(self, title: str, total: float | None, unit: str) -> None:
        self.title = printable(title)
        self.total = total
        self.unit = printable(unit)
        self.done = 0.0
        self.before: float | None = None
        """What was done already when the task began: a run that goes on says it first."""
        self.shown: dict[str, str | float] = {}
        self.began = monotonic()
        self._last = self.began
        self._past: deque[tuple[float, float]] = deque()

    def advance(self, amount: float = 1.0, **shown: str | float) -> None:
        if self.before is None:
            self.at(0.0)
        self.at(self.done + amount, **shown)

    def at(self, done: float, **shown: str | float) -> None:
        self.done = done
        if self.before is None:
            self.before = done
            self._past.append((self.began, done))
        if shown:
            self.shown.update(shown)
        now = monotonic()
        if now - self._last >= self.every:
            self._last = now
            self._past.append((now, done))
            while now - self._past[0][0] > _SPEED_OVER and len(self._past) > 2:
                self._past.popleft()
            self.show()

    every = _PLAIN_EVERY

    def show(self) -> None:
        raise NotImplementedError

    def speed(self) -> float:
        """Units a second over the last seconds."""
        if not self._past:
            return 0.0
        (then, before), now = self._past[0], monotonic()
        return (self.done - before) / (now - then) if now > then else 0.0

    def figures(self) -> str:
        """Everything about the task but its title, on one line."""
        unit = f" {self.unit}" if self.unit else ""
        speed = self.speed()
        if self.total:
            parts = [f"{math.floor(100 * min(self.done / self.total, 1.0))} %"]
            parts.append(f"{number(self.done)}/{number(self.total)}{unit}")
            if 0 < self.done < self.total and speed > 0:
                parts.append(f"{duration((self.total - self.done) / speed)} left")
        else:
            parts = [f"{number(self.done)}{unit}"]
        parts += [f"{printable(name)} {number(value)}" for name, value in self.shown.items()]
        if speed > 0:
            parts.append(f"{_rate(speed)}{unit}/s")
        return "  ".join(parts)

    def summary(self, failed: bool) -> str:
        """The line that stays."""
        took = monotonic() - self.began
        unit = f" {self.unit}" if self.unit else ""
        parts = [f"{self.title}: {'stopped after' if failed else 'done in'} {duration(took)}"]
        if self.done:
            parts.append(f"{number(self.done)}{unit}")
            if took > 0.1:
                parts.append(f"{_rate((self.done - (self.before or 0.0)) / took)}{unit}/s")
        parts += [f"{printable(name)} {number(value)}" for name, value in self.shown.items()]
        return "  ".join(parts)


class _Line(_Meter):
    """A task that is shown by lines."""

    def show(self) -> None:
        click.echo(f"{self.title}: {self.figures()}", err=True)

    def __enter__(self) -> Task:
        click.echo(f"{self.title} ...", err=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        click.echo(self.summary(failed=kind is not None), err=True)


class _Lines:
    """Progress where there is no terminal: a log, a job, a pipe."""

    def task(self, title: str, *, total: float | None = None, unit: str = "") -> _Line:
        return _Line(title, total, unit)

    def note(self, text: str) -> None:
        click.echo(printable(text), err=True)


class _Bar(_Meter):
    """A task that is shown by a bar."""

    every = _BAR_EVERY

    def __init__(self, bars: "Bars", title: str, total: float | None, unit: str) -> None:
        super().__init__(title, total, unit)
        self._bars = bars

    def show(self) -> None:
        self._bars.update(self._bar, completed=self.done, figures=self.figures())

    def __enter__(self) -> Task:
        self._bar = self._bars.add_task(self.title, total=self.total, figures="")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._bars.remove_task(self._bar)
        self._bars.refresh()
        _say(self._bars, self.summary(failed=kind is not None))


class _Bars:
    """Progress on a terminal."""

    def __init__(self, bars: "Bars") -> None:
        self._bars = bars

    def task(self, title: str, *, total: float | None = None, unit: str = "") -> _Bar:
        return _Bar(self._bars, title, total, unit)

    def note(self, text: str) -> None:
        _say(self._bars, printable(text))


def _say(bars: "Bars", text: str) -> None:
    from rich.text import Text

    bars.console.print(Text(text), soft_wrap=True)


def printable(text: str) -> str:
    """`text` without what could steer a terminal: titles and samples come from data."""
    return "".join(char if _harmless(char) else "\N{REPLACEMENT CHARACTER}" for char in text)


def _harmless(char: str) -> bool:
    """Whether it is a line break, a tab, a joiner of emoji, or no control, format or half character."""
    return char in "\n\t\u200c\u200d" or unicodedata.category(char) not in ("Cc", "Cf", "Cs")


def number(value: Any) -> str:
    """A figure short enough for a progress line: 3 figures and more, thousands parted by commas."""
    if isinstance(value, str):
        return printable(value)
    if not math.isfinite(value):
        return str(value)
    if value == 0 or float(value).is_integer() or abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) >= 100:
        return f"{value:.1f}"
    return f"{value:.3g}" if abs(value) < 1e-3 else f"{value:.3f}".rstrip("0").rstrip(".")


def _rate(speed: float) -> str:
    """Three figures are enough for a speed."""
    return f"{speed:,.0f}" if speed >= 100 else f"{speed:.3g}"


def duration(seconds: float) -> str:
    """Such as 0.4 s, 45 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
