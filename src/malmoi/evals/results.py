"""What an evaluation found: results.json has the figures, items.jsonl every prompt, answer and grade."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from malmoi.core.errors import InvalidInput, NotFound
from malmoi.core.files import write_bytes

RESULTS = "results.json"
ITEMS = "items.jsonl"


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ItemResult(_Row):
    """One example, what the model did with it, and the grade."""

    task: str
    id: str
    category: str = ""
    prompt: str
    choices: tuple[str, ...] = ()
    gold: str = ""
    """The right answer."""
    answer: str
    """The chosen or generated one."""
    grade: float
    """In [0, 1]."""
    grades: dict[str, float] = {}
    """Further grades by name, such as `accuracy_by_character` or `strict`."""
    logprobs: tuple[float, ...] = ()
    """Of each choice."""
    finish_reason: str | None = None
    """`length`: the answer was cut off."""
    language: str | None = None
    """Of a generated answer."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    fields: dict[str, Any] = {}
    """What metrics need beyond the grade, such as the kind of context of a bias item."""


class MetricResult(_Row):
    """A figure with its 95 % bootstrap interval over the items."""

    name: str
    value: float | None
    """None: it is not defined on these items."""
    low: float | None = None
    high: float | None = None
    chance: float | None = None
    """What guessing gives."""
    note: str = ""


class TaskResult(_Row):
    """One task."""

    name: str
    title: str
    license: str
    split: str
    form: str
    shots: int
    items: int
    metrics: tuple[MetricResult, ...]
    """The main one first."""
    by_category: dict[str, tuple[MetricResult, ...]] = {}
    truncated: float | None = None
    """Share of generated answers that were cut off; None: nothing was generated."""
    in_language: float | None = None
    """Share of generated answers in the language that was asked for."""
    seconds: float = 0.0
    version: int = 1
    data_sha256: dict[str, str] = {}
    """Of each file that was read."""


class SkippedTask(_Row):
    """A task that could not be run, and what to do about it."""

    name: str
    reason: str
    fix: str = ""

    def sentence(self) -> str:
        """The task, why it could not be run, and what to do."""
        reason = self.reason.removeprefix(f"{self.name}: ")  # messages of tasks begin with their name
        return f"{self.name}: {reason} {self.fix}".rstrip()


class EvalResult(_Row):
    """One model on one suite."""

    model: str
    """As it was asked for."""
    model_sha256: str | None = None
    suite: str
    protocol: str
    seed: int
    started_at: str
    seconds: float
    versions: dict[str, str] = {}
    prompt_tokens: int = 0
    completion_tokens: int = 0
    tasks: tuple[TaskResult, ...]
    skipped: tuple[SkippedTask, ...] = ()

    @property
    def model_name(self) -> str:
        """The model for people: of a path its last part."""
        return self.model.rstrip("/").rpartition("/")[2] if self.model.startswith("path:") else self.model


def write_items(path: Path, items: Iterable[ItemResult]) -> None:
    """Write items, one JSON object a line, atomically."""
    text = "".join(item.model_dump_json() + "\n" for item in items)
    write_bytes(path, text.encode("utf-8"))


def write_result(folder: Path, result: EvalResult) -> None:
    """Write results.json atomically."""
    write_bytes(folder / RESULTS, (result.model_dump_json(indent=1) + "\n").encode("utf-8"))


def read_result(folder: Path) -> EvalResult:
    """Read results.json.

    Raises:
        NotFound: there is none.
        InvalidInput: it is not one.
    """
    path = folder / RESULTS
    if not path.is_file():
        raise NotFound(f"{folder} has no {RESULTS}.", fix="Name a report that `malmoi evals run` made.")
    try:
        return EvalResult.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise InvalidInput(f"{path}: {error.errors()[0]['msg']}.", fix="Run the evaluation again.") from None


def read_items(folder: Path) -> Iterator[ItemResult]:
    """Read items.jsonl.

    Raises:
        NotFound: there is none.
        InvalidInput: a line is not an item; the message has its number.
    """
    path = folder / ITEMS
    if not path.is_file():
        raise NotFound(f"{folder} has no {ITEMS}.", fix="Name a report that `malmoi evals run` made.")
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield ItemResult.model_validate(json.loads(line))
            except (json.JSONDecodeError, ValidationError):
                raise InvalidInput(f"{path}, line {number}: it is not an item.") from None
