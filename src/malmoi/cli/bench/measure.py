"""A measured figure, and how a figure with its spread is made from repeats."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What to measure with."""

    home: Path
    model: str
    repeats: int
    tokens: int
    """Length of each answer of the gateway."""
    data: Path | None = None
    """The factory's texts; None: a generated corpus."""
    recipe: str = "tiny-ko"
    """The factory's recipe: a name or a file."""
    minutes: float = 4.0
    """Training time of each side where models are compared."""
    parts: frozenset[str] = frozenset()
    """Which parts of a bench that has parts; empty: all."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure. `goal` is a least value, or a greatest one when `lower_is_better`; None: only reported."""

    name: str
    value: float
    unit: str
    peer: str | None = None
    spread: tuple[float, float] | None = None
    goal: float | None = None
    lower_is_better: bool = False
    note: str | None = None

    @property
    def ok(self) -> bool | None:
        """Whether the goal is reached; None without a goal."""
        if self.goal is None:
            return None
        return self.value <= self.goal if self.lower_is_better else self.value >= self.goal

    def line(self) -> str:
        """The figure as one line of JSON."""
        row = {
            "name": self.name,
            "value": _rounded(self.value),
            "unit": self.unit,
            "peer": self.peer,
            "spread": [_rounded(bound) for bound in self.spread] if self.spread else None,
            "goal": self.goal,
            "ok": self.ok,
            "note": self.note,
        }
        return json.dumps({key: value for key, value in row.items() if value is not None}, ensure_ascii=False)


def of_repeats(name: str, values: Sequence[float], unit: str, **rest: object) -> Measure:
    """The median of repeats, with the least and the greatest as its spread."""
    return Measure(name, median(values), unit, spread=(min(values), max(values)), **rest)  # type: ignore[arg-type]


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
