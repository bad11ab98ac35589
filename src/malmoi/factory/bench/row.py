"""A figure with its repeats, as a measuring process hands it over: one JSON line."""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `goal` is a least value, or a greatest one when `lower_is_better`."""

    name: str
    values: list[float]
    """Of each repeat."""
    unit: str
    peer: str | None = None
    goal: float | None = None
    lower_is_better: bool = False
    note: str | None = None

    def line(self) -> str:
        """The row as one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)
