"""What the trainings of the study came to: each mix on each task and source, against noise and chance.

After Shin et al., "On the Effect of Pretraining Corpora on In-context Learning by a Large-scale Language
Model" (NAACL 2022, arXiv 2204.13509): models of equal size and equal budget that differ in their sources.
"""

from collections.abc import Mapping, Sequence
from math import sqrt
from statistics import fmean, stdev
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from malmoi.core.errors import ConfigError
from malmoi.factory.ablate.compare import Comparison, compare
from malmoi.factory.ablate.study import StudySettings, Trial

Verdict: TypeAlias = Literal["above chance", "below chance", "inside the noise"]

_SOURCE = ".bits_per_byte.source/"
_TASKS = ".tasks."
_SCORES = {".accuracy": "", ".accuracy_by_byte": " by byte"}
_Z95 = 1.96


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Figure(_Row):
    """One figure of one mix over the seeds."""

    mean: float
    spread: float
    """Standard deviation over the seeds; 0 of one seed."""
    by_seed: dict[int, float]


class Score(_Row):
    """Accuracy of one mix on one task."""

    figure: Figure
    chance: float
    items: int
    low: float
    high: float
    """95 % interval: of the items (binomial) and the seeds (normal) together."""

    @property
    def verdict(self) -> Verdict:
        """Whether it is anything but guessing."""
        if self.low <= self.chance <= self.high:
            return "inside the noise"
        return "above chance" if self.low > self.chance else "below chance"


class Mix(_Row):
    """A mixture of sources."""

    name: str
    weights: dict[str, float]
    """Source -> share; they sum to 1."""
    epochs: dict[str, float] = {}
    """Source -> how often its text was seen."""
    bits: dict[str, Figure]
    """Source -> bits per byte of its held-out text."""
    scores: dict[str, dict[str, Score]]
    """Stage (without or with demonstrations) -> task -> accuracy."""

    def mean_bits(self) -> float:
        """Mean over the sources."""
        return fmean(figure.mean for figure in self.bits.values())


class Addition(_Row):
    """A mix against the best of its single sources, on one task and stage."""

    mix: str
    best: str
    stage: str
    task: str
    difference: float
    low: float | None
    high: float | None
    """95 % interval paired over the seeds; None: one seed."""
    verdict: str


class Named(_Row):
    """The figures that a study names."""

    sources: tuple[str, ...]
    """Whose held-out text is measured."""
    stages: dict[str, dict[str, str]]
    """Stage (without or with demonstrations) -> task -> path of its accuracy."""


def figures_of(settings: StudySettings) -> Named:
    """The figures that the study names; a task by its accuracy by byte is called `TASK by byte`.

    Raises:
        ConfigError: it names no source or no task.
    """
    sources = tuple(name.partition(_SOURCE)[2] for name in settings.losses if _SOURCE in name)
    stages: dict[str, dict[str, str]] = {}
    for name in settings.scores:
        stage, found, rest = name.partition(_TASKS)
        for ending, called in _SCORES.items():
            if found and rest.endswith(ending):
                stages.setdefault(stage, {})[rest.removesuffix(ending) + called] = name
    if not sources or not stages:
        missing = "losses" if not sources else "scores"
        form = f"{settings.repeat}{_SOURCE}NAME" if not sources else f"fewshot{_TASKS}FAMILY/TASK.accuracy"
        raise ConfigError(
            f"{missing}: the study names no {'source' if not sources else 'task'}.", fix=f"Add {form}."
        )
    return Named(sources=sources, stages=stages)


def beside_scores(settings: StudySettings) -> tuple[str, ...]:
    """Figures that are needed beside those of the study: chance and number of items of each task."""
    paths = [path for tasks in figures_of(settings).stages.values() for path in tasks.values()]
    return tuple(_beside(path, name) for path in paths for name in ("chance", "items"))


def _beside(path: str, name: str) -> str:
    """The figure of the same task by another name."""
    return f"{path.rpartition('.')[0]}.{name}"


