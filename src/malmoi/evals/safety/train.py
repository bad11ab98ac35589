"""Train a classifier of unsafe text on all datasets that are there, and measure it beside the floor."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from malmoi import __version__
from malmoi.core.stage import Progress, SilentProgress
from malmoi.engine.classify.encoder import SentenceEncoder, shared_encoder
from malmoi.engine.classify.folder import (
    ClassifierFile,
    NgramSettings,
    Tensors,
    write_classifier,
)
from malmoi.evals.safety.datasets import datasets
from malmoi.evals.safety.matrix import build_matrix, build_vocabulary, count_texts
from malmoi.evals.safety.pool import encode_pool, pose_problem, read_pool
from malmoi.evals.safety.question import FitSettings, fit_question, fits
from malmoi.evals.safety.record import held_out_curves, held_out_figures, question_file
from malmoi.evals.safety.softmax import need_scipy

FLOOR = NgramSettings(surface_orders=(2, 3, 4), jamo_orders=(), words=False)
"""The floor: a linear model on counted n-grams of two to four characters."""


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
        seed: of splits and resamples.
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
    pool = read_pool(data, seed, settings.folds, only)
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
    vectors = encode_pool(pool, encoder or shared_encoder(), progress) if settings.encoder else None
    tensors: Tensors = {"buckets": vocabulary.buckets.astype(np.uint32), "idf": vocabulary.idf}
    files, curves = [], {}
    wanted = [(dataset, key) for dataset in pool.loaded for key in datasets()[dataset].questions]
    total = len(wanted) * fits(vectors is not None, settings)
    with progress.task("Fit", total=total, unit="models") as task:
        for dataset, key in wanted:
            problem, rows = pose_problem(pool, dataset, key, matrix, floor, vectors)
            fitted = fit_question(problem, settings, task.advance)
            held = rows[folds[rows] < 0]
            figures = held_out_figures(
                fitted, problem, [pool.groups[row] for row in held], seed, settings.resamples
            )
            files.append(question_file(pool, dataset, key, fitted, figures))
            curves[key] = held_out_curves(fitted, problem, [pool.examples[row] for row in held])
            tensors |= {f"{key}/{part}": array for part, array in fitted.tensors.items()}
    about = ClassifierFile(
        name=name, version=__version__, seed=seed, ngrams=settings.ngrams, questions=tuple(files)
    )
    return Trained(about, tensors, curves, tuple(pool.notes))
