"""What a task file may say.

    title = "KoBEST COPA: which alternative follows?"
    license = "CC BY-SA 4.0"
    source = "github.com/SKT-LSL/KoBEST_datarepo"
    files = {train = "kobest/COPA/train.tsv", test = "kobest/COPA/test.tsv"}   # under the data folder
    question = "{{ row.sentence }}"                       # Jinja over the row
    choices = ["{{ row['1'] }}", "{{ row['2'] }}"]
    answer = "{{ row.Answer | int - 1 }}"                 # the index of the right choice

Templates know `row` (its cells), `line` (its number), `file` (`file.stem`, `file.name`, `file.folder`) and
`split`. `description` and `shown_question` are rendered when an example is asked, from the example, for its
choices may have been shuffled: they know `question`, `choices`, `letters`, `options` (a line `A. text` for
each choice), `category`, `fields` and `language`.
"""

from pathlib import PurePosixPath
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from malmoi.tasks.base import TaskKind
from malmoi.tasks.shots import ShotRows

Patterns: TypeAlias = str | tuple[str, ...]
Layout: TypeAlias = Literal[
    "auto", "tsv", "csv", "jsonl", "json", "parquet", "lines", "klue-ner", "klue-dp", "bbq"
]  # fmt: skip


class TableSettings(BaseModel):
    """A table task as its file says it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    title: str
    """What is asked, in one line."""
    license: str
    """Of the data."""
    source: str
    """Where the files come from: an address, and the command that fetches them where there is one."""
    kind: TaskKind | None = None
    """`choice` or `generate`; by default `choice` where there are choices."""

    files: dict[str, Patterns]
    """Split -> file or glob pattern under the data folder; of a list, the first that is there."""
    shipped: bool = False
    """Whether the files lie beside this description instead of under the data folder."""
    beside: dict[str, Patterns] = {}
    """Split -> a second file of as many rows; a row of it is `row.beside` of the row with its number."""
    format: Layout = "auto"
    """How the files are read; `auto`: by the ending of their names, `.gz` and `.zst` aside."""
    columns: tuple[str, ...] = ()
    """Names of the columns of a table without a header."""
    quoted: bool | None = None
    """Whether cells may stand in double quotes; by default in .csv, not in .tsv."""
    json_rows: str = ""
    """Keys to the list of rows of a .json file, such as `data.paragraphs.qas`. Lists on the way are walked,
    and rows get the texts and numbers of what holds them."""
    aliases: dict[str, str] = {}
    """Column -> its name in another release of the data, taken where a row lacks the column."""
    where: str = ""
    """Jinja condition: rows for which it is false are left out."""
    strip: bool = True
    """Whether white space around cells, questions, choices and answers is dropped; not wanted for code."""

    id: str = ""
    """Template of the item's id; by default its line."""
    question: str
    """Template of the question."""
    choices: tuple[str, ...] = ()
    """Templates of the choices."""
    choices_from: str = ""
    """Jinja expression for the choices instead: a list, or a text that holds one."""
    choices_split: str = ""
    """What separates the choices where `choices_from` gives a text."""
    rotate_choices: bool = False
    """Whether each row becomes as many items as it has choices, in another cyclic order each."""
    answer: str = ""
    """Template of the right answer."""
    answer_as: Literal["index", "letter", "text"] = "index"
    """What `answer` of a choice task gives: an index from 0, a letter (or a number from 1), or the text."""
    category: str = ""
    """Template of the item's category."""
    fields: dict[str, str] = {}
    """Templates of what else the prompt or the grader reads."""
    fields_json: tuple[str, ...] = ()
    """Names of the fields whose text is JSON: they become lists, numbers and so on."""

    description: str = ""
    """Template of what stands before everything, with its own line breaks at its end."""
    separator: str = "\n\n"
    """Between solved examples and the question."""
    answer_prefix: str = " "
    """Between a question and its answer, in cloze form and in generation."""
    shown_question: str = ""
    """Template of the whole text in letters form; by default question, `options`, and 정답: or Answer:."""
    letters: str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    """What the choices are called in letters form."""
    scored: str = ""
    """Template (as `shown_question`) of a text that is scored after each choice, instead of the choice: the
    choice belongs to the prompt then (Winogrande's partial evaluation)."""
    default_form: Literal["cloze", "letters"] = "cloze"
    """How the field asks a choice task."""

    metrics: tuple[str, ...] = ()
    """Names of metrics, the main one first; by default `accuracy` of choices and `mean` of grades."""
    shots: int = Field(default=0, ge=0)
    """Solved examples that are usual for it."""
    split: Patterns = ("test", "dev", "validation")
    """The split that is scored; of a list, the first whose files are there. Training files are only scored
    where the user asks for that split."""
    shot_split: Patterns = ("train", "dev", "validation", "test")
    """Where solved examples come from; of a list, the first whose files are there."""
    shot_rows: ShotRows = "random"
    """`first`: the first rows for every item; `random`: others for each item, the same for each model."""
    shots_of_category: bool = False
    """Whether solved examples are of the item's own category, where the pool has such."""
    stop: tuple[str, ...] = ()
    """Strings that end a generated answer."""
    max_tokens: int = Field(default=256, ge=1)
    """Most tokens of a generated answer."""
    language: Literal["ko", "en", ""] = ""
    """Of the answers; empty: any."""
    version: int = Field(default=1, ge=1)
    """Raised whenever prompts or grades change."""
    grader: dict[str, Any] = {}
    """`kind` and its options; by default the same text, for generated answers `exact`."""

    @property
    def asked_as(self) -> TaskKind:
        """`choice` or `generate`."""
        return self.kind or ("choice" if self.choices or self.choices_from else "generate")

    @field_validator("files", "beside")
    @classmethod
    def _stays_inside(cls, files: dict[str, Patterns]) -> dict[str, Patterns]:
        for patterns in files.values():
            for pattern in as_tuple(patterns):
                path = PurePosixPath(pattern)
                if (
                    not pattern
                    or path.is_absolute()
                    or ".." in path.parts
                    or "\\" in pattern
                    or "\0" in pattern
                ):
                    raise ValueError(f"{pattern!r} is not a path under the data folder")
        return files

    @model_validator(mode="after")
    def _is_whole(self) -> "TableSettings":
        if not self.files:
            raise ValueError("files names no split")
        if self.choices and self.choices_from:
            raise ValueError("give choices or choices_from, not both")
        if self.asked_as == "choice":
            if not (self.choices or self.choices_from):
                raise ValueError("a choice task needs choices or choices_from")
            if not self.answer:
                raise ValueError("a choice task needs an answer")
        unknown = set(self.fields_json) - set(self.fields)
        if unknown:
            raise ValueError(f"fields_json names {', '.join(sorted(unknown))}, which fields has not")
        for name in ("split", "shot_split"):
            splits = as_tuple(getattr(self, name))
            if name in self.model_fields_set and not any(split in self.files for split in splits):
                raise ValueError(f"{name} names {', '.join(splits)}, which files has not")
        if len(set(self.letters)) != len(self.letters) or not self.letters:
            raise ValueError("letters must be different ones")
        return self


def as_tuple(value: Patterns) -> tuple[str, ...]:
    """One or several, as several."""
    return (value,) if isinstance(value, str) else value