def weights_of(settings: StudySettings, name: str) -> dict[str, float]:
    """The shares of a mix, which sum to 1.

    Raises:
        ConfigError: the variant has no weights, or wrong ones.
    """
    prefix = f"{settings.repeat}.weights."
    given = {
        key.removeprefix(prefix): value
        for key, value in {**settings.common, **settings.variants[name]}.items()
        if key.startswith(prefix)
    }
    numbers = {
        source: value for source, value in given.items() if isinstance(value, int | float) and value >= 0
    }
    total = sum(numbers.values())
    if len(numbers) != len(given) or total <= 0:
        raise ConfigError(
            f"variants.{name}: it has no weights of sources.",
            fix=f'Write "{settings.repeat}.weights" = {{reviews = 0.5, docs = 0.5}}.',
        )
    return {source: value / total for source, value in numbers.items() if value > 0}


def build_mixes(
    settings: StudySettings,
    trials: Sequence[Trial],
    beside: Mapping[str, float],
    epochs: Mapping[str, Mapping[str, float]],
) -> list[Mix]:
    """The mixes over the seeds that all of them have finished.

    Args:
        settings: the study.
        trials: its runs.
        beside: chance and items of each task, see `beside_scores`.
        epochs: mix -> source -> how often it was seen.
    """
    named = figures_of(settings)
    values = whole_seeds(settings, trials)

    def figure(name: str, mix: str) -> Figure:
        found = {seed: trial.values[name] for seed, trial in values[mix].items()}
        numbers = list(found.values())
        return Figure(mean=fmean(numbers), spread=stdev(numbers) if len(numbers) > 1 else 0.0, by_seed=found)

    mixes = []
    for name in settings.variants:
        scores = {
            stage: {
                task: _score(
                    figure(path, name), beside[_beside(path, "chance")], round(beside[_beside(path, "items")])
                )
                for task, path in tasks.items()
            }
            for stage, tasks in named.stages.items()
        }
        bits = {source: figure(f"{settings.repeat}{_SOURCE}{source}", name) for source in named.sources}
        mixes.append(
            Mix(
                name=name,
                weights=weights_of(settings, name),
                epochs=dict(epochs.get(name, {})),
                bits=bits,
                scores=scores,
            )
        )
    return mixes


def whole_seeds(settings: StudySettings, trials: Sequence[Trial]) -> dict[str, dict[int, Trial]]:
    """Mix -> seed -> trial, of the seeds that every mix has finished."""
    done: dict[str, dict[int, Trial]] = {name: {} for name in settings.variants}
    for trial in trials:
        done[trial.variant][trial.seed] = trial
    seeds = [seed for seed in settings.seeds if all(seed in by_seed for by_seed in done.values())]
    return {name: {seed: by_seed[seed] for seed in seeds} for name, by_seed in done.items()}


def _score(figure: Figure, chance: float, items: int) -> Score:
    seeds = len(figure.by_seed)
    of_items = figure.mean * (1.0 - figure.mean) / items
    half = _Z95 * sqrt(of_items + (figure.spread**2 / seeds))
    return Score(figure=figure, chance=chance, items=items, low=figure.mean - half, high=figure.mean + half)


def compare_additions(mixes: Sequence[Mix]) -> list[Addition]:
    """Each mix of several sources against the best of those that were trained alone.

    Shin et al. found that in-context learning may come from sources together that do not give it alone.
    """
    alone = {next(iter(mix.weights)): mix for mix in mixes if len(mix.weights) == 1}
    rows = []
    for mix in mixes:
        parts = [alone[source] for source in mix.weights if source in alone]
        if len(mix.weights) < 2 or len(parts) < len(mix.weights):
            continue
        for stage, tasks in mix.scores.items():
            for task, score in tasks.items():
                best = max(parts, key=lambda part: part.scores[stage][task].figure.mean)
                of_best = best.scores[stage][task].figure
                row = _compared(best.name, of_best, mix.name, score.figure)
                # The interval is in percent of the best part's score: points of accuracy say more.
                scale = abs(of_best.mean) / 100.0
                rows.append(
                    Addition(
                        mix=mix.name,
                        best=best.name,
                        stage=stage,
                        task=task,
                        difference=score.figure.mean - of_best.mean,
                        low=row.interval[0] * scale if row.interval else None,
                        high=row.interval[1] * scale if row.interval else None,
                        verdict=row.verdict,
                    )
                )
    return rows


def _compared(baseline: str, reference: Figure, name: str, figure: Figure) -> Comparison:
    values = {baseline: reference.by_seed, name: figure.by_seed}
    return compare(values, figure="accuracy", baseline=baseline, lower_is_better=False)[1]
