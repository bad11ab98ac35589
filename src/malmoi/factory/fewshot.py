"""The stage `fewshot`: multiple-choice tasks by the log-probability of each choice after solved examples.

Small base models cannot answer questions, but which continuation they find likelier shows what they have
learned (Brown et al. 2020, section 2.4). Each accuracy comes with its chance level and a binomial interval.
"""

import asyncio
import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from malmoi.core.errors import InvalidInput
from malmoi.core.files import write_json
from malmoi.core.stage import Input, Stage, StageConfig, StageContext
from malmoi.core.store import Artifact, ArtifactKind
from malmoi.engine.base import Engine
from malmoi.tasks.base import Example
from malmoi.tasks.table import TableTask, choose_shots, open_task

_Z95 = 1.96


class FewshotConfig(StageConfig):
    """Which tasks, and how."""

    tasks: tuple[str, ...] = ("kobest/copa", "kobest/hellaswag", "kobest/boolq", "kobest/sentineg")
    """`family/task` names; their files lie under --data."""
    split: str = "dev"
    """The split that is scored."""
    shots: int = Field(default=5, ge=0)
    """Solved examples before each question, drawn from the split `train`."""
    max_items: int = Field(default=500, ge=1)
    """Items of each task, the first ones of its file."""


class FewshotStage(Stage[FewshotConfig]):
    """Score a model on multiple-choice tasks."""

    config = FewshotConfig
    kind: ClassVar[ArtifactKind] = "report"
    version = 2  # of prompts
    inputs: ClassVar[Mapping[str, Input]] = {"model": Input(("model",))}

    def outside(self, config: FewshotConfig, data: Path | None, home: Path) -> Mapping[str, str]:
        """The files of the tasks.

        Raises:
            InvalidInput: there is no --data.
            NotFound: a file is missing; the message says where it comes from.
        """
        found = {}
        for task in _tasks(config, data):
            for split in {config.split, "train"} if config.shots else {config.split}:
                content = b"".join(path.read_bytes() for path in task.paths(split))
                found[f"{task.name}:{split}"] = hashlib.sha256(content).hexdigest()
        return found

    def run(
        self, config: FewshotConfig, inputs: Mapping[str, Artifact], out: Path, context: StageContext
    ) -> Mapping[str, Any]:
        """Write scores.json: accuracy by task, its 95 % interval and its chance level."""
        scores = asyncio.run(_score_all(config, inputs["model"], context))
        write_json(out / "scores.json", scores)
        return {"mean_accuracy": scores["mean_accuracy"]}


def _tasks(config: FewshotConfig, data: Path | None) -> list[TableTask]:
    if data is None:
        raise InvalidInput(
            "the stage fewshot needs the files of its tasks.", field="data", fix="Give --data DIR."
        )
    return [open_task(name, data) for name in config.tasks]


async def _score_all(config: FewshotConfig, model: Artifact, context: StageContext) -> dict[str, Any]:
    from malmoi.engine.open import open_engine

    tasks = _tasks(config, context.data)
    engine = await open_engine(f"path:{model.path}", home=context.home)
    scores: dict[str, Any] = {}
    try:
        for task in tasks:
            items = list(task.examples(config.split))[: config.max_items]
            pool = task.examples("train") if config.shots else ()
            pairs: list[tuple[str, str]] = []
            left_out = 0
            for item in items:
                shots = choose_shots(task, item, config.shots, context.seed, pool=pool)
                prompt, missing = await _fitting_prompt(engine, task, item, shots)
                left_out += missing
                pairs.extend((prompt, text) for text in task.continuations(item, form="cloze"))
            found: list[float] = []
            with context.progress.task(f"Score {task.name}", total=len(pairs), unit="choices") as shown:
                for start in range(0, len(pairs), 64):
                    batch = await engine.score(pairs[start : start + 64])
                    found.extend(score.logprob for score in batch)
                    shown.advance(len(batch))
            scores[task.name] = {**grade_choices(task, items, found), "shots_left_out": left_out}
    finally:
        await engine.close()
    accuracies = [score["accuracy"] for score in scores.values()]
    return {"tasks": scores, "mean_accuracy": sum(accuracies) / len(accuracies)}


async def _fitting_prompt(
    engine: Engine, task: TableTask, item: Example, shots: Sequence[Example]
) -> tuple[str, int]:
    """The prompt with as many solved examples as fit the context, and how many were left out."""
    longest = max(task.continuations(item, form="cloze"), key=len)
    for missing in range(len(shots) + 1):
        prompt = task.prompt(item, shots[missing:], form="cloze")
        if len(await engine.tokenize(prompt + longest)) < engine.info.context_length:
            return prompt, missing
    raise InvalidInput(
        f"item {item.id} of {task.name} alone is longer than the model's context of "
        f"{engine.info.context_length} tokens.",
        field="tasks",
        fix="Leave this task out, or train with a longer context_length.",
    )


def grade_choices(task: TableTask, items: Sequence[Example], logprobs: Sequence[float]) -> dict[str, float]:
    """Accuracy by the likeliest choice, as it is and by UTF-8 byte of the choice.

    Args:
        task: grades the chosen text.
        items: N items.
        logprobs: of all choices of all items in order.
    """
    place, plain, by_byte, chance = 0, 0.0, 0.0, 0.0
    for item in items:
        scores = logprobs[place : place + len(item.choices)]
        place += len(item.choices)
        numbers = range(len(item.choices))
        best = max(numbers, key=lambda n: scores[n])
        normal = max(numbers, key=lambda n: scores[n] / len(item.choices[n].encode("utf-8")))
        plain += task.grade(item, item.choices[best])
        by_byte += task.grade(item, item.choices[normal])
        chance += 1.0 / len(item.choices)
    count = len(items)
    accuracy = plain / count
    half = _Z95 * math.sqrt(accuracy * (1.0 - accuracy) / count)
    return {
        "accuracy": accuracy,
        "accuracy_by_byte": by_byte / count,
        "interval_low": accuracy - half,
        "interval_high": accuracy + half,
        "chance": chance / count,
        "items": count,
    }
