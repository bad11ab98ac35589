"""BBQ's published files (Parrish et al. 2022): JSON lines, with the groups that answers speak of.

The files do not say which answer is the biased one. It is the stereotyped group's in a question that is
negative (who did wrong?) and the other group's in one that is not.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from malmoi.core.errors import InvalidInput
from malmoi.tasks.rows import NumberedRow

_PLACES = ("ans0", "ans1", "ans2")
# The letter of a person's gender stands for the words of the other column.
_SAME = {
    "f": ("f", "woman", "girl", "female"), "m": ("m", "man", "boy", "male"),
    "transgender women": ("trans",), "transgender men": ("trans",), "trans": ("trans",),
    "lowses": ("lowses", "low ses"), "low ses": ("lowses", "low ses"),
}  # fmt: skip


def read_bbq(path: Path, file: TextIO) -> Iterator[NumberedRow]:
    """Rows as they are, with `biased_answer` and `unknown` (texts; empty where the groups do not tell).

    Raises:
        InvalidInput: a line is no item of BBQ; the message has its number.
    """
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            place = biased_place(row)
            unknown = next((row[at] for at in _PLACES if _groups(row, at)[-1:] == ["unknown"]), "")
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError, RecursionError):
            raise InvalidInput(
                f"{path}, line {number}: it is no item of BBQ.", fix="Fetch the file again."
            ) from None
        yield (
            number,
            {**row, "biased_answer": row[_PLACES[place]] if place is not None else "", "unknown": unknown},
        )


def biased_place(row: Mapping[str, Any]) -> int | None:
    """The place of the biased answer; None where the groups do not tell the two people apart."""
    stereotyped = [str(group) for group in row["additional_metadata"]["stereotyped_groups"]]
    people = [place for place, at in enumerate(_PLACES) if _groups(row, at)[-1:] != ["unknown"]]
    targets = [place for place in people if _is_one_of(_groups(row, _PLACES[place]), stereotyped)]
    if len(people) != 2 or len(targets) != 1:
        return None
    others = [place for place in people if place not in targets]
    return targets[0] if row["question_polarity"] == "neg" else others[0]


def _groups(row: Mapping[str, Any], at: str) -> list[str]:
    """What is said of an answer's group: the name in the text and the label, in lower case."""
    return [str(group).casefold() for group in row["answer_info"][at]]


def _is_one_of(groups: list[str], stereotyped: list[str]) -> bool:
    """Whether every part of a stereotyped group's name (`F-Black`) is said of the answer's group."""
    said = {part for group in groups for part in (group, *re.split(r"[-_]", group))}
    for name in stereotyped:
        parts = [name.casefold()] if name.casefold() in said else re.split(r"[-_]", name.casefold())
        if all(said.intersection(_SAME.get(part, (part,))) for part in parts):
            return True
    return False
