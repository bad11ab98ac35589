"""Measure a classifier that is there: test files, texts held out, harmless texts, tricks, speed."""

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from malmoi import __version__
from malmoi.core.errors import InvalidInput, NotFound
from malmoi.core.intervals import wilson
from malmoi.core.stage import Progress, SilentProgress
from malmoi.engine.classify.base import LabelGroup
from malmoi.engine.classify.model import MixedClassifier
from malmoi.evals.safety.datasets import (
    Dataset,
    Example,
    datasets,
    harmless_sets,
    load_harmless,
    load_test,
    load_training,
)
from malmoi.evals.safety.figures import describe, macro_f1
from malmoi.evals.safety.perturb import TRICKS, perturb
from malmoi.evals.safety.pool import HELD_OUT
from malmoi.evals.safety.split import draw_folds, find_groups

Array = NDArray[np.float64]
_BATCH = 64
MOST_PERTURBED = 600
"""Texts that each trick is played on."""
TIMED = 300
"""Texts that are timed one by one."""


def measure(
    classifier: MixedClassifier, data: Path, *, progress: Progress | None = None, resamples: int = 1000
) -> dict[str, Any]:
    """Everything that can be measured with the files under `data`, as JSON values.

    `test`: figures on the test files, by question. `held_out` and `tricks`: macro-F1 as written and with each
    trick, on texts that were held out of training, where the training files are the same. `harmless`: share
    of texts flagged, by question, operating point and set. `encoder`: share of texts that need the sentence
    encoder, by dataset and set. `speed`: one text at a time, in milliseconds. `skipped`: what was not there.

    Args:
        classifier: to be measured.
        data: folder of the datasets.
        progress: shows how far it is.
        resamples: of the bootstrap.

    Raises:
        InvalidInput: a file is not what it should be.
        MissingExtra: the sentence encoder is not installed.
    """
    progress = progress or SilentProgress()
    result: dict[str, Any] = {
        "classifier": classifier.about.name,
        "version": __version__,
        "seed": classifier.about.seed,
        "test": {},
        "held_out": {},
        "tricks": {},
        "harmless": {},
        "encoder": {},
        "skipped": [],
    }
    known = {group.name: group for group in classifier.groups}
    for name, dataset in datasets().items():
        keys = [key for key in dataset.questions if key in known]
        if not keys:
            continue
        try:
            examples = load_test(dataset, data).examples
            with progress.task(f"Test files of {name}", total=len(examples), unit="texts") as task:
                chances = _predict(classifier, examples, task.advance)
            for key in keys:
                result["test"][key] = _described(classifier, known[key], examples, chances, resamples)
        except NotFound as error:
            result["skipped"].append(str(error))
        held = _held_out(classifier, name, dataset, data, result["skipped"])
        if held:
            result["encoder"][name] = _share(classifier, [each.text for each in held])
            _add_tricks(classifier, held, [known[key] for key in keys], result, progress)
    _add_harmless(classifier, data, result, progress)
    _add_speed(classifier, data, result)
    return result


def _predict(classifier: MixedClassifier, examples: Sequence[Example], advance: Any = None) -> Array:
    parts = [np.zeros((0, len(classifier.labels)))]
    for begin in range(0, len(examples), _BATCH):
        batch = examples[begin : begin + _BATCH]
        found = classifier.predict([each.text for each in batch], [each.context for each in batch])
        parts.append(found.astype(np.float64))
        if advance is not None:
            advance(len(batch))
    return np.concatenate(parts)


def _answered(
    classifier: MixedClassifier, group: LabelGroup, examples: Sequence[Example], chances: Array
) -> tuple[Array, NDArray[np.int64], list[int]]:
    """A question's probabilities and right columns, and the places of the examples that answer it."""
    begin = classifier.labels.index(group.labels[0])
    rows = [row for row, example in enumerate(examples) if group.name in example.labels]
    gold = np.array([group.labels.index(examples[row].labels[group.name]) for row in rows], dtype=np.int64)
    return chances[rows][:, begin : begin + len(group.labels)], gold, rows


def _described(
    classifier: MixedClassifier,
    group: LabelGroup,
    examples: Sequence[Example],
    chances: Array,
    resamples: int,
) -> dict[str, Any]:
    own, gold, rows = _answered(classifier, group, examples, chances)
    groups = find_groups([examples[row] for row in rows])
    decision = group.decision or (1.0,) * len(group.labels)
    return describe(own, gold, group.labels, decision, groups, resamples=resamples)


