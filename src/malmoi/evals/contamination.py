"""Which items of a suite a training corpus has seen, and what the score is without them.

An item is seen where a document holds a run of its words (13) or of its Korean letters (20), or holds a short
text of it whole: what keeps evaluation sets out of a corpus (factory/corpus/decontaminate.py) finds here what
got in. A run that more than a tenth of a task's items share is the task's own wording and does not count.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np

from malmoi.core.stage import Progress, SilentProgress
from malmoi.evals.metrics import measure
from malmoi.evals.results import EvalResult, ItemResult, MetricResult
from malmoi.factory.corpus.decontaminate import (
    ContaminationIndex,
    DecontaminationSettings,
    Kind,
    kind_of,
)
from malmoi.factory.corpus.dedup import exact_key
from malmoi.factory.corpus.documents import Document
from malmoi.factory.corpus.shingles import Units, characters, grams, words
from malmoi.tasks.base import Example

BATCH = 2_000
"""Documents that are compared at a time."""
EXCERPT = 160
COMMON = 0.1
"""Share of a task's items from which on a run is its wording."""
FEWEST_COMMON = 10


@dataclass(frozen=True, slots=True)
class SeenItem:
    """An item that the corpus has seen.

    Attributes:
        coverage: share of its runs that are in the corpus.
        document: where the corpus has it from.
        found: how the shared text begins.
    """

    task: str
    id: str
    coverage: float
    document: str
    found: str


@dataclass(frozen=True, slots=True)
class TaskOverlap:
    """What the corpus has seen of a task.

    Attributes:
        all: the main metric over all items; None: no report was given.
        clean: the same over the items that the corpus has not seen.
        seen_items: the same over those that it has.
    """

    task: str
    items: int
    seen: tuple[SeenItem, ...]
    all: MetricResult | None = None
    clean: MetricResult | None = None
    seen_items: MetricResult | None = None

    @property
    def share(self) -> float:
        """Share of items that were seen."""
        return len(self.seen) / self.items if self.items else 0.0

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        figures = {
            name: figure.model_dump() if figure is not None else None
            for name, figure in (("all", self.all), ("clean", self.clean), ("seen_items", self.seen_items))
        }
        seen = [asdict(item) for item in self.seen]
        return {"task": self.task, "items": self.items, "share": self.share, **figures, "seen": seen}


@dataclass(frozen=True, slots=True)
class _Text:
    """One text of an item, by its place in the list of all."""

    owner: tuple[str, str]
    text: str
    key: str


def item_texts(example: Example) -> list[str]:
    """The texts that would be copied with an item: its question, its choices, its answer."""
    return list(dict.fromkeys(text for text in (example.question, *example.choices, example.answer) if text))


def find_overlap(
    documents: Iterable[Document],
    tasks: Mapping[str, Sequence[Example]],
    *,
    settings: DecontaminationSettings | None = None,
    progress: Progress | None = None,
) -> list[TaskOverlap]:
    """What a corpus shares with tasks: task -> its examples.

    Args:
        documents: of the corpus, read once.
        tasks: what is looked for.
        settings: sizes of runs.
        progress: shown while documents are read.
    """
    settings = settings or DecontaminationSettings()
    texts = [
        _Text((task, example.id), text, exact_key(text).hex())
        for task, examples in tasks.items()
        for example in examples
        for text in item_texts(example)
    ]
    index = ContaminationIndex.build(((one.key, one.text) for one in texts), settings)
    spans, whole = _scan(index, documents, progress or SilentProgress())
    covered = _covered(texts, spans, settings, {name: len(examples) for name, examples in tasks.items()})
    for one in _short_texts(texts, settings, whole):
        origin, found = whole[one.key]
        covered.setdefault(one.owner, SeenItem(*one.owner, 1.0, origin, found))
    return [
        TaskOverlap(
            name,
            len(examples),
            tuple(covered[name, example.id] for example in examples if (name, example.id) in covered),
        )
        for name, examples in tasks.items()
    ]


def _scan(
    index: ContaminationIndex, documents: Iterable[Document], progress: Progress
) -> tuple[dict[str, str], dict[str, tuple[str, str]]]:
    """Shared stretches of text -> their first documents; keys of item texts -> (document, excerpt)."""
    spans: dict[str, str] = {}
    whole: dict[str, tuple[str, str]] = {}
    with progress.task("Compare", unit="documents") as task:
        for batch in _batches(documents):
            found = index.find([document.text for document in batch])
            for document, matches in zip(batch, found, strict=True):
                for match in matches:
                    shared = document.text[match.start : match.end]
                    spans.setdefault(shared, document.origin)
                    whole.setdefault(match.item.file, (document.origin, shared[:EXCERPT]))
            task.advance(len(batch), shared=float(len(spans)))
    return spans, whole


def _batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    waiting = iter(documents)
    while batch := list(islice(waiting, BATCH)):
        yield batch


