"""What a run will ask: the tasks of a suite, as the protocol and the user want them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from malmoi.core.errors import ConfigError, InvalidInput, MalmoiError, NotFound, UnknownName
from malmoi.evals.results import SkippedTask
from malmoi.evals.suites import Suite, SuiteTask, known_suites, read_suite
from malmoi.tasks.base import Example, Form, Task
from malmoi.tasks.table import known_tasks, open_task

Way: TypeAlias = Literal["field", "report", "cloze"]
"""`field`: as the field asks each task. `report`: as the technical report of HyperCLOVA X does, options shown
with letters, in a random order, read from the table of the next token. `cloze`: options not shown, their
texts scored, which small models can do."""

STOCK = "lm-eval:"
"""Names of lm-eval's own tasks begin with it."""
REPORT = "report"
"""The suite whose lines say the shots and metrics of the protocol `report`."""


@runtime_checkable
class FileTask(Protocol):
    """A task that can name the files of a split."""

    def paths(self, split: str) -> list[Path]:
        """The files of a split."""
        ...


@runtime_checkable
class GradesMore(Protocol):
    """A task that has further grades than the one."""

    def grades(self, example: Example, answer: str) -> Mapping[str, float]:
        """Further grades by name."""
        ...


@runtime_checkable
class ReadsChoices(Protocol):
    """A task that knows which choice a written answer names."""

    def read(self, example: Example, answer: str) -> str:
        """The text of the choice; the answer itself where it names none."""
        ...


@runtime_checkable
class LeadingTask(Protocol):
    """A task whose choices may add to the prompt, as those of Winogrande do."""

    def leads(self, example: Example, *, form: Form = "default") -> Sequence[str]:
        """What each choice adds before what is scored."""
        ...


@runtime_checkable
class FormTask(Protocol):
    """A task that knows which form its default one is."""

    def form_of(self, form: Form = "default") -> Form:
        """`cloze` or `letters`."""
        ...


@dataclass(frozen=True, slots=True)
class AskedTask:
    """A task and how it is asked.

    Attributes:
        form: `cloze` or `letters` of a choice task, `default` of others.
        shots: solved examples before each question.
        split: the one that is scored.
        metrics: names, the main one first.
        samples: answers of one question, of which the most frequent is graded.
        shuffle: whether choices come in another order.
        limit: most items; None: all.
    """

    task: Task
    form: Form
    shots: int
    split: str
    metrics: tuple[str, ...]
    samples: int = 1
    temperature: float = 0.0
    shuffle: bool = False
    max_tokens: int = 256
    limit: int | None = None
    group: str = ""

    @property
    def name(self) -> str:
        """`family/task`."""
        return self.task.name


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user wants of a run. `shots`, `limit` and `split`: instead of what tasks and suites say."""

    data: Path
    suite: str = ""
    tasks: tuple[str, ...] = ()
    protocol: Way = "field"
    shots: int | None = None
    limit: int | None = None
    split: str | None = None
    seed: int = 0
    chat: bool = False
    judge: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Tasks that can be run, names of lm-eval's own tasks, and what cannot be run with the reason."""

    tasks: tuple[AskedTask, ...]
    stock: tuple[str, ...]
    skipped: tuple[SkippedTask, ...]


def make_plan(asked: Asked) -> Plan:
    """Read the suite and see what is on disk.

    Raises:
        UnknownName: there is no such suite or task.
        ConfigError: a description is wrong.
    """
    if not asked.suite and not asked.tasks:
        if asked.judge is not None:
            return Plan((), (), ())
        raise InvalidInput("there is nothing to run.", fix="Give --suite, --task or --judge.")
    names = list(known_tasks())
    lines = _lines(asked, names)
    table = read_suite(REPORT) if REPORT in known_suites() else Suite(title="", tasks=())
    found: list[AskedTask] = []
    skipped: list[SkippedTask] = []
    for line in lines:
        try:
            found.append(_ask(line, asked, table))
        except (NotFound, InvalidInput) as error:
            skipped.append(SkippedTask(name=line.name, reason=error.message, fix=error.fix))
    if asked.suite and not asked.tasks:
        missing = read_suite(asked.suite).missing
        skipped.extend(SkippedTask(name=name, reason=reason) for name, reason in missing.items())
    stock = tuple(name.removeprefix(STOCK) for name in asked.tasks if name.startswith(STOCK))
    return Plan(tuple(found), stock, tuple(skipped))


