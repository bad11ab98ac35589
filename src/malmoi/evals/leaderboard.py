"""The results in a store side by side, where they may stand side by side.

Of each model and suite the newest result counts. A column is a task as it was run: two runs with different
protocols, splits, versions, numbers of solved examples, forms, items or data are two columns, never one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from malmoi.core.store import Artifact, Store
from malmoi.evals.results import RESULTS, EvalResult, MetricResult, TaskResult, read_result


@dataclass(frozen=True, slots=True)
class Column:
    """A task as it was run."""

    task: str
    metric: str
    protocol: str
    split: str
    form: str
    shots: int
    version: int
    items: int
    data: tuple[str, ...]

    @property
    def title(self) -> str:
        """Short: the task, and how it was run."""
        return f"{self.task} ({self.shots}-shot, {self.form}, n {self.items:,})"


@dataclass(frozen=True, slots=True)
class Row:
    """A model's newest result on a suite."""

    model: str
    sha256: str | None
    report: str
    made: str
    figures: dict[Column, MetricResult]


@dataclass(frozen=True, slots=True)
class Board:
    """The models of one suite and protocol; best mean first."""

    suite: str
    protocol: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    def mean(self, row: Row) -> float | None:
        """The mean of the columns that every model has; None where there is none, or no figure in one."""
        shared = self.shared
        values = [row.figures[column].value for column in shared]
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known and len(known) == len(values) else None

    @property
    def shared(self) -> list[Column]:
        """The columns that every model has."""
        return [column for column in self.columns if all(column in row.figures for row in self.rows)]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "suite": self.suite,
            "protocol": self.protocol,
            "models": [
                {
                    "model": row.model,
                    "sha256": row.sha256,
                    "report": row.report,
                    "mean": self.mean(row),
                    "tasks": [
                        {
                            "task": column.task,
                            "split": column.split,
                            "form": column.form,
                            "shots": column.shots,
                            "version": column.version,
                            "items": column.items,
                            **figure.model_dump(),
                        }
                        for column, figure in row.figures.items()
                    ],
                }
                for row in self.rows
            ],
        }


def read_boards(store: Store, *, suite: str | None = None) -> list[Board]:
    """Boards of all suites in a store, by name of suite and protocol."""
    newest: dict[tuple[str, str, str, str | None], tuple[Artifact, EvalResult]] = {}
    for artifact in store.artifacts("report"):
        if not (artifact.path / RESULTS).is_file():
            continue  # a report of something else, such as an ablation
        result = read_result(artifact.path)
        if suite is None or result.suite == suite:
            newest[result.suite, result.protocol, result.model, result.model_sha256] = (artifact, result)
    groups: dict[tuple[str, str], list[Row]] = {}
    for (name, protocol, *_), (artifact, result) in newest.items():
        groups.setdefault((name, protocol), []).append(_row(artifact, result))
    return [_board(name, protocol, rows) for (name, protocol), rows in sorted(groups.items())]


def _row(artifact: Artifact, result: EvalResult) -> Row:
    figures = {column_of(task, result.protocol): task.metrics[0] for task in result.tasks if task.metrics}
    made = f"{artifact.manifest.created_at:%Y-%m-%d %H:%M}"
    return Row(result.model_name, result.model_sha256, artifact.id, made, figures)


def column_of(task: TaskResult, protocol: str) -> Column:
    """The column that a task's result belongs to."""
    return Column(
        task=task.name,
        metric=task.metrics[0].name,
        protocol=protocol,
        split=task.split,
        form=task.form,
        shots=task.shots,
        version=task.version,
        items=task.items,
        data=tuple(sorted(task.data_sha256.values())),
    )


def _board(suite: str, protocol: str, rows: Sequence[Row]) -> Board:
    columns = tuple(sorted(set(_columns(rows)), key=lambda c: (c.task, c.shots, c.form, c.split, c.items)))
    board = Board(suite, protocol, columns, tuple(rows))
    ordered = sorted(rows, key=lambda row: (-(board.mean(row) or 0.0), row.model))
    return Board(suite, protocol, columns, tuple(ordered))


def _columns(rows: Iterable[Row]) -> Iterable[Column]:
    for row in rows:
        yield from row.figures


def find_report(store: Store, name: str) -> Path:
    """The folder of a report: its id, `latest`, or a path.

    Raises:
        UnknownName: there is no such report; the message names the nearest.
    """
    path = Path(name)
    if ("/" in name or name == ".") and (path / RESULTS).is_file():
        return path
    reports = [one for one in store.artifacts("report") if (one.path / RESULTS).is_file()]
    if name == "latest" and reports:
        return reports[-1].path
    for one in reports:
        if name in (one.id, one.manifest.run):
            return one.path
    from malmoi.core.errors import UnknownName

    raise UnknownName(
        "evaluation report", name, [one.id for one in reports], fix="Make one with: malmoi evals run."
    )
