"""A study: what to vary, what to keep, and what to measure, as a TOML file.

    title = "Which units?"
    recipe = "../tiny-ko.toml"           # relative to this file
    skip = ["gguf", "complete"]          # stages of the recipe that do not matter here
    repeat = "pretrain"                  # the stage that gets another seed each time
    seeds = [1, 2, 3]
    baseline = "byte"                    # the others are compared with it
    losses = ["pretrain.bits_per_byte.language/ko"]   # lower is better
    scores = ["fewshot.mean_accuracy"]       # higher is better

    [common]
    "pretrain.num_bytes" = 4_000_000     # STAGE.key = value over the recipe, for all variants

    [variants.byte]
    "tokenizer.kind" = "byte"
    [variants.morpheme]
    "tokenizer.kind" = "morpheme"

A figure is a path into the JSON files that a stage's artifact holds beside its manifest:
`STAGE.key.key`. Stages that no variant changes are run once and reused.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from malmoi.core.config import ConfigTree, read_toml
from malmoi.core.errors import ConfigError
from malmoi.core.recipe import Recipe, check_recipe, read_recipe
from malmoi.core.registry import Registry
from malmoi.core.runner import RunOptions, flatten, run_recipe
from malmoi.core.stage import Progress, Stage
from malmoi.core.store import Run, Store


class StudySettings(BaseModel):
    """A study as its file says it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    title: str
    """The question."""
    recipe: str
    """The recipe that all variants share."""
    repeat: str
    """The stage that is repeated with other seeds."""
    seeds: tuple[int, ...] = Field(min_length=1)
    """One run of each variant for each of these."""
    baseline: str
    """The variant that the others are compared with."""
    losses: tuple[str, ...] = ()
    """STAGE.path of each figure of which less is better."""
    scores: tuple[str, ...] = ()
    """STAGE.path of each figure of which more is better."""
    skip: tuple[str, ...] = ()
    """Stages of the recipe to leave out."""
    common: dict[str, Any] = Field(default_factory=dict)
    """Settings over the recipe, for all variants."""
    variants: dict[str, dict[str, Any]] = Field(min_length=2)
    """Name -> settings over the recipe."""

    @property
    def figures(self) -> tuple[str, ...]:
        """All figures to compare."""
        return self.losses + self.scores

    @model_validator(mode="after")
    def _measures_something(self) -> "StudySettings":
        if not self.figures:
            raise ValueError("give losses or scores to compare")
        return self


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of one variant."""

    variant: str
    seed: int
    run: str
    values: Mapping[str, float]


def read_study(file: Path) -> tuple[StudySettings, ConfigTree]:
    """A study's settings and the tables of its recipe.

    Raises:
        ConfigError: the file or its recipe is wrong; the message names it.
    """
    tree = ConfigTree()
    tree.merge(read_toml(file), origin=str(file))
    variants = tree.values.pop("variants", {})
    tree.values["variants"] = {name: flatten(table) for name, table in variants.items()}
    tree.values["common"] = flatten(tree.values.get("common", {}))
    settings = tree.validate(StudySettings)
    if settings.baseline not in settings.variants:
        raise ConfigError(
            f"{file}: there is no variant {settings.baseline!r} to be the baseline.",
            fix=f"Variants: {', '.join(settings.variants)}.",
        )
    return settings, read_recipe(file.parent / settings.recipe)


def build_recipe(
    settings: StudySettings,
    base: ConfigTree,
    variant: str,
    seed: int,
    stages: Registry[type[Stage[Any]]],
    overrides: Mapping[str, Any],
) -> Recipe:
    """The recipe of one trial.

    Raises:
        ConfigError: a variant sets something that is not there.
    """
    tree = ConfigTree()
    tree.merge(_copy(base.values), origin=settings.recipe)
    known = tree.values.get("stages", {})
    if settings.repeat not in known:
        raise ConfigError(
            f"repeat: the recipe has no stage {settings.repeat!r}.", fix=f"It has {', '.join(known)}."
        )
    for name in settings.skip:
        known.pop(name, None)
    changes = {**settings.common, **settings.variants[variant], **overrides, f"{settings.repeat}.seed": seed}
    for path, value in changes.items():
        if path.partition(".")[0] not in known:
            raise ConfigError(f"variants.{variant}: the recipe has no stage for {path!r}.")
        nested: Any = value
        for part in reversed(["stages", *path.split(".")]):
            nested = {part: nested}
        tree.merge(nested, origin=f"the variant {variant}")
    return check_recipe(tree, stages)


def run_study(
    settings: StudySettings,
    base: ConfigTree,
    stages: Registry[type[Stage[Any]]],
    options: RunOptions,
    overrides: Mapping[str, Any],
) -> Iterator[Trial]:
    """Run every variant with every seed, seed by seed, so that an early stop leaves whole comparisons.

    Raises:
        MalmoiError: a run failed, or a figure is not in what it made.
    """
    progress: Progress = options.progress
    recipes = {
        (variant, seed): build_recipe(settings, base, variant, seed, stages, overrides)
        for seed in settings.seeds
        for variant in settings.variants
    }
    for number, ((variant, seed), recipe) in enumerate(recipes.items(), start=1):
        progress.note(f"trial {number} of {len(recipes)}: {variant}, seed {seed}")
        run = run_recipe(recipe, options)
        values = read_figures(options.store, run, settings.figures)
        yield Trial(variant, seed, run.id, values)


def read_figures(store: Store, run: Run, figures: tuple[str, ...]) -> dict[str, float]:
    """The figures of a run, by their paths.

    Raises:
        ConfigError: a stage made no such figure; the message lists what it made.
    """
    found: dict[str, float] = {}
    for stage in run.record.stages:
        if stage.artifact is None:
            continue
        artifact = store.artifact(stage.artifact)
        own = (artifact.path / record.path for record in artifact.manifest.files)  # not the manifest
        for file in (file for file in own if file.suffix == ".json" and file.parent == artifact.path):
            for path, value in flatten(json.loads(file.read_text(encoding="utf-8"))).items():
                if isinstance(value, int | float) and not isinstance(value, bool):
                    found.setdefault(f"{stage.name}.{path}", float(value))
    missing = [figure for figure in figures if figure not in found]
    if missing:
        stage_name = missing[0].partition(".")[0]
        near = [path for path in found if path.startswith(f"{stage_name}.")][:40]
        raise ConfigError(
            f"figures: there is no figure {missing[0]!r}.",
            fix=f"{stage_name} made: {', '.join(near) or 'none'}.",
        )
    return {figure: found[figure] for figure in figures}


def _copy(tables: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _copy(value) if isinstance(value, Mapping) else value for name, value in tables.items()}
