"""Finding texts of evaluation sets inside training documents by n-grams.

Two kinds of units: words, and the letters of scripts that are not read by words (Korean: spacing differs
between copies of one sentence, and 13 words would be 45 syllables). A long text of an evaluation set is found
by any run of `words` words (13 in Brown et al. 2020, appendix C) or `characters` letters; a shorter one only
where it stands whole, which its first and last run of the short size, at their distance, prove. Texts below
the short size say too little: "참 재미있는 영화" is in every corpus.

The sizes for Korean were chosen by looking: of 506,514 film reviews, runs of 40, 30, 24 and 20 letters (whole
texts of 20, 16, 14 and 12) mark 133, 286, 406 and 562. Nearly all of them really stand in a Korean evaluation
set that was drawn from the same reviews, where marks inside the text break longer runs.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from malmoi.core.files import write_json
from malmoi.factory.corpus.dedup import exact_key
from malmoi.factory.corpus.shingles import Grams, Units, characters, grams, words

Kind = Literal["words", "characters"]

EXCERPT = 160
_WIDE = re.compile("[^\u1100-\u11ff\u3040-\u9fff\uac00-\ud7a3]+")
BATCH = 1 << 17


class DecontaminationSettings(BaseModel):
    """How texts of evaluation sets are kept out of the training data."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    enabled: bool = True
    """Whether documents are compared with the evaluation sets at all."""
    words: int = Field(13, ge=3, le=100)
    """A document that shares so many words in a row with an evaluation set is contaminated."""
    short_words: int = Field(8, ge=3, le=100)
    """Evaluation texts of fewer than `words` but at least so many words count where they stand whole."""
    characters: int = Field(20, ge=6, le=400)
    """As `words`, in letters and digits of Korean, Japanese and Chinese texts; 20 are about 6 eojeol."""
    short_characters: int = Field(12, ge=4, le=400)
    """As `short_words`, in letters and digits of Korean, Japanese and Chinese texts."""
    long_document: int = Field(20_000, ge=0)
    """Documents of more characters lose the lines that hold the match; shorter ones are dropped whole."""


@dataclass(frozen=True, slots=True)
class EvaluationItem:
    """A text of an evaluation set: its file, relative to the data folder, and how it begins."""

    file: str
    text: str


@dataclass(frozen=True, slots=True)
class Match:
    """Characters [start, end) of a document that are in an evaluation set too."""

    start: int
    end: int
    item: EvaluationItem


