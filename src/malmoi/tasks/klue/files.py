"""KLUE's own layouts: blocks of tab-separated lines between empty lines, after comments that begin with `##`.

NER has a character a line, with its tag: a space is a character. DP has a word a line: number, word, lemmas,
parts of speech, head, relation.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from malmoi.core.errors import InvalidInput
from malmoi.tasks.klue.entities import mark_entities, spans_of
from malmoi.tasks.rows import NumberedRow

Block = tuple[int, str, list[tuple[int, list[str]]]]
"""Line of its comment, the comment, and its numbered lines as cells."""


def read_ner(path: Path, file: TextIO) -> Iterator[NumberedRow]:
    """Sentences with `id`, `source`, `text`, `tags`, `entities` and the text with its entities `marked`.

    Raises:
        InvalidInput: a line is not a character and its tag, or a tag goes on from another.
    """
    for line, comment, lines in _blocks(file):
        for number, cells in lines:
            if len(cells) != 2 or len(cells[0]) != 1:
                raise _broken(path, number, "a character and its tag")
        text = "".join(cells[0] for _, cells in lines)
        tags = [cells[1] for _, cells in lines]
        try:
            spans = spans_of(tags)
        except ValueError as error:
            raise _broken(path, line, f"tags in order: {error}") from None
        yield (
            line,
            {
                **_names(comment),
                "text": text,
                "tags": tags,
                "entities": [list(span) for span in spans],
                "marked": mark_entities(text, spans),
            },
        )


def read_dp(path: Path, file: TextIO) -> Iterator[NumberedRow]:
    """Sentences with `id`, `source`, `text`, `words`, `heads`, `relations` and the `tree` as it is written.

    Raises:
        InvalidInput: a line is not a word with its head and relation, or a head is no word of the sentence.
    """
    for line, comment, lines in _blocks(file):
        for place, (number, cells) in enumerate(lines, start=1):
            if len(cells) != 6 or cells[0] != str(place) or not cells[4].isdecimal():
                raise _broken(path, number, "number, word, lemmas, parts of speech, head and relation")
            if int(cells[4]) > len(lines):
                raise _broken(path, number, f"a head among its {len(lines)} words")
        words = [cells[1] for _, cells in lines]
        arcs = [(int(cells[4]), cells[5]) for _, cells in lines]
        yield (
            line,
            {
                **_names(comment),
                "text": " ".join(words),
                "words": words,
                "heads": [head for head, _ in arcs],
                "relations": [relation for _, relation in arcs],
                "tree": " ".join(f"{head}:{relation}" for head, relation in arcs),
            },
        )


def _blocks(file: TextIO) -> Iterator[Block]:
    start, comment = 0, ""
    lines: list[tuple[int, list[str]]] = []
    for number, line in enumerate(file, start=1):
        line = line.rstrip("\n").removesuffix("\r")
        if line.startswith("##") and not lines:
            start, comment = number, line
        elif line:
            lines.append((number, line.split("\t")))
        elif lines:
            yield start, comment, lines
            lines = []
    if lines:
        yield start, comment, lines


def _names(comment: str) -> dict[str, str]:
    """`## klue-ner-v1_dev_00000-wikitree<TAB>...` as the item's id and where its text is from."""
    name = comment.removeprefix("##").strip().split("\t")[0]
    return {"id": name, "source": name.replace("_", "-").rsplit("-", 1)[-1]}


def _broken(path: Path, line: int, wanted: str) -> InvalidInput:
    return InvalidInput(f"{path}, line {line}: it should have {wanted}.", fix="Fetch the file again.")
