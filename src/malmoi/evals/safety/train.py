"""Train a classifier of unsafe text on all datasets that are there, and measure it beside the floor."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from malmoi import __version__
from malmoi.core.errors import InvalidInput, NotFound
from malmoi.core.stage import Progress, SilentProgress
from malmoi.engine.classify.encoder import SentenceEncoder, shared_encoder
from malmoi.engine.classify.folder import (
    ClassifierFile,
    NgramSettings,
    PointFile,
    QuestionFile,
    SourceFile,
    Tensors,
    write_classifier,
)
from malmoi.engine.classify.model import encode
from malmoi.evals.safety.datasets import (
    Dataset,
    Example,
    Loaded,
    datasets,
    harmless_sets,
    load_harmless,
    load_training,
)
from malmoi.evals.safety.figures import describe, difference, precision_curve, reliability
from malmoi.evals.safety.matrix import build_matrix, build_vocabulary, count_texts
from malmoi.evals.safety.question import FitSettings, Fitted, Problem, fit_question, fits
from malmoi.evals.safety.softmax import need_scipy
from malmoi.evals.safety.split import draw_folds, find_groups

Rows = NDArray[np.int64]
FLOOR = NgramSettings(surface_orders=(2, 3, 4), jamo_orders=(), words=False)
"""The floor: a linear model on counted n-grams of two to four characters."""
HELD_OUT = 5
"""One group in this many is held out."""
WORST = 25
_BATCH = 256


class TrainSettings(FitSettings):
    """How a classifier is trained."""

    ngrams: NgramSettings = NgramSettings()
    """Which n-grams the linear models read."""
    min_texts: int = Field(3, ge=1)
    """N-grams of fewer texts are left out."""
    encoder: bool = True
    """Whether the sentence encoder may be used where it helps."""
    resamples: int = Field(1000, ge=2)
    """Of the bootstrap that gives figures their intervals."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A classifier, and what its page shows beyond its own figures."""

    about: ClassifierFile
    tensors: Tensors
    curves: dict[str, Any]
    """By question: reliability, precision curves, worst errors."""
    notes: tuple[str, ...]

    def write(self, folder: Path) -> None:
        """Write the classifier's two files.

        Raises:
            DiskFull: there is no room.
        """
        write_classifier(folder, self.about, self.tensors)


@dataclass
class _Pool:
    """All texts, each once for every dataset it is in."""

    examples: list[Example] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    folds: list[int] = field(default_factory=list)
    loaded: dict[str, Loaded] = field(default_factory=dict)
    lent: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    """Question -> harmless texts it may learn from, as ranges of rows."""
    notes: list[str] = field(default_factory=list)
    sources: dict[str, SourceFile] = field(default_factory=dict)


def split_examples(examples: Sequence[Example], seed: int, folds: int) -> tuple[list[str], Rows]:
    """Groups that stay together, and of each example its fold: -1 held out, else 0 to `folds - 1`."""
    groups = find_groups(examples)
    held = draw_folds(groups, HELD_OUT, seed, "held out") == 0
    return groups, np.where(held, -1, draw_folds(groups, folds, seed, "fold"))


