"""Recipes: a TOML file that lists stages in order.

    name = "tiny-ko"
    seed = 17
    extends = "base.toml"          # optional, one level, relative to this file

    [stages.corpus]                # the stage's name; stages run in this order
    evaluation = ["kobest/**"]     # its configuration

    [stages.second-pretrain]
    use = "pretrain"               # the kind of stage; the name itself where left out
    inputs = {model = "pretrain"}  # role -> stage or artifact id; by kind where left out
    seed = 18                      # the recipe's where left out

A role that `inputs` does not name takes the nearest earlier stage that makes an artifact of its kind.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from malmoi.core.config import ConfigTree, parse_override, read_toml
from malmoi.core.errors import ConfigError, UnknownName
from malmoi.core.registry import Registry
from malmoi.core.stage import Stage, StageConfig

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,49}")
_TOP = ("name", "title", "seed", "extends", "stages")


@dataclass(frozen=True, slots=True)
class Step:
    """A stage as a recipe asks for it, with its configuration checked."""

    name: str
    use: str
    stage: Stage[Any]
    config: StageConfig
    inputs: Mapping[str, str]
    """Role -> name of an earlier step, or an artifact's id."""
    seed: int


@dataclass(frozen=True, slots=True)
class Recipe:
    """A checked recipe. `tables` is its merged text as plain data, from which it can be built again."""

    name: str
    title: str
    seed: int
    steps: tuple[Step, ...]
    tables: Mapping[str, Any]

    def names(self) -> list[str]:
        """The names of its stages in order."""
        return [step.name for step in self.steps]


def read_recipe(file: Path, overrides: Sequence[str] = ()) -> ConfigTree:
    """The merged tables of a recipe: what it extends, itself, and `--set` on top.

    `--set STAGE.key=value` sets a stage's configuration, `--set seed=1` the recipe's own.

    Raises:
        ConfigError: a file is missing or wrong, or extends a recipe that extends another.
    """
    tables = read_toml(file)
    tree = ConfigTree()
    parent = tables.pop("extends", None)
    if parent is not None:
        if not isinstance(parent, str):
            raise ConfigError(f"{file}: extends must be the path of one recipe.")
        base = read_toml(file.parent / parent)
        if "extends" in base:
            raise ConfigError(
                f"{file}: {parent} extends {base['extends']} itself.", fix="Recipes extend one level."
            )
        tree.merge(base, origin=str(file.parent / parent))
    tree.merge(tables, origin=str(file))
    return override_recipe(tree, overrides)


def override_recipe(tree: ConfigTree, overrides: Sequence[str]) -> ConfigTree:
    """Lay `--set` values over a recipe's tables.

    Raises:
        ConfigError: an override has no '=', or names no stage.
    """
    for override in overrides:
        path, text = parse_override(override)
        if path[0] not in ("name", "title", "seed"):
            stages = tree.values.get("stages", {})
            if path[0] not in stages or len(path) < 2:
                unknown = UnknownName("stage", path[0], stages)
                raise ConfigError(f"--set {override}: {unknown.message}", fix="Write it as STAGE.key=value.")
            path = ("stages", *path)
        tree.put(path, text, None, origin=f"--set {override}")
    return tree


def check_recipe(tree: ConfigTree, stages: Registry[type[Stage[Any]]]) -> Recipe:
    """Check a recipe's tables against the stages that there are.

    Raises:
        ConfigError: an unknown key, a wrong value or a wrong input; the message names file, key and fix.
        UnknownName: no such kind of stage.
    """
    values = tree.values
    for key in values:
        if key not in _TOP:
            raise ConfigError(
                f"{tree.origin((key,))}: a recipe has no key {key!r}.", fix=f"It has {', '.join(_TOP)}."
            )
    name, seed, tables = values.get("name"), values.get("seed", 0), values.get("stages")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigError(
            f"{tree.origin(('name',))}: the recipe's name is {name!r}.",
            fix="Give it a name of small letters, digits, '.', '_' and '-'.",
        )
    _check_seed(seed, tree.origin(("seed",)))
    if not isinstance(tables, dict) or not tables:
        raise ConfigError(
            f"{tree.origin(('stages',))}: the recipe has no stages.", fix="Add a table [stages.NAME]."
        )
    steps: list[Step] = []
    for stage_name, table in tables.items():
        if not isinstance(table, dict):
            raise ConfigError(
                f"{tree.origin(('stages', stage_name))}: stages.{stage_name} is {table!r}, not a table.",
                fix=f"Write [stages.{stage_name}] with the stage's settings below it.",
            )
        steps.append(_check_step(stage_name, tree.take(("stages", stage_name)), steps, stages, seed))
    return Recipe(
        name=name, title=str(values.get("title", "")), seed=seed, steps=tuple(steps), tables=dict(values)
    )


def _check_seed(seed: Any, where: str) -> None:
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**31:
        raise ConfigError(f"{where}: seed is {seed!r}.", fix="Give a whole number from 0 on.")


def _check_step(
    name: str, tree: ConfigTree, before: Sequence[Step], stages: Registry[type[Stage[Any]]], seed: int
) -> Step:
    where = tree.origin(())
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{where}: {name!r} is not a name for a stage.", fix="Use small letters, digits and '-'."
        )
    use = tree.values.pop("use", name)
    given = tree.values.pop("inputs", {})
    seed = tree.values.pop("seed", seed)
    _check_seed(seed, where)
    if use not in stages:
        raise UnknownName("stage", str(use), stages.names(), fix=f"See [stages.{name}] in {where}.")
    stage = stages.get(use)()
    config = tree.validate(stage.config, under=f"stages.{name}")
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise ConfigError(f'{where}: stages.{name}.inputs must be a table of role = "stage".')
    for role in given:
        if role not in stage.inputs:
            raise ConfigError(
                f"{where}: stages.{name}.inputs: {use} has no input {role!r}.",
                fix=f"It has {', '.join(stage.inputs) or 'none'}.",
            )
    inputs: dict[str, str] = {}
    for role, wanted in stage.inputs.items():
        source = given.get(role)
        if source is None:
            fitting = [step.name for step in before if step.stage.kind in wanted.kinds]
            if fitting and not wanted.optional:
                inputs[role] = fitting[-1]
            elif not wanted.optional:
                raise ConfigError(
                    f"{where}: stages.{name} needs a {' or '.join(wanted.kinds)} as its {role}, "
                    "but no stage before it makes one.",
                    fix=f'Put one before it, or name an artifact: inputs = {{{role} = "ID"}}.',
                )
        else:
            inputs[role] = source
            known = next((step for step in before if step.name == source), None)
            if known is not None and known.stage.kind not in wanted.kinds:
                raise ConfigError(
                    f"{where}: stages.{name}.inputs.{role}: {source} makes a {known.stage.kind}, "
                    f"not a {' or '.join(wanted.kinds)}."
                )
    return Step(name=name, use=use, stage=stage, config=config, inputs=inputs, seed=seed)
