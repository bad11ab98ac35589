"""The study: every dataset under every condition, both directions, all seeds: what the model chose."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from malmoi.core.errors import ContextOverflow
from malmoi.core.stage import Progress
from malmoi.core.stage import Task as Bar
from malmoi.engine.base import Engine
from malmoi.evals.icl.conditions import Condition, Demonstrations, draw_demonstrations, gold_index
from malmoi.evals.icl.datasets import LabelKind, LabelSet, WordingName
from malmoi.evals.icl.ledger import ScoreLedger
from malmoi.evals.icl.wording import Method, Pair, build_pair


class LabelStudy(BaseModel):
    """What is varied."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    datasets: tuple[str, ...] = Field(min_length=1)
    """Names of datasets."""
    shots: tuple[int, ...] = (4, 8, 16)
    """Numbers of demonstrations."""
    correct: tuple[int, ...] = (0, 25, 50, 75, 100)
    """Percent of them with the right label."""
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    """Each draws other demonstrations."""
    methods: tuple[Method, ...] = ("direct",)
    """Directions of inference."""
    calibrate: bool = True
    """Whether each direction is measured with contextual calibration too."""
    balanced: bool = False
    """Whether demonstrations have as many of each label as k allows."""
    wording: WordingName = "verbose"
    """The templates."""
    labels: LabelKind = "words"
    """What labels are called."""
    limit: int | None = None
    """Most items of a dataset."""


class Choices(BaseModel):
    """What the model chose for the items of a dataset under one condition, by places of the labels."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    dataset: str
    method: Method
    shots: int
    seed: int
    kind: str
    """`correct`, `random` or `none`, see `Condition`."""
    percent: int
    share: float
    """Of the demonstrations whose label is right, as it came out."""
    plain: tuple[int, ...]
    calibrated: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Skipped:
    """What could not be asked, and why."""

    dataset: str
    shots: int
    reason: str


async def run_labels(
    study: LabelStudy,
    sets: Sequence[LabelSet],
    engine: Engine,
    ledger: ScoreLedger,
    progress: Progress,
) -> tuple[list[Choices], list[Skipped]]:
    """Ask everything.

    A number of demonstrations that does not fit the model's context is left out for that dataset, and said.

    Raises:
        InvalidInput: a dataset has not as many examples as are to be shown.
        EngineError: the engine failed; what it has answered is in the ledger.
    """
    found: list[Choices] = []
    skipped: list[Skipped] = []
    for label_set in sets:  # what cannot be drawn is said before anything is asked
        _draw(study, label_set, max(study.shots), study.seeds[0])
    for label_set in sets:
        total = _count(study, label_set)
        with progress.task(f"Ask {label_set.name}", total=total, unit="requests") as bar:
            for k in (0, *study.shots):
                try:
                    found += [
                        await _choose(study, label_set, method, k, seed, condition, engine, ledger, bar)
                        for seed, condition, method in _cells(study, k)
                    ]
                except ContextOverflow as error:
                    skipped.append(Skipped(label_set.name, k, error.message))
                    progress.note(f"{label_set.name}, {k} demonstrations: {error.message}")
    return found, skipped


def _draw(study: LabelStudy, label_set: LabelSet, k: int, seed: int) -> Demonstrations:
    return draw_demonstrations(label_set.pool, k, seed=seed, name=label_set.name, balanced=study.balanced)


def _cells(study: LabelStudy, k: int) -> Iterator[tuple[int, Condition, Method]]:
    seeds = study.seeds if k else (0,)  # without demonstrations a seed has nothing to draw
    conditions = [*(Condition("correct", a) for a in study.correct), Condition("random")]
    for seed in seeds:
        for condition in conditions if k else [Condition("none")]:
            for method in study.methods:
                yield seed, condition, method


def _count(study: LabelStudy, label_set: LabelSet) -> int:
    cells = sum(1 for k in (0, *study.shots) for _ in _cells(study, k))
    return cells * sum(len(item.choices) for item in label_set.items)


async def _choose(
    study: LabelStudy,
    label_set: LabelSet,
    method: Method,
    k: int,
    seed: int,
    condition: Condition,
    engine: Engine,
    ledger: ScoreLedger,
    bar: Bar,
) -> Choices:
    drawn = _draw(study, label_set, k, seed)
    given = drawn.labels(condition)
    pairs = build_pairs(label_set, method, drawn, given)
    # All of one condition at once: they begin alike, which engines that share prefixes make use of.
    scores = await ledger.score(engine, pairs)
    free: list[float] = []
    if study.calibrate:
        neutral = build_pairs(label_set, method, drawn, given, content_free=True)
        once = list(dict.fromkeys(neutral))
        known = dict(zip(once, await ledger.score(engine, once), strict=True))
        free = [known[pair] for pair in neutral]
    bar.advance(len(pairs))
    sizes = [len(item.choices) for item in label_set.items]
    right = [label == gold_index(example) for label, example in zip(given, drawn.examples, strict=False)]
    return Choices(
        dataset=label_set.name,
        method=method,
        shots=k,
        seed=seed,
        kind=condition.kind,
        percent=condition.percent,
        share=sum(right) / k if k else 0.0,
        plain=likeliest(scores, sizes),
        calibrated=likeliest([s - f for s, f in zip(scores, free, strict=True)], sizes) if free else (),
    )


def build_pairs(
    label_set: LabelSet,
    method: Method,
    drawn: Demonstrations,
    given: Sequence[int],
    *,
    content_free: bool = False,
) -> list[Pair]:
    """Context and continuation of each label of each item.

    Args:
        label_set: the dataset.
        method: the direction.
        drawn: the demonstrations.
        given: their labels.
        content_free: ask the content-free question in place of each item's.
    """
    shots = [
        (example.question, label_set.label(example, place))
        for example, place in zip(drawn.examples, given, strict=False)
    ]
    words = label_set.wording
    return [
        build_pair(
            words,
            method,
            shots,
            words.content_free if content_free else item.question,
            label_set.label(item, place),
        )
        for item in label_set.items
        for place in range(len(item.choices))
    ]


def likeliest(scores: Sequence[float], sizes: Sequence[int]) -> tuple[int, ...]:
    """The place of the highest score of each item; the first one of equal ones.

    Args:
        scores: of all labels of all items in order.
        sizes: labels of each item.
    """
    best, start = [], 0
    for size in sizes:
        own = scores[start : start + size]
        best.append(max(range(size), key=lambda place: own[place]))
        start += size
    return tuple(best)
