"""Where morphemes begin inside Korean words, so that no merge joins what grammar keeps apart.

Each word form is analysed once, alone, however often it occurs: a corpus has many times as many words as word
forms, and a word form is cut the same wherever it stands, which is also all that a merge table can learn.
(Kiwi's own trainer analyses running text: 8 MB took it 78 s, and its tokens crossed 20 % of the boundaries of
new text. Word forms of 33 MB took 22 s, and 5 % were crossed.) The analyses are kept in a file as they are
made, so that a killed run goes on behind the last one.

Fused morphemes share a syllable in what Kiwi gives (했 is 하 and 었, both starting there); cuts are therefore
the strictly increasing starts of morphemes, and never fall inside a syllable.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from malmoi.core.errors import MissingExtra
from malmoi.core.stage import Task

Boundary = Literal["j", "e", "vcp", "xsv"]
"""Which morphemes begin behind a cut: particles, endings, the copula, suffixes that make verbs."""

BOUNDARIES: tuple[Boundary, ...] = ("j", "e", "vcp", "xsv")

_BATCH = 8192


class Morpheme(Protocol):
    """What is asked of a Kiwi token."""

    start: int
    tag: str


class Analyzer(Protocol):
    """What is asked of Kiwi."""

    def tokenize(self, text: Iterator[str]) -> Iterable[Sequence[Morpheme]]:
        """The morphemes of each text, in order."""


def open_analyzer(workers: int = 2) -> Analyzer:
    """Kiwi with its default models.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        from kiwipiepy import Kiwi
    except ModuleNotFoundError as error:
        raise MissingExtra("Finding morphemes", "train") from error
    kiwi: Analyzer = Kiwi(num_workers=workers)
    return kiwi


def boundary_of(tag: str) -> Boundary | None:
    """The class of a tag of Kiwi's set (after the Sejong corpus); None: no cut before it."""
    if tag.startswith("J"):
        return "j"
    if tag.startswith("E"):
        return "e"
    if tag.startswith(("XSV", "XSA")):
        return "xsv"
    return "vcp" if tag.startswith("VCP") else None


def cut_points(morphemes: Iterable[Morpheme], boundaries: Iterable[Boundary]) -> list[int]:
    """The strictly increasing character offsets inside a text at which chosen morphemes begin."""
    chosen = frozenset(boundaries)
    cuts = []
    last = 0
    for morpheme in morphemes:
        if morpheme.start > last:
            if boundary_of(morpheme.tag) in chosen:
                cuts.append(morpheme.start)
            last = morpheme.start
    return cuts


class CutCache:
    """Cut points by word form, in a file of JSON lines that only grows.

    Args:
        path: the file; lines of another analyser or other boundaries are dropped.
        boundaries: see `Boundary`.
    """

    def __init__(self, path: Path, boundaries: Sequence[Boundary]) -> None:
        self._path = path
        self._boundaries = tuple(boundaries)
        self._cuts: dict[str, tuple[int, ...]] = {}
        self._head = {"analyzer": _version(), "boundaries": list(self._boundaries)}
        self._read()

    def __len__(self) -> int:
        return len(self._cuts)

    def __getitem__(self, word: str) -> tuple[int, ...]:
        return self._cuts[word]

    def analyse(self, words: Iterable[str], analyzer: Analyzer | None, task: Task, workers: int = 2) -> None:
        """Find the cuts of those words that are not known yet.

        Args:
            words: word forms.
            analyzer: Kiwi; None: opened if there is anything to do.
            task: advances by words, known ones included.
            workers: threads of an analyzer that is opened here.
        """
        wanted = list(dict.fromkeys(words))
        missing = [word for word in wanted if word not in self._cuts]
        task.advance(len(wanted) - len(missing))
        if not missing:
            return
        analyzer = analyzer or open_analyzer(workers)
        with self._path.open("a", encoding="utf-8") as file:
            if not file.tell():
                file.write(json.dumps(self._head) + "\n")
            for at in range(0, len(missing), _BATCH):
                batch = missing[at : at + _BATCH]
                for word, found in zip(batch, analyzer.tokenize(iter(batch)), strict=True):
                    cuts = tuple(cut for cut in cut_points(found, self._boundaries) if cut < len(word))
                    self._cuts[word] = cuts
                    file.write(json.dumps([word, *cuts], ensure_ascii=False) + "\n")
                file.flush()
                task.advance(len(batch))

    def _read(self) -> None:
        rows = list(_rows(self._path))
        if rows and rows[0] == self._head:
            self._cuts = {row[0]: tuple(row[1:]) for row in rows[1:]}
            with self._path.open("rb+") as file:  # a line that a crash cut off must not be written on
                file.truncate(_whole_lines(file.read()))
        else:
            self._path.unlink(missing_ok=True)


def _whole_lines(data: bytes) -> int:
    return data.rfind(b"\n") + 1


def _rows(path: Path) -> Iterator[Any]:
    if not path.exists():
        return
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            yield json.loads(line)
        except ValueError:
            return  # a crash tore this line; what follows it cannot be trusted either


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"kiwipiepy {version('kiwipiepy')}"
    except PackageNotFoundError:
        return "none"
