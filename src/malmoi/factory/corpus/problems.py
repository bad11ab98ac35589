"""What could not be read, counted, with the first examples of each kind."""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from malmoi.core.errors import InvalidInput

MAX_EXAMPLES = 20


def printable(name: str) -> str:
    r"""A name as text: what would steer a terminal, or is no Unicode, is escaped (`\x1b`, `\udcff`)."""
    if name.isprintable():
        return name
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in name)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that could not be read."""

    reason: str
    """One lower-case word with underscores."""
    where: str
    """The file, relative to the data folder, with the line or row after a `#`."""
    detail: str = ""


class Problems:
    """All that was left out while reading; it grows with the kinds of problems, not with their number."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: list[Problem] = []

    def add(self, reason: str, where: str, detail: str = "") -> None:
        """Count one, and keep it as an example if it is among the first of its kind."""
        self.counts[reason] += 1
        if self.counts[reason] <= MAX_EXAMPLES:
            self.examples.append(Problem(reason, printable(where), printable(detail[:200])))

    def report(self) -> dict[str, Any]:
        """Counts and examples as JSON values."""
        return {"counts": dict(self.counts), "examples": [asdict(example) for example in self.examples]}

    def extend(self, report: dict[str, Any]) -> None:
        """Add another's `report`."""
        self.counts.update(report["counts"])
        known = Counter(example.reason for example in self.examples)
        for example in report["examples"]:
            if known[example["reason"]] < MAX_EXAMPLES:
                known[example["reason"]] += 1
                self.examples.append(Problem(**example))

    def require_documents(self, count: int, what: str) -> None:
        """Stop where nothing at all could be read.

        Raises:
            InvalidInput: `count` is 0; the message names the first problems.
        """
        if count:
            return
        first = "; ".join(f"{p.where}: {p.reason} {p.detail}".rstrip() for p in self.examples[:3])
        raise InvalidInput(
            f"no document could be read from {what}{': ' + first if first else ''}.",
            fix="Put .txt, .md, .jsonl(.gz|.zst), .parquet, .csv, .tsv or .html files there, or name them in"
            " `sources`.",
        )
