"""Stages for tests of the runner: `count` writes numbers one by one, `double` doubles them.

Each counts how often it ran in a file beside the store; `count` may be killed at every number.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from malmoi.core.errors import InvalidInput
from malmoi.core.recipe import check_recipe, read_recipe
from malmoi.core.registry import Registry
from malmoi.core.runner import RunOptions, run_recipe
from malmoi.core.stage import NEUTRAL, Input, Stage, StageConfig, StageContext
from malmoi.core.store import Artifact


class CountConfig(StageConfig):
    upto: int = 5
    workers: int = Field(default=1, json_schema_extra=NEUTRAL)
    fail: str = ""


class CountStage(Stage[CountConfig]):
    config = CountConfig
    kind = "corpus"

    def outside(self, config: CountConfig, data: Path | None, home: Path) -> Mapping[str, str]:
        return {} if data is None else {path.name: path.read_text() for path in sorted(data.iterdir())}

    def run(
        self, config: CountConfig, inputs: Mapping[str, Artifact], out: Path, context: StageContext
    ) -> Mapping[str, Any]:
        note(context, "count")
        if config.fail == "bug":
            raise RuntimeError("a bug")
        if config.fail == "input":
            raise InvalidInput("corpus.txt: line 3 is wrong.", fix="Mend it.")
        kept = context.work / "numbers.txt"
        done = len(kept.read_text().splitlines()) if kept.exists() else 0
        context.metrics.forget_after(done - 1)
        for number in range(done, config.upto):
            if str(number) == os.environ.get("KILL_AT"):
                os.kill(os.getpid(), 9)
            with kept.open("a") as file:
                file.write(f"{number + context.seed}\n")
            context.metrics.log(number, value=number)
        (out / "numbers.txt").write_text(kept.read_text())
        (out / "about").mkdir()
        (out / "about" / "pid.txt").write_text(str(os.getpid()))
        if os.environ.get("KILL_AT") == "end":
            os.kill(os.getpid(), 9)
        return {"numbers": config.upto}


class DoubleConfig(StageConfig):
    pass


class DoubleStage(Stage[DoubleConfig]):
    config = DoubleConfig
    kind = "report"
    inputs: ClassVar = {"numbers": Input(("corpus",))}

    def run(
        self, config: DoubleConfig, inputs: Mapping[str, Artifact], out: Path, context: StageContext
    ) -> Mapping[str, Any]:
        note(context, "double")
        numbers = (inputs["numbers"].path / "numbers.txt").read_text().split()
        (out / "doubled.txt").write_text(" ".join(str(2 * int(number)) for number in numbers))
        return {}


class FiguresStage(Stage[DoubleConfig]):
    """A report with a figure: the last number."""

    config = DoubleConfig
    kind = "report"
    inputs: ClassVar = {"numbers": Input(("corpus",))}

    def run(
        self, config: DoubleConfig, inputs: Mapping[str, Artifact], out: Path, context: StageContext
    ) -> Mapping[str, Any]:
        note(context, "figures")
        numbers = (inputs["numbers"].path / "numbers.txt").read_text().split()
        (out / "scores.json").write_text(json.dumps({"score": {"last": int(numbers[-1])}}))
        return {}


def note(context: StageContext, name: str) -> None:
    with (context.home / "ran.txt").open("a") as file:
        file.write(name + "\n")


def stages() -> Registry[type[Stage[Any]]]:
    registry: Registry[type[Stage[Any]]] = Registry("stage")
    registry.add("count", CountStage)
    registry.add("double", DoubleStage)
    registry.add("figures", FiguresStage)
    return registry


if __name__ == "__main__":
    run_recipe(check_recipe(read_recipe(Path(sys.argv[1])), stages()), RunOptions(home=Path(sys.argv[2])))