def _units(kind: Kind, texts: Sequence[str]) -> Units:
    return words(texts) if kind == "words" else characters(texts)


def _covered(
    texts: Sequence[_Text],
    spans: Mapping[str, str],
    settings: DecontaminationSettings,
    sizes: Mapping[str, int],
) -> dict[tuple[str, str], SeenItem]:
    """Items with a run that is in one of the shared stretches.

    The index remembers each run with one of its items only; here every item that has the run is found.
    """
    shared, origins = list(spans), list(spans.values())
    seen: dict[tuple[str, str], SeenItem] = {}
    kinds: dict[Kind, list[_Text]] = defaultdict(list)
    for one in texts:
        kinds[kind_of(one.text)].append(one)
    for kind, own in kinds.items():
        size = settings.words if kind == "words" else settings.characters
        found = grams(_units(kind, shared), size)
        keys, first = np.unique(found.hashes, return_index=True)
        wanted = grams(_units(kind, [one.text for one in own]), size)
        counts = np.diff(wanted.starts)
        owners = np.repeat(np.arange(len(own)), counts)
        there = np.isin(wanted.hashes, keys)
        at_all = np.flatnonzero(there)
        there[at_all] = ~_common(wanted.hashes[at_all], owners[at_all], own, sizes)
        for at in np.unique(owners[there]).tolist():
            hits = wanted.hashes[wanted.starts[at] : wanted.starts[at + 1]]
            own_hits = there[wanted.starts[at] : wanted.starts[at + 1]]
            place = first[np.searchsorted(keys, hits[own_hits][0])]
            span = int(np.searchsorted(found.starts, place, side="right")) - 1
            coverage = float(own_hits.mean())
            task, identifier = own[at].owner
            known = seen.get(own[at].owner)
            if known is None or known.coverage < coverage:
                seen[own[at].owner] = SeenItem(
                    task, identifier, coverage, origins[span], shared[span][:EXCERPT]
                )
    return seen


def _common(
    hashes: np.ndarray, owners: np.ndarray, texts: Sequence[_Text], sizes: Mapping[str, int]
) -> np.ndarray:
    """Which runs are wording of their task: so many of its texts have them."""
    names = list(sizes)
    at = {name: number for number, name in enumerate(names)}
    tasks = np.array([at[text.owner[0]] for text in texts], dtype=np.int64)[owners]
    common = np.zeros(len(hashes), dtype=bool)
    for number in np.unique(tasks).tolist():
        own = np.flatnonzero(tasks == number)
        order = own[np.lexsort((owners[own], hashes[own]))]
        run, owner = hashes[order], owners[order]
        # One text has a run once, however often it repeats it.
        first = np.ones(len(run), dtype=bool)
        first[1:] = (run[1:] != run[:-1]) | (owner[1:] != owner[:-1])
        values, counts = np.unique(run[first], return_counts=True)
        limit = max(FEWEST_COMMON, COMMON * sizes[names[number]])
        common[own] = np.isin(hashes[own], values[counts > limit])
    return common


def _short_texts(
    texts: Sequence[_Text], settings: DecontaminationSettings, whole: Mapping[str, object]
) -> Iterator[_Text]:
    """Found texts that are shorter than a run, where they are not their task's wording."""
    found = [one for one in texts if one.key in whole]
    uses = Counter((one.owner[0], one.key) for one in found)
    items = Counter(task for task, _ in {one.owner for one in texts})
    for one in found:
        kind = kind_of(one.text)
        size = settings.words if kind == "words" else settings.characters
        if int(_units(kind, [one.text]).starts[1]) < size:
            limit = max(FEWEST_COMMON, COMMON * items[one.owner[0]])
            if uses[one.owner[0], one.key] <= limit:
                yield one


def with_scores(
    overlaps: Sequence[TaskOverlap],
    result: EvalResult,
    items: Iterable[ItemResult],
    *,
    resamples: int = 1000,
) -> list[TaskOverlap]:
    """The overlaps with the main metric of each task: over all items, over the seen, over the rest."""
    by_task: dict[str, list[ItemResult]] = defaultdict(list)
    for item in items:
        by_task[item.task].append(item)
    metrics = {task.name: task.metrics[0].name for task in result.tasks if task.metrics}

    def figure(name: str, own: Sequence[ItemResult]) -> MetricResult:
        return measure([name], own, seed=result.seed, resamples=resamples)[0]

    scored = []
    for overlap in overlaps:
        own = by_task.get(overlap.task, [])
        if not own or overlap.task not in metrics:
            scored.append(overlap)
            continue
        name = metrics[overlap.task]
        seen = {item.id for item in overlap.seen}
        scored.append(
            TaskOverlap(
                overlap.task,
                overlap.items,
                overlap.seen,
                all=figure(name, own),
                clean=figure(name, [item for item in own if item.id not in seen]),
                seen_items=figure(name, [item for item in own if item.id in seen]),
            )
        )
    return scored