def _held_out(
    classifier: MixedClassifier, name: str, dataset: Dataset, data: Path, skipped: list[str]
) -> list[Example]:
    """The examples that training held out, if the files are the same as then."""
    files: Mapping[str, str] = {}
    for question in classifier.about.questions:
        if question.name in dataset.questions:
            files = question.sources[0].files if question.sources else {}
    try:
        loaded = load_training(dataset, data)
    except NotFound as error:
        skipped.append(str(error))
        return []
    if dict(loaded.sha256) != dict(files):
        skipped.append(f"{dataset.title}: the files of {name} are not those of the training.")
        return []
    folds = draw_folds(find_groups(loaded.examples), HELD_OUT, classifier.about.seed, "held out")
    return [example for example, fold in zip(loaded.examples, folds, strict=True) if fold == 0]


def _add_tricks(
    classifier: MixedClassifier,
    held: Sequence[Example],
    groups: Sequence[LabelGroup],
    result: dict[str, Any],
    progress: Progress,
) -> None:
    """Macro-F1 on texts as they were written, and with each trick."""
    held = held[:MOST_PERTURBED]
    with progress.task("Tricks", total=(1 + len(TRICKS)) * len(held), unit="texts") as task:
        for trick in ("", *TRICKS):
            changed = [
                Example(perturb(each.text, trick), each.context, "", each.labels) if trick else each
                for each in held
            ]
            chances = _predict(classifier, changed, task.advance)
            for group in groups:
                own, gold, _ = _answered(classifier, group, changed, chances)
                chosen = (own * np.array(group.decision or 1.0)).argmax(axis=1)
                value = round(macro_f1(chosen, gold, len(group.labels)), 4)
                if trick:
                    result["tricks"][group.name][trick] = value
                else:
                    result["held_out"][group.name] = {"texts": len(gold), "macro_f1": value}
                    result["tricks"][group.name] = {}


def _add_harmless(
    classifier: MixedClassifier, data: Path, result: dict[str, Any], progress: Progress
) -> None:
    """Shares of harmless texts that would be flagged, with Wilson's interval."""
    for harmless in harmless_sets():
        try:
            _, texts, _ = load_harmless(harmless, data)
        except NotFound as error:
            result["skipped"].append(str(error))
            continue
        with progress.task(f"Harmless: {harmless.name}", total=len(texts), unit="texts") as task:
            chances = _predict(classifier, [Example(text) for text in texts], task.advance)
        result["encoder"][harmless.name] = _share(classifier, texts)
        for group in classifier.groups:
            if group.harmless is None:
                continue
            begin = classifier.labels.index(group.labels[0])
            own = chances[:, begin : begin + len(group.labels)]
            place = group.labels.index(group.harmless)
            flags = {"chosen": (own * np.array(group.decision or 1.0)).argmax(axis=1) != place}
            flags |= {point.name: 1 - own[:, place] >= point.threshold for point in group.points}
            for point, flagged in flags.items():
                count = int(flagged.sum())
                spread = wilson(count, len(texts))
                row = [
                    round(count / max(len(texts), 1), 4),
                    *(round(bound, 4) for bound in spread),
                    len(texts),
                ]
                result["harmless"].setdefault(group.name, {}).setdefault(point, {})[harmless.name] = row


def _share(classifier: MixedClassifier, texts: Sequence[str]) -> float:
    """Share of texts that need the sentence encoder."""
    return round(float(classifier.asks_encoder(texts).mean()), 4)


def _add_speed(classifier: MixedClassifier, data: Path, result: dict[str, Any]) -> None:
    """Milliseconds for one text, all questions together, and peak memory of this process."""
    import resource

    texts: list[str] = []
    for harmless in harmless_sets():
        try:
            texts += load_harmless(harmless, data)[1][: TIMED // len(harmless_sets())]
        except NotFound:
            continue
    if not texts:
        raise InvalidInput(f"{data} holds no texts to time.", fix="Name a folder with one of the datasets.")
    classifier.predict(texts[:3])
    times = []
    for text in texts:
        began = perf_counter()
        classifier.predict([text])
        times.append((perf_counter() - began) * 1000)
    result["speed"] = {
        "texts": len(texts),
        "characters": round(float(np.mean([len(text) for text in texts])), 1),
        "median_ms": round(float(np.median(times)), 3),
        "p95_ms": round(float(np.percentile(times, 95)), 3),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "machine": platform.machine(),
        "python": platform.python_version(),
    }
