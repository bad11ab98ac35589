"""Tasks that are a table and a few templates, described by a TOML file (its keys: tasks/settings.py).

The description belongs to the package or to the user, the rows to neither: they are only ever values of the
templates.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from malmoi.core.errors import InvalidInput, NotFound
from malmoi.tasks.base import Example, Form, TaskInfo
from malmoi.tasks.catalog import known_tasks, read_settings
from malmoi.tasks.forms import answer_word, letters_of, render_options, rotate_choices, shuffle_choices
from malmoi.tasks.graders import Grader, build_grader
from malmoi.tasks.graders.choice import parse_choice
from malmoi.tasks.rows import Row, find_files, read_rows
from malmoi.tasks.settings import Patterns, TableSettings, as_tuple
from malmoi.tasks.shots import ShotRows, choose_shots
from malmoi.tasks.templates import Templates, parse_json

if TYPE_CHECKING:
    from jinja2.runtime import Context

__all__ = ["TableSettings", "TableTask", "choose_shots", "known_tasks", "open_task", "shuffle_choices"]

_ASKED = frozenset({"question", "choices", "letters", "options", "category", "fields", "language"})
_READ = frozenset({"row", "line", "file", "split"})
# Graders of one family, beside its tasks.
_FAMILY_GRADERS = {
    "entities": "malmoi.tasks.klue.entities:EntityGrader",
    "dependencies": "malmoi.tasks.klue.dependencies:DependencyGrader",
    "kobbq": "malmoi.tasks.kobbq.answers:BiasGrader",
}


@runtime_checkable
class ChoiceReader(Protocol):
    """A grader with rules of its own for which choice an answer names."""

    def read(self, example: Example, answer: str) -> str:
        """The text of the choice; the answer itself where it names none."""
        ...


class TableTask:
    """A task over the rows of files.

    Args:
        name: `family/task`.
        settings: its description.
        data: the folder that the user gave.
        origin: the description's file, for messages.

    Raises:
        ConfigError: a template or the grader is wrong; the message has file and key.
    """

    def __init__(self, name: str, settings: TableSettings, data: Path, *, origin: str = "") -> None:
        self.name = name
        self.settings = settings
        self._data = Path(origin).parent if settings.shipped and origin else data
        self._examples: dict[str, tuple[Example, ...]] = {}
        self._templates = templates = Templates(origin or name)
        self._id = templates.text("id", settings.id, _READ)
        self._question = templates.text("question", settings.question, _READ)
        self._choices = [templates.text("choices", choice, _READ) for choice in settings.choices]
        self._choices_from = (
            templates.expression("choices_from", settings.choices_from, _READ)
            if settings.choices_from
            else None
        )
        self._answer = templates.text("answer", settings.answer, _READ)
        self._category = templates.text("category", settings.category, _READ)
        self._fields = {key: templates.text(f"fields.{key}", t, _READ) for key, t in settings.fields.items()}
        self._where = templates.condition("where", settings.where, _READ) if settings.where else None
        self._description = templates.text("description", settings.description, _ASKED)
        self._shown = templates.text("shown_question", settings.shown_question, _ASKED)
        self._scored = templates.text("scored", settings.scored, _ASKED)
        self._grader = self._build_grader()
        self.info = self._info()

    def _build_grader(self) -> Grader | None:
        settings = dict(self.settings.grader)
        if not settings:
            if self.settings.asked_as == "choice":
                return None
            settings = {"kind": "exact"}
        target = _FAMILY_GRADERS.get(str(settings.get("kind")))
        if target is None:
            return build_grader(settings)
        module, _, attribute = target.partition(":")
        return cast("Grader", getattr(import_module(module), attribute).model_validate(settings))

    def _info(self) -> TaskInfo:
        said = self.settings
        return TaskInfo(
            title=said.title,
            license=said.license,
            source=said.source,
            kind=said.asked_as,
            metrics=said.metrics or (("accuracy",) if said.asked_as == "choice" else ("mean",)),
            shots=said.shots,
            split=self._first_there(said.split),
            shot_split=self._first_there(said.shot_split),
            stop=said.stop,
            max_tokens=said.max_tokens,
            language=said.language,
            version=said.version,
        )

    def _first_there(self, splits: Patterns) -> str:
        """The first of the splits whose files are there; where none is, the first that the task has."""
        named = [split for split in as_tuple(splits) if split in self.settings.files] or list(
            self.settings.files
        )
        there = (split for split in named if self._find(self.settings.files[split]))
        return next(there, named[0])

    @property
    def shot_rows(self) -> ShotRows:
        """Which rows of the shots' split are taken."""
        return self.settings.shot_rows

    @property
    def shots_of_category(self) -> bool:
        """Whether solved examples are of the item's own category."""
        return self.settings.shots_of_category

    # Reading.

    def paths(self, split: str) -> list[Path]:
        """The files of a split.

        Raises:
            NotFound: the task has no such split, or its file is not there.
        """
        files = self.settings.files
        if split not in files:
            raise NotFound(f"{self.name} has no split {split!r}; it has {', '.join(files)}.")
        found = self._there(files[split])
        if split in self.settings.beside:
            found = [*found, *self._there(self.settings.beside[split])]
        return found

    def _find(self, patterns: Patterns) -> list[Path]:
        return find_files(self._data, as_tuple(patterns))

    def _there(self, patterns: Patterns) -> list[Path]:
        found = self._find(patterns)
        if not found:
            first, *others = as_tuple(patterns)
            places = str(self._data / first)
            if others:
                places += f" (or in one of {len(others)} other layouts)"
            raise NotFound(
                f"{self.name}: there is no file {places}.", fix=f"Fetch it from {self.settings.source}."
            )
        return found

    def examples(self, split: str) -> Sequence[Example]:
        """All items of a split, in the order of their files; read once.

        Raises:
            NotFound: the task has no such split, or a file is not there.
            InvalidInput: a row is not as it should be; the message has file and line.
            MissingExtra: a library that reads the file is not installed.
        """
        if split not in self._examples:
            self.paths(split)
            read = self._read(split)
            self._examples[split] = tuple(_with_own_ids(read))
        return self._examples[split]

    def _read(self, split: str) -> Iterator[Example]:
        from jinja2 import TemplateError

        wrong = (TemplateError, ArithmeticError, LookupError, RecursionError, TypeError, ValueError)
        files = self._there(self.settings.files[split])
        names, several = {path: _names_of(path) for path in files}, len(files) > 1
        values = self._templates.values(split=split)  # one for all rows: they are dear to make
        for path, number, row in self._rows(split, files):
            values.parent.update(row=row, line=number, file=names[path])
            try:
                if self._where is not None and not self._where(values):
                    continue
                example = self._example(values, f"{names[path]['stem']}-{number}" if several else str(number))
            except wrong as error:
                raise InvalidInput(
                    f"{path}, line {number}: {_say(error)}.",
                    fix=f"The file should be as {self.settings.source} has it.",
                ) from None
            if self.settings.rotate_choices:
                yield from rotate_choices(example)
            else:
                yield example

    def _rows(self, split: str, files: Sequence[Path]) -> Iterator[tuple[Path, int, Row]]:
        said = self.settings
        if split not in said.beside:
            for path in files:
                for number, row in self._of(path):
                    yield path, number, row
            return
        others = self._there(said.beside[split])
        rows = ((path, *row) for path in files for row in self._of(path))
        beside = (row for path in others for _, row in self._of(path))
        for one, other in zip_longest(rows, beside):
            if one is None or other is None:
                raise InvalidInput(
                    f"{self.name}: {files[0]} and {others[0]} do not have as many rows.",
                    fix="Fetch both again.",
                )
            path, number, row = one
            yield path, number, {**row, "beside": other}

    def _of(self, path: Path) -> Iterator[tuple[int, Row]]:
        said = self.settings
        read = read_rows(
            path, layout=said.format, columns=said.columns, quoted=said.quoted, json_rows=said.json_rows
        )
        for number, row in read:
            for column, other in said.aliases.items():
                if column not in row and other in row:
                    row[column] = row[other]
            yield number, {key: self._clean(cell) for key, cell in row.items()}

    def _clean(self, cell: Any) -> Any:
        return cell.strip() if self.settings.strip and isinstance(cell, str) else cell

    def _example(self, values: "Context", place: str) -> Example:
        said = self.settings
        choices = tuple(self._clean(choice(values)) for choice in self._choices)
        if self._choices_from is not None:
            listed = self._listed(self._choices_from(values))
            choices = tuple(self._clean(str(choice)) for choice in listed)
        answer = self._clean(self._answer(values))
        if choices:
            answer = _chosen(answer, choices, said.answer_as)
        fields: dict[str, Any] = {}
        for key, template in self._fields.items():
            text = template(values)
            fields[key] = parse_json(text) if key in said.fields_json else text
        return Example(
            id=self._id(values).strip() or place,
            question=self._clean(self._question(values)),
            choices=choices,
            answer=answer,
            category=self._category(values).strip(),
            fields=fields,
        )

    def _listed(self, found: Any) -> Sequence[Any]:
        if isinstance(found, str):
            if self.settings.choices_split:
                return found.split(self.settings.choices_split)
            found = _parse_list(found)
        if not isinstance(found, (list, tuple)):
            raise ValueError("choices_from is not a list")
        return found

    # Asking.

    def form_of(self, form: Form = "default") -> Form:
        """`cloze` or `letters`: the task's own where `default` is asked."""
        return self.settings.default_form if form == "default" else form

    def description(self, example: Example) -> str:
        """What stands before everything, for this example's category."""
        return self._description(self._known(example)) if self.settings.description else ""

    def ask(self, example: Example, *, form: Form = "default") -> str:
        """One question without anything before it, and without its answer.

        Raises:
            InvalidInput: the letters form has no letters for so many choices.
        """
        if not self._by_letters(example, form):
            return example.question
        letters = letters_of(example, self.settings.letters)
        options = render_options(example.choices, letters)
        if self.settings.shown_question:
            return self._shown(self._known(example, options, letters))
        return f"{example.question}\n{options}\n{answer_word(self.settings.language)}"

    def solution(self, example: Example, *, form: Form = "default") -> str:
        """The right answer as it stands after its question, with what comes between."""
        if not self._by_letters(example, form):
            return self.settings.answer_prefix + example.answer + self._rest(example)
        letters = letters_of(example, self.settings.letters)
        return f" {letters[example.choices.index(example.answer)]}"

    def prompt(self, example: Example, shots: Sequence[Example] = (), *, form: Form = "default") -> str:
        """The text that a model continues: description, solved examples, and the question."""
        solved = [self.ask(shot, form=form) + self.solution(shot, form=form) for shot in shots]
        asked = self.settings.separator.join([*solved, self.ask(example, form=form)])
        return self.description(example) + asked

    def continuations(self, example: Example, *, form: Form = "default") -> Sequence[str]:
        """What is scored for each choice after its prompt, in their order, with the space before it."""
        if self.settings.scored and not self._by_letters(example, form):
            return (self._rest(example),) * len(example.choices)
        if not self._by_letters(example, form):
            return tuple(self.settings.answer_prefix + choice for choice in example.choices)
        return tuple(f" {letter}" for letter in letters_of(example, self.settings.letters))

    def leads(self, example: Example, *, form: Form = "default") -> Sequence[str]:
        """What each choice adds to the prompt before its continuation: nothing, but where `scored` is said.

        Then it is the choice itself, and all continuations are the same text after it.
        """
        if not self.settings.scored or self._by_letters(example, form):
            return ("",) * len(example.choices)
        between = self.settings.answer_prefix if example.question else ""
        return tuple(between + choice for choice in example.choices)

    def _rest(self, example: Example) -> str:
        return self._scored(self._known(example)) if self.settings.scored else ""

    def _by_letters(self, example: Example, form: Form) -> bool:
        return bool(example.choices) and self.form_of(form) == "letters"

    def _known(self, example: Example, options: str = "", letters: Sequence[str] = ()) -> "Context":
        return self._templates.values(
            question=example.question,
            choices=example.choices,
            letters=letters,
            options=options,
            category=example.category,
            fields=example.fields,
            language=self.settings.language,
        )

    # Grading.

    def read(self, example: Example, answer: str) -> str:
        """The text of the choice that a written answer names; the answer itself where it names none."""
        if answer in example.choices:
            return answer
        grader: object = self._grader
        if isinstance(grader, ChoiceReader):
            return grader.read(example, answer)
        place = parse_choice(answer, example.choices) if example.choices else None
        return answer if place is None else example.choices[place]

    def grade(self, example: Example, answer: str) -> float:
        """How right an answer is, from 0 to 1."""
        if self._grader is not None:
            return self._grader.grade(example, answer)
        return 1.0 if self.read(example, answer).strip() == example.answer.strip() else 0.0

    def grades(self, example: Example, answer: str) -> Mapping[str, float]:
        """Further grades by name, where the grader has some."""
        return self._grader.grades(example, answer) if self._grader is not None else {}


