"""Labelled texts for classifiers, described by the TOML files beside this one and read from a data folder.

No file with `_test` or `.test` in its name is ever given out for training, whatever a description says.
"""

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from malmoi.core.errors import InvalidInput, NotFound
from malmoi.core.hangul import nfc
from malmoi.tasks.rows import read_rows

_HELD_OUT_NAME = re.compile(r"[._-]test(?![a-z])")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Question(_Part):
    """One column of labels."""

    title: str
    column: str
    labels: dict[str, str] = Field(min_length=2)
    """What the column says -> the classifier's label; rows that say something else are left out."""
    harmless: str | None = None
    """The label that asks for nothing to be done."""


class Dataset(_Part):
    """A labelled dataset."""

    title: str
    license: str
    source: str
    train: tuple[str, ...]
    """Files under the data folder; those that are there are read."""
    test: tuple[str, ...] = ()
    """Files that are only ever measured on."""
    text: str
    """Column of the text that is judged."""
    context: str | None = None
    """Column of what was said before it."""
    group: str | None = None
    """Column whose equal values never stand on both sides of a split."""
    questions: dict[str, Question]


class HarmlessSet(_Part):
    """Texts that nobody should be refused for."""

    name: str
    title: str
    license: str
    source: str
    files: tuple[str, ...]
    text: str
    where: dict[str, str] = {}
    """Column -> the value it must have."""
    train: dict[str, int] = {}
    """Question -> how many of these texts it learns from."""
    measured_texts: int


@dataclass(frozen=True, slots=True)
class Example:
    """A text and its answers; `labels` has those questions alone that are answered."""

    text: str
    context: str = ""
    group: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The examples of a dataset, and the sha256 of each file they came from."""

    examples: tuple[Example, ...]
    sha256: Mapping[str, str]


@cache
def datasets() -> Mapping[str, Dataset]:
    """The labelled datasets that are described, by name."""
    folder = files("malmoi.evals.safety") / "datasets"
    found = {}
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".toml") and entry.name != "harmless.toml":
            values = tomllib.loads(entry.read_text(encoding="utf-8"))
            found[entry.name.removesuffix(".toml")] = Dataset.model_validate(values)
    return found


@cache
def harmless_sets() -> tuple[HarmlessSet, ...]:
    """The harmless texts that are described."""
    text = (files("malmoi.evals.safety") / "datasets" / "harmless.toml").read_text(encoding="utf-8")
    return tuple(HarmlessSet.model_validate(values) for values in tomllib.loads(text)["sets"])


def load_training(dataset: Dataset, data: Path) -> Loaded:
    """The examples to train on, and to hold some out from; each text with its context once.

    Raises:
        NotFound: no file of the dataset is there; the message names them.
        InvalidInput: a file is not what it should be, or is one to test on.
    """
    for name in dataset.train:
        if _HELD_OUT_NAME.search(Path(name).name):
            raise InvalidInput(f"{dataset.title}: {name} is a test file and never trained on.")
    return _load(dataset, dataset.train, data)


def load_test(dataset: Dataset, data: Path) -> Loaded:
    """The examples of the files that are only measured on.

    Raises:
        NotFound: none of them is there.
        InvalidInput: a file is not what it should be.
    """
    return _load(dataset, dataset.test, data)


def load_harmless(harmless: HarmlessSet, data: Path) -> tuple[list[str], list[str], dict[str, str]]:
    """Texts to train on, texts to measure on, and the sha256 of each file; chosen by the hash of the text.

    Raises:
        NotFound: no file is there.
        InvalidInput: a file is not what it should be.
    """
    found, digests = set(), {}
    for name, path in _present(harmless.files, harmless.title, data):
        digests[name] = file_sha256(path)
        for row in _rows(path, (harmless.text, *harmless.where)):
            if all((row.get(column) or "").strip() == value for column, value in harmless.where.items()):
                text = nfc(row.get(harmless.text) or "").strip()
                if len(text) >= 4 and re.search("[가-힣]", text):
                    found.add(text)
    ordered = sorted(found, key=lambda text: hashlib.sha256(text.encode()).digest())
    training = ordered[: max(harmless.train.values(), default=0)]
    return training, ordered[len(training) : len(training) + harmless.measured_texts], digests


def file_sha256(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _load(dataset: Dataset, names: tuple[str, ...], data: Path) -> Loaded:
    found: dict[tuple[str, str], Example] = {}
    digests = {}
    columns = (dataset.text, *(question.column for question in dataset.questions.values()))
    for name, path in _present(names, dataset.title, data):
        digests[name] = file_sha256(path)
        for row in _rows(path, columns):
            example = _example(dataset, row, name)
            if example is not None:
                # The first of several labels of one text stands; the files of a dataset overlap.
                found.setdefault((example.text, example.context), example)
    return Loaded(tuple(found.values()), digests)


def _example(dataset: Dataset, row: Mapping[str, str | None], name: str) -> Example | None:
    text = nfc(row.get(dataset.text) or "").strip()
    labels = {
        key: question.labels[said]
        for key, question in dataset.questions.items()
        if (said := (row.get(question.column) or "").strip()) in question.labels
    }
    if not text or not labels:
        return None
    context = nfc(row.get(dataset.context) or "").strip() if dataset.context else ""
    group = nfc(row.get(dataset.group) or "").strip() if dataset.group else ""
    return Example(text, context, group, labels, name)


def _present(names: tuple[str, ...], title: str, data: Path) -> list[tuple[str, Path]]:
    found = [(name, data / name) for name in names if (data / name).is_file()]
    if not found:
        listed = " or ".join(str(data / name) for name in names) or "no file"
        raise NotFound(f"{title}: {listed} is not there.", fix="Fetch it, or name its folder with --data.")
    return found


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[dict[str, str | None]]:
    """Rows with text in every cell, or None; the columns must be there."""
    for number, row in read_rows(path):
        missing = next((column for column in columns if column not in row), None)
        if missing is not None:
            raise InvalidInput(f"{path}, row {number}: there is no {missing!r}.", fix="Fetch the file again.")
        yield {key: _text(value) for key, value in row.items()}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) or value is None else str(value)
