"""All texts of evaluation files, so that none of them gets into the training data."""

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from malmoi.core.errors import InvalidInput
from malmoi.factory.corpus.formats.decoding import LineDecoder
from malmoi.factory.corpus.formats.kinds import NOTES
from malmoi.factory.corpus.formats.opening import Unreadable, inner_suffix, open_bytes, read_lines
from malmoi.factory.corpus.formats.rows import MAX_JSON_BYTES
from malmoi.factory.corpus.formats.text import as_text

SHORTEST = 10
"""Characters below which a text is a label or an index, not a text."""
SUFFIXES = frozenset({".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".txt"})


@dataclass(frozen=True, slots=True)
class EvaluationText:
    """One text of an evaluation set."""

    file: str
    text: str


def read_evaluation_texts(paths: Iterable[Path]) -> Iterator[EvaluationText]:
    """Every string of at least 10 characters in these files, and in those of these folders.

    Of tables every cell is given, whatever its column is called, and of JSON every string at any depth: a set
    may keep questions, answers and passages anywhere. README, NOTES and licence files are passed over.

    Raises:
        InvalidInput: a file cannot be read, for an evaluation set that silently falls out of decontamination
            makes scores that mean nothing; the message names the file and line.
    """
    for path in paths:
        if not path.exists():
            raise InvalidInput(f"the evaluation set {path} does not exist.", fix="Mend its path.")
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            if path.is_dir() and (
                inner_suffix(file.name) not in SUFFIXES
                or file.name.startswith(".")
                or file.name.lower().startswith(NOTES)
            ):
                continue
            try:
                for text in _strings(file):
                    if len(text := text.strip()) >= SHORTEST:
                        yield EvaluationText(str(file), text)
            except (Unreadable, ValueError, RecursionError, csv.Error) as error:
                reason = error.reason if isinstance(error, Unreadable) else str(error)
                detail = f" ({error.detail})" if isinstance(error, Unreadable) and error.detail else ""
                raise InvalidInput(
                    f"the evaluation file {file} cannot be read: {reason}{detail}.",
                    fix="Mend it, or leave it out by naming the other files.",
                ) from error


def _strings(file: Path) -> Iterator[str]:
    suffix = inner_suffix(file.name)
    if suffix not in SUFFIXES:
        raise Unreadable("unknown_kind", "known: " + " ".join(sorted(SUFFIXES)))
    with open_bytes(file) as raw:
        stream = as_text(raw)
        if suffix == ".json":
            data = stream.read(MAX_JSON_BYTES + 1)
            if len(data) > MAX_JSON_BYTES:
                raise Unreadable("file_too_large", "a JSON file of more than 64 MB")
            yield from _inside(json.loads(data))
            return
        decoder = LineDecoder()
        lines = (_decode(decoder, number, line) for number, line in read_lines(stream))
        if suffix == ".csv":
            for row in csv.reader(line + "\n" for line in lines):
                yield from row
            return
        for line in lines:
            if suffix == ".tsv":
                yield from line.split("\t")
            elif suffix == ".txt":
                yield line
            elif line.strip():
                yield from _inside(json.loads(line))


def _decode(decoder: LineDecoder, number: int, line: bytes | None) -> str:
    if line is None:
        raise Unreadable("line_too_long", f"line {number}")
    text = decoder.decode(line)
    if text is None:
        raise Unreadable("broken_encoding", f"line {number} is neither UTF-8 nor CP949")
    return text


def _inside(value: Any) -> Iterator[str]:
    """All strings in a JSON value, keys left out."""
    waiting: list[Any] = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            waiting.extend(reversed(list(one.values())))
        elif isinstance(one, list):
            waiting.extend(reversed(one))
