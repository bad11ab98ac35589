"""What the rules would do to the documents of one file, without making a corpus."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from malmoi.core.errors import InvalidInput
from malmoi.factory.corpus.documents import Document
from malmoi.factory.corpus.problems import Problems
from malmoi.factory.corpus.rules import Change, Judge, build_filters


@dataclass(frozen=True, slots=True)
class Trial:
    """One document and its way through the rules."""

    document: Document
    """As it is at the end, or where it was dropped."""
    did: tuple[str, ...]
    """What was done, such as `pii: phone 2`."""
    step: str = ""
    """The step that dropped it; empty: it is kept."""
    reason: str = ""


def try_file(path: Path, problems: Problems, *, language: str = "auto") -> Iterator[Trial]:
    """The documents of a file, each with what the rules in their default settings do to it.

    Copies and evaluation sets are not looked for: they need the whole corpus.

    Args:
        path: a file of any kind that sources may hold.
        problems: takes what could not be read.
        language: "auto", or the language of all of it.

    Raises:
        InvalidInput: there is no such file.
    """
    from malmoi.core.pii import PiiSettings
    from malmoi.factory.corpus.language import Identify
    from malmoi.factory.corpus.normalize import Normalize
    from malmoi.factory.corpus.pii import RemovePii
    from malmoi.factory.corpus.readers import read_file
    from malmoi.factory.corpus.sources import SourceSettings

    if not path.is_file():
        raise InvalidInput(f"there is no file {path}.")
    path = path.resolve()
    source = SourceSettings(name="trial", paths=(path.name,), language=language)
    rules: list[Change | Judge] = [
        Normalize(),
        Identify(),
        *build_filters({}, {}),
        RemovePii(PiiSettings()),
    ]
    for document in read_file(source, path.parent, path.name, problems):
        yield _way(document, rules)


def _way(document: Document, rules: list[Change | Judge]) -> Trial:
    did: list[str] = []
    for rule in rules:
        if hasattr(rule, "judge"):
            reason = rule.judge(document)
            if reason is not None:
                return Trial(document, tuple(did), rule.name, reason)
        else:
            document, counts = rule.change(document)
            did += [f"{rule.name}: {kind} {count}" for kind, count in counts.items()]
    return Trial(document, tuple(did))
