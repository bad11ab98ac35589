"""The datasets of the study: TOML files in `sets/`, each a table task with its templates.

    [table]                      # as a task's own file (tasks/table.py), without `question`
    title = "NSMC: is the review positive?"
    files = {train = "nsmc/ratings_train.tsv.gz", test = "nsmc/ratings_test.tsv.gz"}
    choices = ["부정", "긍정"]
    split = ["test", "train"]    # scored: the first one whose file is there
    shot_split = "train"         # demonstrations; never an item that is scored
    ...
    [wordings.verbose]           # Wording
    [wordings.minimal]

Any choice task by its name `family/task` can be studied too, with the words of its own prompt.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from malmoi.core.config import ConfigTree, read_toml
from malmoi.core.errors import InvalidInput, UnknownName
from malmoi.evals.icl.wording import LETTERS, Wording
from malmoi.tasks.base import Example, Task

WordingName: TypeAlias = Literal["verbose", "minimal"]
LabelKind: TypeAlias = Literal["words", "letters"]

USUAL = ("nsmc", "sentineg", "klue-nli", "copa")
"""The datasets of a study that names none."""
_RESERVED = 256
"""Examples kept for demonstrations where these come from the file that is scored; a quarter of it at most."""
_CHOSEN_BY = 0
"""Seed of the choice of items: all seeds and models are asked the same ones."""


class SetSettings(BaseModel):
    """A dataset as its file says it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    table: dict[str, Any]
    """Settings of the table task."""
    wordings: dict[WordingName, Wording]
    """The templates."""


@dataclass(frozen=True, slots=True)
class LabelSet:
    """A dataset, ready to be asked.

    Attributes:
        name: short; it also names plots.
        title: what is asked.
        license: of the data.
        split: that the items come from.
        wording: the template.
        items: to be scored.
        pool: to draw demonstrations from; none is among the items.
        labels: names of the labels instead of the choices' own; empty: the choices are the labels.
    """

    name: str
    title: str
    license: str
    split: str
    wording: Wording
    items: tuple[Example, ...]
    pool: tuple[Example, ...]
    labels: tuple[str, ...] = ()

    def label(self, example: Example, place: int) -> str:
        """The text of a label."""
        return self.labels[place] if self.labels else example.choices[place]


def known_sets() -> dict[str, Path]:
    """The datasets that come with Malmoi."""
    folder = Path(__file__).parent / "sets"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def open_set(
    name: str,
    data: Path,
    *,
    wording: WordingName = "verbose",
    labels: LabelKind = "words",
    limit: int | None = None,
) -> LabelSet:
    """Read a dataset.

    Args:
        name: one of `known_sets()`, or `family/task` of a choice task.
        data: the folder that the user gave.
        wording: which template; a task by its name has only its own.
        labels: `letters` takes A, B, C for the labels: words without a meaning of their own.
        limit: score so many items at most, drawn at random, the same ones every time.

    Raises:
        UnknownName: there is no such dataset.
        NotFound: its files are not there.
        InvalidInput: letters were asked for where every item has its own choices.
    """
    if "/" in name:
        task, words = _registered(name, data), Wording(question="", joiner=" ")
    else:
        task, words = _own(name, data, wording)
    info = task.info
    examples = [example for example in task.examples(info.split) if example.answer in example.choices]
    if not examples:
        raise InvalidInput(f"{name}: the split {info.split} has no usable example.", field="task")
    same = info.shot_split == info.split
    reserved = min(_RESERVED, len(examples) // 4) if same else 0
    items = _drawn(examples, min(limit or len(examples), len(examples) - reserved), name)
    held = {example.id for example in items}
    if same:
        pool = [example for example in examples if example.id not in held]
    else:
        pool = [shot for shot in task.examples(info.shot_split) if shot.answer in shot.choices]
    return LabelSet(
        name=name,
        title=info.title,
        license=info.license,
        split=info.split,
        wording=words,
        items=tuple(items),
        pool=tuple(pool),
        labels=_letters(name, [*items, *pool]) if labels == "letters" else (),
    )


def _registered(name: str, data: Path) -> Task:
    from malmoi.tasks.table import open_task

    task = open_task(name, data)
    if task.info.kind != "choice":
        raise InvalidInput(f"{name} is not a task of choices.", field="task", fix="Name one that is.")
    return task


def _own(name: str, data: Path, wording: WordingName) -> tuple[Task, Wording]:
    from malmoi.tasks.table import TableSettings, TableTask

    known = known_sets()
    if name not in known:
        raise UnknownName("dataset", name, known, fix="A choice task is named FAMILY/TASK.")
    tree = ConfigTree()
    tree.merge(read_toml(known[name]), origin=str(known[name]))
    own = tree.validate(SetSettings)
    if wording not in own.wordings:
        raise UnknownName("wording", wording, own.wordings)
    words = own.wordings[wording]
    table = ConfigTree()
    table.merge({**own.table, "question": words.question}, origin=str(known[name]))
    return TableTask(f"icl/{name}", table.validate(TableSettings), data, origin=str(known[name])), words


def _drawn(examples: Sequence[Example], limit: int, name: str) -> list[Example]:
    """Some of the examples, in the order of their file."""
    places = random.Random(f"{_CHOSEN_BY}:{name}").sample(range(len(examples)), limit)  # noqa: S311
    return [examples[place] for place in sorted(places)]


def _letters(name: str, examples: Sequence[Example]) -> tuple[str, ...]:
    if len({example.choices for example in examples}) > 1:
        raise InvalidInput(
            f"{name}: every item has choices of its own, which letters cannot stand for.",
            field="labels",
            fix="Leave it out, or use --labels words.",
        )
    return tuple(LETTERS[: len(examples[0].choices)])
