"""Results made for tests: two tasks whose items hold what a page must not stumble over."""

from pathlib import Path
from typing import Any

import numpy as np

from malmoi.core.files import write_bytes
from malmoi.evals.metrics import by_category, measure
from malmoi.evals.results import EvalResult, ItemResult, SkippedTask, TaskResult, write_items, write_result

HOSTILE = '</script><script>document.title="owned"</script><img src=x onerror="document.title=\'owned\'">'
LABELS = ("아니오", "예")


def choice_items(
    count: int, *, seed: int = 0, right: float = 0.6, task: str = "kobest/boolq"
) -> list[ItemResult]:
    """Items with two choices; the model is right as often as `right` says."""
    random = np.random.default_rng(seed)
    gold = np.random.default_rng(99).integers(0, 2, count)  # the same for every model
    good = random.random(count) < right
    rows = []
    for number in range(count):
        answer = LABELS[gold[number] if good[number] else 1 - gold[number]]
        rows.append(
            ItemResult(
                task=task,
                id=f"{number:05d}",
                category=("과학", "역사", HOSTILE)[number % 3],
                prompt=f"지문 {number}: 훈민정음은 세종이 만들었다. " * 4 + f"질문: 맞는가? {HOSTILE}",
                choices=LABELS,
                gold=LABELS[gold[number]],
                answer=answer,
                grade=float(good[number]),
                logprobs=(-1.25, -0.75),
                prompt_tokens=80,
                completion_tokens=1,
                fields={"note": HOSTILE},
            )
        )
    return rows


def written_items(count: int, *, task: str = "gsm8k/test", seed: int = 1) -> list[ItemResult]:
    """Items with a generated answer; every fifth is cut off, every seventh in another language."""
    random = np.random.default_rng(seed)
    return [
        ItemResult(
            task=task,
            id=f"w{number:05d}",
            prompt=f"문제 {number}: 사과가 {number}개 있다.",
            gold=str(number),
            answer=f"답은 {number if grade else number + 1}이다. \u2028 {HOSTILE}",
            grade=float(grade),
            finish_reason="length" if number % 5 == 0 else "stop",
            language="en" if number % 7 == 0 else "ko",
            prompt_tokens=40,
            completion_tokens=30,
        )
        for number, grade in enumerate(random.integers(0, 2, count))
    ]


def task_result(items: list[ItemResult], names: tuple[str, ...], **values: Any) -> TaskResult:
    """The figures of one task's items."""
    written = not items[0].choices
    usual: dict[str, Any] = {
        "name": items[0].task,
        "title": f"a task {HOSTILE}",
        "license": "CC BY-SA 4.0",
        "split": "test",
        "form": "default" if written else "cloze",
        "shots": 0,
        "items": len(items),
        "metrics": measure(names, items, resamples=200),
        "by_category": by_category(names[:1], items, resamples=100),
        "truncated": sum(i.finish_reason == "length" for i in items) / len(items) if written else None,
        "in_language": sum(i.language == "ko" for i in items) / len(items) if written else None,
        "seconds": 12.5,
        "data_sha256": {"test.tsv": "a" * 64},
    }
    return TaskResult(**(usual | values))


def eval_result(tasks: list[TaskResult], *, model: str = "small", **values: Any) -> EvalResult:
    """A result of these tasks."""
    usual: dict[str, Any] = {
        "model": model,
        "model_sha256": "b" * 64,
        "suite": "korean",
        "protocol": "field",
        "seed": 0,
        "started_at": "2026-01-02T03:04:05Z",
        "seconds": 321.0,
        "versions": {"malmoi": "0.1.0", "lm-eval": "0.4.13"},
        "prompt_tokens": 160_000,
        "completion_tokens": 4_000,
        "tasks": tuple(tasks),
    }
    return EvalResult(**(usual | values))


def write_report(
    folder: Path, *, seed: int = 0, right: float = 0.6, model: str = "small", count: int = 300
) -> Path:
    """A folder with results and items, as the harness leaves it."""
    folder.mkdir(parents=True, exist_ok=True)
    choices, written = choice_items(count, seed=seed, right=right), written_items(60)
    tasks = [task_result(choices, ("accuracy", "macro_f1")), task_result(written, ("exact_match",))]
    skipped = (SkippedTask(name="click/all", reason=f"no file {HOSTILE}", fix="Put it under click/."),)
    write_result(folder, eval_result(tasks, model=model, skipped=skipped))
    write_items(folder / "items.jsonl", choices + written)
    write_bytes(folder / "about" / "log.txt", b"")
    return folder
