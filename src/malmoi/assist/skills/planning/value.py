"""Something that a query says in so many words, and where."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

ValueKind: TypeAlias = Literal["date", "time", "days", "period", "number", "email", "url", "quoted"]


@dataclass(frozen=True, slots=True)
class Value:
    """A value found in a text.

    Attributes:
        kind: what it is.
        value: a date as "2026-11-23", a time as "15:30", days and numbers as numbers, a
            period as its first and last day ("2026-11-23/2026-11-29"), else text.
        start: where its words begin.
        end: behind them.
        unit: of a number: what is counted, as `words.toml` calls it.
    """

    kind: ValueKind
    value: str | int | float
    start: int
    end: int
    unit: str = ""


def unclaimed(values: list[Value]) -> list[Value]:
    """The values in order, none inside another: where two overlap, the longer one stays."""
    kept: list[Value] = []
    for value in sorted(values, key=lambda one: (-(one.end - one.start), one.start)):
        if all(value.end <= other.start or value.start >= other.end for other in kept):
            kept.append(value)
    return sorted(kept, key=lambda one: one.start)
