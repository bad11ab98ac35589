"""How many documents and bytes each step saw, kept and dropped, by source and reason."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

LENGTH_STEPS = 4
"""Classes of length for each doubling of it."""
QUALITY_CLASSES = 40
"""Classes of the quality score."""


@dataclass
class StepCount:
    """One step's count for one source; bytes are UTF-8 bytes of text."""

    seen: int = 0
    kept: int = 0
    bytes_seen: int = 0
    bytes_kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    """Documents by reason."""
    did: Counter[str] = field(default_factory=Counter)
    """What a step that changes documents did, by kind."""

    def add(self, other: "StepCount") -> None:
        """Add another count to this one."""
        self.seen += other.seen
        self.kept += other.kept
        self.bytes_seen += other.bytes_seen
        self.bytes_kept += other.bytes_kept
        self.dropped.update(other.dropped)
        self.did.update(other.did)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "seen": self.seen,
            "kept": self.kept,
            "bytes_seen": self.bytes_seen,
            "bytes_kept": self.bytes_kept,
            "dropped": dict(sorted(self.dropped.items())),
            "did": dict(sorted(self.did.items())),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "StepCount":
        """From `to_json`."""
        return cls(**{**value, "dropped": Counter(value["dropped"]), "did": Counter(value["did"])})


class Tally:
    """Counts by step, in the order in which steps first counted, and by source."""

    def __init__(self) -> None:
        self.steps: dict[str, dict[str, StepCount]] = {}

    def of(self, step: str, source: str) -> StepCount:
        """The count to add to."""
        sources = self.steps.get(step)
        if sources is None:
            sources = self.steps[step] = {}
        count = sources.get(source)
        if count is None:
            count = sources[source] = StepCount()
        return count

    def total(self, step: str) -> StepCount:
        """A step's count over all sources."""
        total = StepCount()
        for count in self.steps.get(step, {}).values():
            total.add(count)
        return total

    def add(self, other: "Tally") -> None:
        """Add another tally to this one."""
        for step, sources in other.steps.items():
            for source, count in sources.items():
                self.of(step, source).add(count)

    def to_json(self) -> list[dict[str, Any]]:
        """A list of steps, each with its total and its sources."""
        return [
            {
                "name": step,
                **self.total(step).to_json(),
                "sources": {name: count.to_json() for name, count in sorted(sources.items())},
            }
            for step, sources in self.steps.items()
        ]

    @classmethod
    def from_json(cls, steps: Iterable[dict[str, Any]]) -> "Tally":
        """From `to_json`."""
        tally = cls()
        for step in steps:
            for source, count in step["sources"].items():
                tally.of(step["name"], source).add(StepCount.from_json(count))
        return tally
