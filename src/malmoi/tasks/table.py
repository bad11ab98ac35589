"""Tasks that are a table and a few templates, described by a TOML file.

    title = "KoBEST COPA: which alternative follows?"
    license = "CC BY-SA 4.0"
    source = "where the files come from"
    files = {train = "kobest/COPA/train.tsv", dev = "kobest/COPA/dev.tsv"}   # under the data folder
    question = "{{ row.sentence }}"          # Jinja over the row
    choices = ["{{ row['1'] }}", "{{ row['2'] }}"]
    answer = "{{ row.Answer | int - 1 }}"    # the index of the right choice

The description belongs to the package, the rows do not: they are only ever values of the templates.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from malmoi.core.config import ConfigTree, read_toml
from malmoi.core.errors import InvalidInput, NotFound
from malmoi.tasks.base import Example


class TableSettings(BaseModel):
    """A table task as its file says it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    title: str
    license: str
    source: str
    files: dict[str, str]
    """Split -> tab-separated file with a header, relative to the data folder."""
    question: str
    choices: tuple[str, ...]
    answer: str
    separator: str = "\n\n"
    """Between solved examples and the question."""


class TableTask:
    """A multiple-choice task over the rows of a file.

    Args:
        name: `family/task`.
        settings: its description.
        data: the folder that the user gave.
    """

    def __init__(self, name: str, settings: TableSettings, data: Path) -> None:
        from jinja2 import StrictUndefined
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        self.name = name
        self.settings = settings
        self._data = data
        # Not HTML: the text is read by a model.
        environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
        self._question = environment.from_string(settings.question)
        self._choices = [environment.from_string(choice) for choice in settings.choices]
        self._answer = environment.from_string(settings.answer)

    def file(self, split: str) -> Path:
        """The file of a split.

        Raises:
            NotFound: the task has no such split, or the file is not there.
        """
        if split not in self.settings.files:
            raise NotFound(f"{self.name} has no split {split!r}; it has {', '.join(self.settings.files)}.")
        path = self._data / self.settings.files[split]
        if not path.is_file():
            raise NotFound(
                f"{self.name}: there is no file {path}.", fix=f"Fetch it from {self.settings.source}."
            )
        return path

    def examples(self, split: str) -> Sequence[Example]:
        """All items of a split, in the order of their file.

        Raises:
            NotFound: the file is not there.
            InvalidInput: a row lacks a column or names no choice; the message has file and line.
        """
        path = self.file(split)
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            return [self._example(row, path, number) for number, row in enumerate(rows, start=2)]

    def _example(self, row: Mapping[str, Any], path: Path, line: int) -> Example:
        from jinja2 import TemplateError

        cells = {name: (value or "").strip() for name, value in row.items() if isinstance(name, str)}
        try:
            choices = tuple(choice.render(row=cells).strip() for choice in self._choices)
            number = int(self._answer.render(row=cells))
            if not 0 <= number < len(choices):
                raise IndexError(f"there is no choice {number} (counted from 0)")
            question = self._question.render(row=cells).strip()
        except (TemplateError, ValueError, IndexError, TypeError) as error:
            raise InvalidInput(
                f"{path}, line {line}: {error}.", fix=f"The file should be as {self.settings.source} has it."
            ) from None
        return Example(id=str(line), question=question, choices=choices, answer=choices[number])

    def prompt(self, example: Example, shots: Sequence[Example] = ()) -> str:
        """The question after its solved examples; the choices themselves are not shown (cloze form)."""
        solved = [f"{shot.question} {shot.answer}" for shot in shots]
        return self.settings.separator.join([*solved, example.question])

    def grade(self, example: Example, answer: str) -> float:
        """1 for the right choice, 0 for another."""
        return 1.0 if answer.strip() == example.answer else 0.0


def known_tasks() -> dict[str, Path]:
    """The descriptions that come with Malmoi: `family/task` -> file."""
    folder = Path(__file__).parent
    return {f"{path.parent.name}/{path.stem}": path for path in sorted(folder.glob("*/*.toml"))}


def open_task(name: str, data: Path) -> TableTask:
    """The task with this name over the files under `data`.

    Raises:
        UnknownName: there is none; the message names the nearest.
        ConfigError: its description is wrong.
    """
    from malmoi.core.errors import UnknownName

    known = known_tasks()
    if name not in known:
        raise UnknownName("task", name, known)
    tree = ConfigTree()
    tree.merge(read_toml(known[name]), origin=str(known[name]))
    return TableTask(name, tree.validate(TableSettings), data)
