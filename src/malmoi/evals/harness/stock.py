"""lm-eval's own tasks by name: their data comes from the hub, or from the hub's cache on this machine."""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from malmoi.core.errors import DownloadFailed, MalmoiError, UnknownName
from malmoi.evals.harness.plan import Asked
from malmoi.evals.harness.run import evaluate
from malmoi.evals.harness.texts import Answer, Likelihood
from malmoi.evals.results import ItemResult, MetricResult, TaskResult

if TYPE_CHECKING:
    from malmoi.evals.harness.lm import EngineLM

_Z95 = 1.96
_NAMES = re.compile(r"^(?:task|group|tag):[ \t]*[\"']?([\w.+-]+)[\"']?[ \t]*$", re.MULTILINE)


def run_stock_task(name: str, lm: "EngineLM", asked: Asked) -> Iterator[tuple[TaskResult, list[ItemResult]]]:
    """A task or group of lm-eval: its figures are lm-eval's own, with normal 95 % intervals.

    Raises:
        UnknownName: lm-eval has no such task.
        DownloadFailed: its data is not here and could not be fetched.
    """
    from lm_eval.tasks import TaskManager

    # Its own index reads fourteen thousand files as YAML; the folder of one family is enough.
    manager = TaskManager(include_path=str(find_family(name)), include_defaults=False)
    try:
        loaded = manager.load([name])
    except MalmoiError:
        raise
    except Exception as error:  # datasets raises whatever it likes for a hub that it cannot reach
        reason = (str(error).splitlines() or [type(error).__name__])[0][:300]
        raise DownloadFailed(
            f"lm-eval:{name}: its data could not be loaded: {reason.rstrip('.')}.",
            fix="It comes from the Hugging Face hub: run it where that can be reached, or use a task of ours "
            "(malmoi evals tasks) with files under --data.",
        ) from error
    for task_name, task in loaded["tasks"].items():
        if asked.shots is not None:
            task.set_config(key="num_fewshot", value=asked.shots)
        task.set_fewshot_seed(asked.seed)
        began = perf_counter()
        lm.title = task_name
        found = evaluate(
            lm,
            {task_name: task},
            limit=asked.limit,
            apply_chat_template=asked.chat,
            fewshot_as_multiturn=asked.chat,
        )
        items = [_item(task_name, row) for row in found.get("samples", {}).get(task_name, ())]
        config: Mapping[str, Any] = found["configs"][task_name]
        yield (
            TaskResult(
                name=f"lm-eval:{task_name}",
                title=str(config.get("description") or task_name),
                license="as its data set says",
                split=str(config.get("test_split") or config.get("validation_split") or ""),
                form="default",
                shots=int(config.get("num_fewshot") or 0),
                items=len(items),
                metrics=tuple(_metrics(found["results"][task_name], len(items))),
                seconds=round(perf_counter() - began, 3),
            ),
            items,
        )


def find_family(name: str) -> Path:
    """The folder among lm-eval's own tasks whose files define a task or group of this name.

    Raises:
        UnknownName: there is none; the message names the nearest.
    """
    import lm_eval.tasks

    root = Path(lm_eval.tasks.__file__).parent
    known: set[str] = set()
    for path in root.rglob("*.y*ml"):
        found = {match[1] for match in _NAMES.finditer(path.read_text(encoding="utf-8", errors="replace"))}
        if name in found:
            return root / path.relative_to(root).parts[0]
        known |= found
    near = get_close_matches(name, known, n=5, cutoff=0.6)
    raise UnknownName("task of lm-eval", name, near, fix="`lm-eval ls tasks` lists all of them.")


def _metrics(row: Mapping[str, Any], count: int) -> Iterator[MetricResult]:
    for key, value in row.items():
        name, comma, filtered = key.partition(",")
        if not comma or name.endswith("_stderr") or not isinstance(value, int | float):
            continue
        half = None
        if 0.0 <= value <= 1.0 and count > 1:
            half = _Z95 * (value * (1 - value) / count) ** 0.5
        yield MetricResult(
            name=name if filtered == "none" else f"{name} ({filtered})",
            value=float(value),
            low=None if half is None else max(0.0, value - half),
            high=None if half is None else min(1.0, value + half),
            note="lm-eval's own figure.",
        )


def _item(task: str, row: Mapping[str, Any]) -> ItemResult:
    """A logged sample of lm-eval as one of our items."""
    arguments = row["arguments"]
    answers = [given[0] if isinstance(given, list) and given else given for given in row["resps"]]
    scored = [given for given in answers if isinstance(given, Likelihood)]
    grade = next((float(row[name]) for name in row["metrics"] if isinstance(row.get(name), int | float)), 0.0)
    choices = tuple(str(pair[1]).strip() for pair in arguments) if len(arguments) > 1 else ()
    logprobs = tuple(given[0] for given in scored)
    answer = str(answers[0]) if answers else ""
    if choices and len(logprobs) == len(choices):
        answer = choices[max(range(len(choices)), key=lambda place: logprobs[place])]
    notes = answers[0].notes if answers and isinstance(answers[0], Answer) else None
    return ItemResult(
        task=f"lm-eval:{task}",
        id=str(row["doc_id"]),
        prompt=str(arguments[0][0]),
        choices=choices,
        gold=str(row["target"]),
        answer=answer,
        grade=min(1.0, max(0.0, grade)),
        logprobs=logprobs,
        finish_reason=notes.finish_reason if notes else None,
        prompt_tokens=notes.prompt_tokens if notes else max((s.prompt_tokens for s in scored), default=0),
        completion_tokens=notes.completion_tokens if notes else sum(s.completion_tokens for s in scored),
    )