def train(
    data: Path,
    *,
    name: str,
    seed: int = 0,
    settings: TrainSettings | None = None,
    only: Sequence[str] = (),
    encoder: SentenceEncoder | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train on the datasets under `data`; the same files, seed and settings give the same bytes.

    Args:
        data: folder of the datasets (datasets/*.toml say which files).
        name: of the classifier.
        seed: of splits and networks.
        settings: how.
        only: names of datasets; empty: all that are there.
        encoder: of sentences; None: the one of this process.
        progress: shows how far it is.

    Raises:
        NotFound: no dataset is there.
        InvalidInput: a file is not what it should be, or a label has too few texts.
        MissingExtra: scipy or the sentence encoder is not installed.
    """
    need_scipy()
    settings, progress = settings or TrainSettings(), progress or SilentProgress()
    pool = _read(data, seed, settings, only)
    for note in pool.notes:
        progress.note(note)
    folds = np.array(pool.folds, dtype=np.int64)
    trained = np.flatnonzero(folds >= 0)
    with progress.task("Count n-grams", total=2 * len(pool.examples), unit="texts") as task:
        counts = count_texts(pool.examples, settings.ngrams, task)
        floor_counts = count_texts(pool.examples, FLOOR, task)
    vocabulary = build_vocabulary(counts, trained, min_texts=settings.min_texts, weighted=True)
    matrix = build_matrix(counts, vocabulary)
    floor_vocabulary = build_vocabulary(floor_counts, trained, min_texts=2, weighted=False)
    floor = build_matrix(floor_counts, floor_vocabulary)
    vectors = _vectors(pool, encoder or shared_encoder(), progress) if settings.encoder else None
    tensors: Tensors = {"buckets": vocabulary.buckets.astype(np.uint32), "idf": vocabulary.idf}
    files, curves = [], {}
    wanted = [(dataset, key) for dataset in pool.loaded for key in datasets()[dataset].questions]
    total = len(wanted) * fits(vectors is not None, settings)
    with progress.task("Fit", total=total, unit="models") as task:
        for dataset, key in wanted:
            problem, rows = _problem(pool, dataset, key, matrix, floor, vectors)
            fitted = fit_question(problem, settings, seed, task.advance)
            held = rows[folds[rows] < 0]
            figures = _figures(fitted, problem, [pool.groups[row] for row in held], seed, settings.resamples)
            files.append(_question_file(pool, dataset, key, fitted, figures))
            curves[key] = _curves(fitted, problem, [pool.examples[row] for row in held])
            tensors |= {f"{key}/{part}": array for part, array in fitted.tensors.items()}
    if not any("ngrams" in file.members for file in files):
        tensors = {key: array for key, array in tensors.items() if "/" in key}
    about = ClassifierFile(
        name=name, version=__version__, seed=seed, ngrams=settings.ngrams, questions=tuple(files)
    )
    return Trained(about, tensors, curves, tuple(pool.notes))


def _read(data: Path, seed: int, settings: TrainSettings, only: Sequence[str]) -> _Pool:
    pool = _Pool()
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
        groups, folds = split_examples(loaded.examples, seed, settings.folds)
        pool.loaded[each] = loaded
        pool.examples += loaded.examples
        pool.groups += groups
        pool.folds += folds.tolist()
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
        pool.folds += [settings.folds] * len(texts)
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


def _vectors(pool: _Pool, encoder: SentenceEncoder, progress: Progress) -> NDArray[np.float32]:
    parts = []
    with progress.task("Encode sentences", total=len(pool.examples), unit="texts") as task:
        for begin in range(0, len(pool.examples), _BATCH):
            batch = pool.examples[begin : begin + _BATCH]
            parts.append(encode(encoder, [each.text for each in batch], [each.context for each in batch]))
            task.advance(len(batch))
    return np.concatenate(parts)


def _problem(
    pool: _Pool, dataset: str, key: str, matrix: Any, floor: Any, vectors: NDArray[np.float32] | None
) -> tuple[Problem, Rows]:
    """The question's texts, labels and features, and the rows of the pool they are."""
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


def _figures(
    fitted: Fitted, problem: Problem, groups: Sequence[str], seed: int, resamples: int
) -> dict[str, Any]:
    gold = problem.gold[problem.fold < 0]
    sides = ((fitted.chances, fitted.decision), (fitted.floor_chances, fitted.floor_decision))
    own, floor = (
        describe(chances, gold, problem.labels, decision.tolist(), groups, seed=seed, resamples=resamples)
        for chances, decision in sides
    )
    chosen, other = ((chances * decision).argmax(axis=1) for chances, decision in sides)
    return own | {
        "floor": floor,
        "over_floor": difference(chosen, other, gold, len(problem.labels), groups, seed=seed),
        "out_of_fold": dict(fitted.tried),
    }


def _question_file(
    pool: _Pool, dataset: str, key: str, fitted: Fitted, figures: dict[str, Any]
) -> QuestionFile:
    described: Dataset = datasets()[dataset]
    question = described.questions[key]
    loaded = pool.loaded[dataset]
    trained = [
        example
        for example, fold in zip(pool.examples, pool.folds, strict=True)
        if fold >= 0 and key in example.labels
    ]
    sources = [
        SourceFile(
            title=described.title,
            license=described.license,
            source=described.source,
            files=dict(loaded.sha256),
            texts=len(trained),
        )
    ]
    if question.harmless is not None:
        sources += [
            pool.sources[each.name]
            for each in harmless_sets()
            if key in each.train and each.name in pool.sources
        ]
    return QuestionFile(
        name=key,
        title=question.title,
        labels=tuple(question.labels.values()),
        harmless=question.harmless,
        decision=tuple(round(float(factor), 6) for factor in fitted.decision),
        members=fitted.members,
        context=described.context is not None,
        points=tuple(
            PointFile(
                name=point.name,
                flagged=point.flagged,
                threshold=point.threshold,
                precision=point.precision,
                recall=point.recall,
                false_positive_rate=point.false_positive_rate,
            )
            for point in fitted.points
        ),
        sources=tuple(sources),
        metrics=figures,
    )


def _curves(fitted: Fitted, problem: Problem, examples: Sequence[Example]) -> dict[str, Any]:
    gold = problem.gold[problem.fold < 0]
    curves: dict[str, Any] = {"reliability": {}, "precision": {}, "floor_precision": {}, "worst": []}
    for column, label in enumerate(problem.labels):
        is_label = gold == column
        curves["reliability"][label] = reliability(fitted.chances[:, column], is_label)
        curves["precision"][label] = precision_curve(fitted.chances[:, column], is_label)
        curves["floor_precision"][label] = precision_curve(fitted.floor_chances[:, column], is_label)
    right = fitted.chances[np.arange(gold.size), gold]
    for row in np.argsort(right, kind="stable")[:WORST]:
        curves["worst"].append(
            {
                "text": examples[row].text,
                "context": examples[row].context,
                "label": problem.labels[gold[row]],
                "chances": {
                    label: round(float(chance), 3)
                    for label, chance in zip(problem.labels, fitted.chances[row], strict=True)
                },
            }
        )
    return curves