def open_task(name: str, data: Path, *, tasks_folder: Path | None = None) -> TableTask:
    """The task with this name over the files under `data`.

    Args:
        name: `family/task`.
        data: the folder that the files lie under.
        tasks_folder: a folder of the user's own task files.

    Raises:
        UnknownName: there is none; the message names the nearest.
        ConfigError: its description is wrong; the message has file and key.
    """
    settings, origin = read_settings(name, tasks_folder=tasks_folder)
    return TableTask(name, settings, data, origin=origin)


def _names_of(path: Path) -> dict[str, str]:
    return {"name": path.name, "stem": path.name.split(".")[0], "folder": path.parent.name}


def _with_own_ids(examples: Iterator[Example]) -> Iterator[Example]:
    """The examples; where ids come again, `~2`, `~3` and so on are added."""
    from dataclasses import replace

    seen: dict[str, int] = {}
    for example in examples:
        turn = seen[example.id] = seen.get(example.id, 0) + 1
        yield example if turn == 1 else replace(example, id=f"{example.id}~{turn}")


def _chosen(answer: str, choices: Sequence[str], answer_as: str) -> str:
    """The text of the right choice."""
    if answer_as == "text":
        if answer not in choices:
            raise IndexError(f"there is no choice {answer!r}")
        return answer
    if answer_as == "letter":
        label = answer.strip("(). ").upper()
        number = int(label) - 1 if label.isdecimal() else "ABCDEFGHIJKLMNOPQRSTUVWXYZ".find(label or "?")
        if len(label) != 1 or not 0 <= number < len(choices):
            raise IndexError(f"there is no choice {answer!r}")
    else:
        number = int(answer)
        if not 0 <= number < len(choices):
            raise IndexError(f"there is no choice {number} (counted from 0)")
    return choices[number]


def _parse_list(text: str) -> Any:
    """A list written as JSON or as Python writes lists."""
    import ast

    try:
        return parse_json(text)
    except ValueError:
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise ValueError(f"{text[:80]!r} is not a list") from None


def _say(error: Exception) -> str:
    said = str(error).rstrip(".") or type(error).__name__
    return said if len(said) <= 300 else f"{said[:300]} ..."