def _lines(asked: Asked, names: Sequence[str]) -> list[SuiteTask]:
    """The lines of the suite, or of the tasks that were named."""
    if not asked.tasks:
        return [
            line if line.name in names else _unknown(line.name, names)
            for line in read_suite(asked.suite).expanded(names)
        ]
    suite = read_suite(asked.suite) if asked.suite else Suite(title="", tasks=())
    lines: dict[str, SuiteTask] = {}
    for wanted in asked.tasks:
        if wanted.startswith(STOCK):
            continue
        fitting = Suite(title="", tasks=(SuiteTask(name=wanted),)).expanded(names)
        if not fitting or fitting[0].name not in names:
            _unknown(wanted, names)
        for line in fitting:
            lines[line.name] = (suite.settings(line.name) or line).model_copy(update={"name": line.name})
    return list(lines.values())


def _unknown(name: str, names: Sequence[str]) -> SuiteTask:
    raise UnknownName("task", name, names)


def _ask(line: SuiteTask, asked: Asked, table: Suite) -> AskedTask:
    """One task as it will be asked; its files are looked for, and its items read."""
    task = open_task(line.name, asked.data)
    is_report = asked.protocol == "report"
    own = (table.settings(line.name) if is_report else None) or line
    form = _form(task, asked, own)
    shots = (
        asked.shots if asked.shots is not None else own.shots if own.shots is not None else task.info.shots
    )
    split = asked.split or task.info.split
    items = task.examples(split)
    if not items:
        raise InvalidInput(f"{line.name}: the split {split} has no items.")
    if shots:
        task.examples(task.info.shot_split)
    return AskedTask(
        task=task,
        form=form,
        shots=shots,
        split=split,
        metrics=_metrics(own.metrics or task.info.metrics, form),
        samples=own.samples,
        temperature=own.temperature,
        shuffle=own.shuffle if own.shuffle is not None else is_report and form == "letters",
        max_tokens=own.max_tokens or task.info.max_tokens,
        limit=asked.limit,
        group=line.group,
    )


def _form(task: Task, asked: Asked, line: SuiteTask) -> Form:
    if task.info.kind != "choice":
        return "default"
    if asked.protocol == "report" or asked.chat:
        return "letters"  # a conversation cannot be scored, only answered
    if asked.protocol == "cloze":
        return "cloze"
    form = line.form or "default"
    return task.form_of(form) if isinstance(task, FormTask) else form


def _metrics(names: Sequence[str], form: Form) -> tuple[str, ...]:
    """The metrics; where letters are scored, those by the length of a choice's text mean nothing."""
    if form != "letters":
        return tuple(names)
    return tuple(name for name in names if not name.startswith("accuracy_by_")) or ("accuracy",)


def hashes_of(asked: AskedTask) -> dict[str, str]:
    """The sha256 of each file that was read, by its name.

    Raises:
        ConfigError: a file went away.
    """
    import hashlib

    if not isinstance(asked.task, FileTask):
        return {}
    splits = [asked.split, *([asked.task.info.shot_split] if asked.shots else [])]
    try:
        paths = [path for split in dict.fromkeys(splits) for path in asked.task.paths(split)]
        found = {}
        for path in paths:
            with path.open("rb") as file:
                found[f"{path.parent.name}/{path.name}"] = hashlib.file_digest(file, "sha256").hexdigest()
        return found
    except OSError as error:
        raise ConfigError(f"{error.filename} cannot be read any more: {error.strerror}.") from None


def reason_of(name: str, error: MalmoiError) -> SkippedTask:
    """Why a task could not be run."""
    return SkippedTask(name=name, reason=error.message, fix=error.fix)
