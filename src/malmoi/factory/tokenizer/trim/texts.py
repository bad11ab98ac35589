"""The texts that decide which tokens stay, counted as they are read: nothing of them is kept but words."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

from malmoi.core.errors import InvalidInput
from malmoi.core.stage import Task
from malmoi.factory.corpus.documents import read_documents
from malmoi.factory.corpus.problems import Problems
from malmoi.factory.corpus.readers import discover_sources, read_source
from malmoi.factory.corpus.sources import SourceSettings
from malmoi.factory.tokenizer.trim.vocabulary import Usage, Vocabulary

HELD_OUT = 20
"""One document of so many is not looked at when tokens are chosen; the report is measured on these."""


@dataclass(slots=True)
class Slice:
    """Counted words of some documents."""

    words: Counter[str | int] = field(default_factory=Counter)
    documents: int = 0
    bytes: int = 0


@dataclass(slots=True)
class Counted:
    """What the data holds: what tokens are chosen by, and what is held out to judge them."""

    chosen_by: Slice = field(default_factory=Slice)
    held_out: Slice = field(default_factory=Slice)

    @property
    def documents(self) -> int:
        """All documents."""
        return self.chosen_by.documents + self.held_out.documents


def read_texts(paths: Sequence[Path], problems: Problems) -> Iterator[str]:
    """The documents of files and folders, in order.

    Raises:
        InvalidInput: a path does not exist.
    """
    for path in paths:
        if path.is_dir():
            for source in discover_sources(path, problems):
                yield from (document.text for document in read_source(source, path, problems))
        elif path.is_file():
            source = SourceSettings(name="data", paths=(path.name,))
            yield from (document.text for document in read_source(source, path.parent, problems))
        else:
            raise InvalidInput(f"there is no file or folder {path}.", field="data")


def read_corpus(folder: Path) -> Iterator[str]:
    """The training documents of a corpus artifact."""
    return (document.text for document in read_documents(folder, "train"))


def count_texts(
    texts: Iterable[str], vocabulary: Vocabulary, *, max_bytes: int, task: Task | None = None
) -> Counted:
    """Count the words of at most `max_bytes` of text.

    Whether a document is held out is decided by its content, so it does not depend on the order.
    """
    counted = Counted()
    done = 0
    for text in texts:
        raw = text.encode("utf-8", "replace")
        part = counted.held_out if crc32(raw) % HELD_OUT == 0 else counted.chosen_by
        part.words.update(vocabulary.words(text))
        part.documents += 1
        part.bytes += len(raw)
        done += len(raw)
        if task is not None:
            task.advance(len(raw) / 1e6)
        if done >= max_bytes:
            break
    return counted


def usage_of(counted: Counted, vocabulary: Vocabulary, also: Counted | None, also_share: float) -> Usage:
    """What the data needs; `also` weighs `also_share` of the whole, however large it is."""
    usage = vocabulary.count(counted.chosen_by.words)
    if also is None:
        return usage
    other = vocabulary.count(also.chosen_by.words)
    main_total, other_total = sum(usage.tokens.values()), sum(other.tokens.values())
    if other_total:
        factor = also_share / (1 - also_share) * main_total / other_total
        usage.add_all(other, factor)
    return usage
