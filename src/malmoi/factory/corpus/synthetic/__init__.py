"""The project's own small corpus: Korean, English and Python text written by a grammar, free for any use.

It lets the whole factory run where a user has no data yet. Nothing in it is taken from anywhere: patterns and
word lists are this package's data, people and places are made up, the arithmetic is worked out, and the
examples of the programs run.
"""

import gzip
import json
from collections.abc import Callable, Iterator
from importlib.resources import files
from itertools import count
from pathlib import Path
from random import Random

from malmoi.core.errors import Conflict, InvalidInput
from malmoi.core.files import full, new_directory, write_text
from malmoi.core.stage import Progress, SilentProgress
from malmoi.factory.corpus.synthetic.documents import DocumentWriter, PairWriter, Text
from malmoi.factory.corpus.synthetic.programs import ProgramWriter
from malmoi.factory.corpus.synthetic.world import build_grammar, build_tables, read_data

__all__ = ["LICENSE", "Text", "generate", "iter_texts"]

LICENSE = "CC0-1.0"
_SHARES = (("korean", 0.42), ("english", 0.2), ("pairs", 0.1), ("code", 0.28))
"""Folders and their shares of the bytes."""
_PART_BYTES = 16_000_000
_SINGLE_FILES = 40
"""So many documents of each language become files of their own, .md and .txt, beside the .jsonl.gz."""


def generate(out: Path, *, seed: int, megabytes: float, progress: Progress | None = None) -> None:
    """Write a corpus into the new folder `out`.

    Args:
        out: a folder that is not there yet, or is empty; it appears when it is whole.
        seed: another seed, another world and other texts; the same seed, the same bytes.
        megabytes: UTF-8 text in millions of bytes, to within one document a folder.
        progress: who watches.

    Raises:
        InvalidInput: `megabytes` is not positive.
        Conflict: `out` holds something.
        DiskFull: there is no room; nothing is left behind.
    """
    if not 0 < megabytes < 1e6:
        raise InvalidInput(f"a corpus of {megabytes} megabytes.", field="megabytes", fix="Give 1 to 1000.")
    if out.exists():
        if not out.is_dir() or any(out.iterdir()):
            raise Conflict(f"{out} is there and not empty.", fix="Name another folder, or remove it.")
        out.rmdir()
    total = megabytes * 1e6
    with (
        new_directory(out) as folder,
        (progress or SilentProgress()).task("Write the corpus", total=total, unit="bytes") as task,
    ):
        for name, share in _SHARES:
            _write_folder(folder / name, iter_texts(name, seed), int(total * share), task.advance)
        readme = (files(__package__) / "data" / "README.md").read_text(encoding="utf-8")
        write_text(folder / "README.md", readme.format(license=LICENSE, seed=seed, megabytes=megabytes))


def iter_texts(name: str, seed: int) -> Iterator[Text]:
    """Documents without end: of "korean", "english", "pairs" or "code".

    Each is a pure function of the seed and its number.
    """
    world = read_data("world")
    grammar, tables = build_grammar(world), build_tables(world, seed)
    pairs = PairWriter(grammar, read_data("pairs"), tables)
    if name == "code":
        programs = ProgramWriter(read_data("programs"), tables)
    elif name != "pairs":
        language = {"korean": ["korean_entries", "korean_life"], "english": ["english"]}[name]
        writer = DocumentWriter(grammar, [read_data(file) for file in language], tables)
    for number in count():
        dice = Random(f"{seed} {name} {number}")  # noqa: S311  # reproducible text, no secrets
        if name == "code":
            yield programs.write(dice)
        elif name == "pairs":
            yield pairs.write(dice)
        elif dice.random() < 0.06:
            yield pairs.write_problems(dice, name[:2])
        else:
            yield writer.write(dice)


def _write_folder(folder: Path, texts: Iterator[Text], wanted: int, advance: Callable[[float], None]) -> None:
    folder.mkdir(parents=True)
    written = number = 0
    try:
        for part in count():
            rows = bytearray()
            held = 0
            while held < _PART_BYTES and written < wanted:
                text = next(texts)
                size = len(text.text.encode("utf-8"))
                if number < _SINGLE_FILES and text.format != "python":
                    suffix = "md" if text.format == "markdown" else "txt"
                    _write_single(folder / f"{text.kind}-{number:03d}.{suffix}", text)
                else:
                    rows += (json.dumps(_row(folder.name, number, text), ensure_ascii=False) + "\n").encode(
                        "utf-8"
                    )
                held += size
                written += size
                number += 1
                advance(float(size))
            if rows:
                # No name and no time in the header: the same text gives the same file.
                data = gzip.compress(bytes(rows), compresslevel=6, mtime=0)
                (folder / f"part-{part:03d}.jsonl.gz").write_bytes(data)
            if written >= wanted:
                return
    except OSError as error:
        raise full(error, folder) from error


def _write_single(path: Path, text: Text) -> None:
    path.write_text(text.text, encoding="utf-8")


def _row(folder: str, number: int, text: Text) -> dict[str, str]:
    return {
        "id": f"{folder}-{number}",
        "text": text.text,
        "kind": text.kind,
        "language": text.language,
        "license": LICENSE,
    }
