"""The recipe whose corpus, tokenizer and model are measured, and its artifacts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from malmoi.cli.bench.measure import BenchOptions
from malmoi.cli.live import open_progress
from malmoi.cli.run import checked_data, find_recipe
from malmoi.core.errors import ConfigError
from malmoi.core.recipe import Recipe, check_recipe, read_recipe
from malmoi.core.runner import RunOptions, run_recipe
from malmoi.factory.stages import build_stages

STAGES = ("corpus", "tokenizer", "tokens", "pretrain")
"""What a recipe must have to be measured, under these names."""


@dataclass(frozen=True, slots=True)
class Bench:
    """A recipe, and the store that its artifacts go to."""

    file: Path
    options: RunOptions
    pretrain: dict[str, Any]
    """All settings of its pretraining."""

    def run(self, until: str, changes: Mapping[str, Any] | None = None) -> dict[str, Path]:
        """The folders of the artifacts up to a stage; what is there already is not made again.

        Args:
            until: the last stage.
            changes: STAGE.key -> value, laid over the recipe.
        """
        recipe = _changed(self.file, changes or {})
        with open_progress() as progress:
            run = run_recipe(recipe, replace(self.options, until=until, progress=progress))
        store = self.options.store
        return {
            stage.name: store.artifact(stage.artifact).path for stage in run.record.stages if stage.artifact
        }

    def train(self, changes: Mapping[str, Any]) -> "Trained":
        """Train with these changes, read what there is to know, and forget the model."""
        folder = self.run("pretrain", changes)["pretrain"]
        trained = Trained.read(folder)
        self.options.store.remove_artifact(folder.name)
        return trained


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training came to."""

    seconds: list[float]
    """Of each step."""
    bits_per_byte: dict[str, float]
    """Of held-out text, by slice."""
    parameters: int

    @classmethod
    def read(cls, folder: Path) -> "Trained":
        """From the artifact of a pretraining stage."""
        facts = json.loads((folder / "training.json").read_text(encoding="utf-8"))
        lines = (folder / "about" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        seconds = [row["seconds"] for row in rows if "seconds" in row]
        return cls(seconds, facts["bits_per_byte"], facts["parameters"]["total"])


def open_bench(options: BenchOptions) -> Bench:
    """The bench of `options.recipe` over `options.data`.

    Raises:
        ConfigError: the recipe is wrong, or lacks a stage that is measured.
    """
    file = find_recipe(options.recipe)
    recipe = _changed(file, {})
    missing = [name for name in STAGES if name not in recipe.names()]
    if missing:
        raise ConfigError(
            f"{file}: it has no stage {missing[0]}, so it cannot be measured.",
            fix=f"Name a recipe with the stages {', '.join(STAGES)}.",
        )
    pretrain = next(step.config for step in recipe.steps if step.name == "pretrain")
    run_options = RunOptions(home=options.home / "bench", data=checked_data(options.data))
    return Bench(file, run_options, pretrain.model_dump(mode="json"))


def _changed(file: Path, changes: Mapping[str, Any]) -> Recipe:
    tree = read_recipe(file)
    for path, value in changes.items():
        nested: Any = value
        for part in reversed(["stages", *path.split(".")]):
            nested = {part: nested}
        tree.merge(nested, origin="malmoi bench")
    return check_recipe(tree, build_stages())