class ContaminationIndex:
    """The n-grams of evaluation sets.

    Args:
        settings: sizes of n-grams.
        items: texts with their numbers in the arrays below.
        long: kind -> (hashes sorted (M,) uint64, item (M,) int64).
        short: kind -> (first hash sorted (M,) uint64, rows (M, 3) uint64 of last hash, distance, item).
    """

    def __init__(
        self,
        settings: DecontaminationSettings,
        items: Sequence[EvaluationItem],
        long: dict[Kind, tuple[np.ndarray, np.ndarray]],
        short: dict[Kind, tuple[np.ndarray, np.ndarray]],
    ) -> None:
        self.settings = settings
        self.items = items
        self._long = long
        self._short = short
        self._tables = {
            (kind, name): _table(keys)
            for name, index in (("long", long), ("short", short))
            for kind, (keys, _) in index.items()
        }

    def __len__(self) -> int:
        return sum(len(keys) for index in (self._long, self._short) for keys, _ in index.values())

    @classmethod
    def build(
        cls, texts: Iterable[tuple[str, str]], settings: DecontaminationSettings
    ) -> "ContaminationIndex":
        """From (file, text) pairs; of equal texts the first one is remembered."""
        items: list[EvaluationItem] = []
        long: dict[Kind, list[tuple[np.ndarray, np.ndarray]]] = defaultdict(list)
        short: dict[Kind, list[tuple[np.ndarray, np.ndarray]]] = defaultdict(list)
        for kind, batch in _batched(texts):
            units = _units(kind, [text for _, text in batch])
            counts = np.diff(units.starts)
            whole, least = cls._sizes(settings, kind)
            wide, narrow = grams(units, whole), grams(units, least)
            numbers = np.arange(len(items), len(items) + len(batch))
            items += [EvaluationItem(file, text[:EXCERPT]) for file, text in batch]
            long[kind].append((wide.hashes, np.repeat(numbers, np.diff(wide.starts))))
            small = np.flatnonzero((counts >= least) & (counts < whole))
            first, last = narrow.starts[small], narrow.starts[small + 1] - 1
            rows = np.stack((narrow.hashes[last], last - first, numbers[small]), axis=1, dtype=np.uint64,
                            casting="unsafe")  # fmt: skip
            short[kind].append((narrow.hashes[first], rows))
        return cls(
            settings,
            items,
            {kind: _sorted(found, unique=True) for kind, found in long.items()},
            {kind: _sorted(found, unique=False) for kind, found in short.items()},
        )

    @staticmethod
    def _sizes(settings: DecontaminationSettings, kind: Kind) -> tuple[int, int]:
        if kind == "words":
            return settings.words, min(settings.short_words, settings.words)
        return settings.characters, min(settings.short_characters, settings.characters)

    def find(self, texts: Sequence[str]) -> list[list[Match]]:
        """For each text what it shares with the evaluation sets, at most one match an item."""
        matches: dict[int, dict[int, Match]] = defaultdict(dict)
        kinds: tuple[Kind, ...] = ("words", "characters")
        for kind in kinds:
            if kind not in self._long and kind not in self._short:
                continue
            units = _units(kind, texts)
            whole, least = self._sizes(self.settings, kind)
            if kind in self._long:
                for place, number, text in self._long_hits(kind, grams(units, whole)):
                    self._note(matches[text], units, text, place, whole, number)
            if kind in self._short:
                for place, length, number, text in self._short_hits(kind, grams(units, least)):
                    self._note(matches[text], units, text, place, length + least, number)
        nothing: list[Match] = []
        return [
            sorted(matches[at].values(), key=lambda match: match.start) if at in matches else nothing
            for at in range(len(texts))
        ]

    def _note(
        self, found: dict[int, Match], units: Units, text: int, place: int, size: int, number: int
    ) -> None:
        begin = units.starts[text] + place
        start, end = int(units.spans[begin][0]), int(units.spans[begin + size - 1][1])
        known = found.get(number)
        if known is not None:  # runs that follow one another are one match
            start, end = min(start, known.start), max(end, known.end)
        found[number] = Match(start, end, self.items[number])

    def _long_hits(self, kind: Kind, scanned: Grams) -> Iterator[tuple[int, int, int]]:
        """(place, item, text) of every run that is in an evaluation set."""
        keys, items = self._long[kind]
        at, found = _lookup(scanned.hashes, keys, self._tables[kind, "long"])
        owners = np.searchsorted(scanned.starts, at, side="right") - 1
        for place, key, text in zip(scanned.places[at], found, owners, strict=True):
            yield int(place), int(items[key]), int(text)

    def _short_hits(self, kind: Kind, scanned: Grams) -> Iterator[tuple[int, int, int, int]]:
        """(place, distance, item, text) of every short text that stands whole."""
        keys, rows = self._short[kind]
        at, found = _lookup(scanned.hashes, keys, self._tables[kind, "short"])
        owners = np.searchsorted(scanned.starts, at, side="right") - 1
        for here, key, text in zip(at.tolist(), found.tolist(), owners.tolist(), strict=True):
            while key < len(keys) and keys[key] == scanned.hashes[here]:
                last, distance, number = (int(value) for value in rows[key])
                if here + distance < scanned.starts[text + 1] and scanned.hashes[here + distance] == last:
                    yield int(scanned.places[here]), distance, number, text
                key += 1

    def save(self, folder: Path) -> None:
        """Write the index: arrays as .npy, texts as JSON."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, index in (("long", self._long), ("short", self._short)):
            for kind, (keys, rows) in index.items():
                np.save(folder / f"{name}-{kind}-keys.npy", keys, allow_pickle=False)
                np.save(folder / f"{name}-{kind}-rows.npy", rows, allow_pickle=False)
        items = [[item.file, item.text] for item in self.items]
        write_json(folder / "index.json", {"settings": self.settings.model_dump(), "items": items})

    @classmethod
    def load(cls, folder: Path) -> "ContaminationIndex":
        """Read what `save` wrote."""
        values = json.loads((folder / "index.json").read_bytes())
        kinds: tuple[Kind, ...] = ("words", "characters")

        def arrays(name: str) -> dict[Kind, tuple[np.ndarray, np.ndarray]]:
            return {
                kind: (
                    np.load(folder / f"{name}-{kind}-keys.npy", allow_pickle=False),
                    np.load(folder / f"{name}-{kind}-rows.npy", allow_pickle=False),
                )
                for kind in kinds
                if (folder / f"{name}-{kind}-keys.npy").exists()
            }

        items = [EvaluationItem(file, text) for file, text in values["items"]]
        settings = DecontaminationSettings.model_validate(values["settings"])
        return cls(settings, items, arrays("long"), arrays("short"))


def cut_lines(text: str, matches: Iterable[Match]) -> str:
    """The text without the lines that hold a match."""
    kept, at = [], 0
    spans = [(match.start, match.end) for match in matches]
    for line in text.split("\n"):
        if not any(start < at + len(line) and end > at for start, end in spans):
            kept.append(line)
        at += len(line) + 1
    return "\n".join(kept)


def kind_of(text: str) -> Kind:
    """Whether a text is read by words, or by the letters of Hangul, kana and Chinese characters."""
    head = text[:400]
    wide = len(_WIDE.sub("", head))
    return "characters" if wide > 0.25 * len(head) else "words"


def _units(kind: Kind, texts: Sequence[str]) -> Units:
    return words(texts) if kind == "words" else characters(texts)


def _batched(texts: Iterable[tuple[str, str]]) -> Iterator[tuple[Kind, list[tuple[str, str]]]]:
    """Texts of one kind together, each only once."""
    seen: set[bytes] = set()
    batches: dict[Kind, list[tuple[str, str]]] = defaultdict(list)
    sizes: dict[Kind, int] = defaultdict(int)
    for file, text in texts:
        key = exact_key(text)
        if key in seen:
            continue
        seen.add(key)
        kind = kind_of(text)
        batches[kind].append((file, text))
        sizes[kind] += len(text)
        if sizes[kind] >= BATCH:
            yield kind, batches.pop(kind)
            sizes[kind] = 0
    yield from batches.items()


def _sorted(parts: list[tuple[np.ndarray, np.ndarray]], *, unique: bool) -> tuple[np.ndarray, np.ndarray]:
    """Hashes in order with their rows; where `unique`, each hash with the first row that has it."""
    hashes = np.concatenate([part for part, _ in parts])
    rows = np.concatenate([part for _, part in parts])
    if unique:
        keys, first = np.unique(hashes, return_index=True)
        return keys, rows[first]
    order = np.argsort(hashes, kind="stable")
    return hashes[order], rows[order]


def _table(keys: np.ndarray) -> np.ndarray:
    """Which leading bits occur: eight places for each key, so that seven of eight lookups end here."""
    bits = min(max((8 * len(keys)).bit_length(), 10), 28)
    table = np.zeros(1 << bits, dtype=bool)
    table[keys >> np.uint64(64 - bits)] = True
    return table


def _lookup(hashes: np.ndarray, keys: np.ndarray, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places in `hashes` of those that are in `keys`, and the first place of each in `keys`."""
    shift = np.uint64(65 - len(table).bit_length())
    likely = np.flatnonzero(table[hashes >> shift])
    found = np.searchsorted(keys, hashes[likely])
    equal = keys[np.minimum(found, len(keys) - 1)] == hashes[likely]
    return likely[equal], found[equal]
