from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from malmoi.core.errors import InvalidInput, NotFound
from malmoi.factory.fewshot import FewshotConfig, FewshotStage, _fitting_prompt, grade_choices
from malmoi.tasks.base import Example
from malmoi.tasks.table import open_task


def test_the_likeliest_choice_counts_plainly_and_by_byte(tmp_path: Path) -> None:
    task = open_task("kobest/copa", tmp_path)
    items = [
        Example("1", "q", ("aa", "bbbb"), "bbbb"),  # -3 < -2 plainly, but -0.5 > -1 by byte
        Example("2", "q", ("aa", "bb"), "aa"),
    ]
    scores = grade_choices(task, items, [-2.0, -3.0, -1.0, -4.0])
    assert scores["accuracy"] == 0.5
    assert scores["accuracy_by_byte"] == 1.0
    assert scores["chance"] == 0.5
    half = 1.96 * (0.25 / 2) ** 0.5
    assert scores["interval_high"] - scores["accuracy"] == pytest.approx(half)


def test_without_its_files_the_stage_says_what_to_fetch(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--data"):
        FewshotStage().outside(FewshotConfig(), None, tmp_path)
    with pytest.raises(NotFound, match=r"copa|COPA"):
        FewshotStage().outside(FewshotConfig(), tmp_path, tmp_path)


class _Letters:
    """An engine whose tokens are letters."""

    def __init__(self, context_length: int) -> None:
        self.info = SimpleNamespace(context_length=context_length)

    async def tokenize(self, prompt: str) -> tuple[int, ...]:
        return tuple(map(ord, prompt))


async def test_solved_examples_that_do_not_fit_are_left_out(tmp_path: Path) -> None:
    task = open_task("kobest/copa", tmp_path)
    shots = [Example(str(n), f"question {n}", ("yes", "no"), "yes") for n in range(3)]
    item = Example("9", "question 9", ("yes", "no"), "no")
    whole = task.prompt(item, shots, form="cloze")

    async def prompt(context_length: int) -> tuple[str, int]:
        engine: Any = _Letters(context_length)
        return await _fitting_prompt(engine, task, item, shots)

    room = max(map(len, task.continuations(item, form="cloze"))) + 1
    assert await prompt(len(whole) + room) == (whole, 0)
    assert await prompt(len(whole) + room - 1) == (task.prompt(item, shots[1:], form="cloze"), 1)
    with pytest.raises(InvalidInput, match="item 9 of kobest/copa"):
        await prompt(5)
