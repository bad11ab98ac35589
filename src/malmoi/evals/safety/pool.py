"""The texts that classifiers are trained on: read, split without leaks, encoded, and given to questions."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import InvalidInput, NotFound
from malmoi.core.stage import Progress
from malmoi.engine.classify.encoder import SentenceEncoder
from malmoi.engine.classify.folder import SourceFile
from malmoi.engine.classify.model import encode
from malmoi.evals.safety.datasets import (
    Example,
    Loaded,
    datasets,
    harmless_sets,
    load_harmless,
    load_training,
)
from malmoi.evals.safety.question import Problem
from malmoi.evals.safety.split import draw_folds, find_groups

Rows = NDArray[np.int64]
HELD_OUT = 5
"""One group in this many is held out."""
_BATCH = 256


@dataclass
class Pool:
    """All texts, each once for every dataset it is in.

    Attributes:
        examples: the texts.
        groups: of each its group, whose texts stay together.
        folds: -1 held out, else its part of the cross-validation; the number of parts: always trained on.
        loaded: the datasets that are there.
        lent: question -> harmless texts it may learn from, as ranges of rows.
        notes: what is not there.
        sources: of harmless texts.
    """

    examples: list[Example] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    folds: list[int] = field(default_factory=list)
    loaded: dict[str, Loaded] = field(default_factory=dict)
    lent: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    sources: dict[str, SourceFile] = field(default_factory=dict)


def split_examples(examples: Sequence[Example], seed: int, folds: int) -> tuple[list[str], Rows]:
    """Groups that stay together, and of each example its fold: -1 held out, else 0 to `folds - 1`."""
    groups = find_groups(examples)
    held = draw_folds(groups, HELD_OUT, seed, "held out") == 0
    return groups, np.where(held, -1, draw_folds(groups, folds, seed, "fold"))


def read_pool(data: Path, seed: int, folds: int, only: Sequence[str]) -> Pool:
    """Read all datasets that are there.

    Args:
        data: folder of the datasets.
        seed: of the split.
        folds: parts of the cross-validation.
        only: names of datasets; empty: all.

    Raises:
        NotFound: no dataset is there.
        InvalidInput: a file is not what it should be, or a dataset is not known.
    """
    pool = Pool()
    known = datasets()
    unknown = next((each for each in only if each not in known), None)
    if unknown is not None:
        raise InvalidInput(f"there is no dataset {unknown!r}.", fix=f"Known: {', '.join(known)}.")
    for each in only or known:
        try:
            loaded = load_training(known[each], data)
        except NotFound as error:
            pool.notes.append(str(error))
            continue
        groups, parts = split_examples(loaded.examples, seed, folds)
        pool.loaded[each] = loaded
        pool.examples += loaded.examples
        pool.groups += groups
        pool.folds += parts.tolist()
    if not pool.loaded:
        raise NotFound(
            f"{data} holds none of the datasets.", fix="\n".join(pool.notes) or "Name another folder."
        )
    for harmless in harmless_sets():
        if not harmless.train:
            continue
        try:
            texts, _, digests = load_harmless(harmless, data)
        except NotFound as error:
            pool.notes.append(str(error))
            continue
        begin = len(pool.examples)
        pool.examples += [Example(text, source=harmless.name) for text in texts]
        pool.groups += [f"{harmless.name}/{number}" for number in range(len(texts))]
        pool.folds += [folds] * len(texts)
        pool.sources[harmless.name] = SourceFile(
            title=harmless.title,
            license=harmless.license,
            source=harmless.source,
            files=digests,
            texts=len(texts),
        )
        for key, count in harmless.train.items():
            pool.lent.setdefault(key, []).append((begin, min(begin + count, len(pool.examples))))
    return pool


def encode_pool(pool: Pool, encoder: SentenceEncoder, progress: Progress) -> NDArray[np.float32]:
    """The vectors of all texts: (N, 3 * 512), of the text, its context, and their product."""
    parts = []
    with progress.task("Encode sentences", total=len(pool.examples), unit="texts") as task:
        for begin in range(0, len(pool.examples), _BATCH):
            batch = pool.examples[begin : begin + _BATCH]
            parts.append(encode(encoder, [each.text for each in batch], [each.context for each in batch]))
            task.advance(len(batch))
    return np.concatenate(parts)


def pose_problem(
    pool: Pool, dataset: str, key: str, matrix: Any, floor: Any, vectors: NDArray[np.float32] | None
) -> tuple[Problem, Rows]:
    """A question's texts, labels and features, and the rows of the pool that they are.

    Args:
        pool: all texts.
        dataset: name of the question's dataset.
        key: name of the question.
        matrix: n-grams of all texts.
        floor: those of the floor.
        vectors: of the sentence encoder; None: it is not to be used.

    Raises:
        InvalidInput: a label has too few texts.
    """
    described = datasets()[dataset]
    question = described.questions[key]
    labels = tuple(question.labels.values())
    begin = 0
    for other, loaded in pool.loaded.items():
        if other == dataset:
            break
        begin += len(loaded.examples)
    own = range(begin, begin + len(pool.loaded[dataset].examples))
    rows = [row for row in own if key in pool.examples[row].labels]
    gold = [labels.index(pool.examples[row].labels[key]) for row in rows]
    if question.harmless is not None:
        for first, last in pool.lent.get(key, ()):
            rows += range(first, last)
            gold += [labels.index(question.harmless)] * (last - first)
    places, answers = np.array(rows, dtype=np.int64), np.array(gold, dtype=np.int64)
    folds = np.array(pool.folds)[places]
    for number, label in enumerate(labels):
        if min(((answers == number) & (folds >= 0)).sum(), ((answers == number) & (folds < 0)).sum()) < 5:
            raise InvalidInput(
                f"{described.title}: fewer than 5 texts to train on, or to hold out, are {label!r}.",
                fix="Give it more data, or leave the dataset out with --only.",
            )
    if question.harmless is None:
        # Kinds of the same are told by n-grams alone: no text is harmless enough to do without the encoder.
        vectors = None
    width = None if vectors is None else vectors.shape[1] if described.context else vectors.shape[1] // 3
    return (
        Problem(
            labels,
            question.harmless,
            answers,
            folds,
            matrix[places],
            floor[places],
            None if vectors is None else np.ascontiguousarray(vectors[places, :width]),
        ),
        places,
    )
