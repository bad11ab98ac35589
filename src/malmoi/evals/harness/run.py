"""A whole run: plan, ask, grade, measure; and the report that is left in the store."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from malmoi.core.errors import InvalidInput, MalmoiError, NotFound, Unsupported
from malmoi.core.stage import Progress, SilentProgress
from malmoi.core.store import Artifact, Store
from malmoi.evals.harness.engines import ModelEngines
from malmoi.evals.harness.identity import ModelIdentity
from malmoi.evals.harness.ledger import Ledger
from malmoi.evals.harness.plan import Asked, AskedTask, Plan, hashes_of, reason_of
from malmoi.evals.harness.quiet import import_lm_eval, versions
from malmoi.evals.metrics import by_category, measure
from malmoi.evals.results import EvalResult, ItemResult, SkippedTask, TaskResult, write_items, write_result

if TYPE_CHECKING:
    from malmoi.evals.harness.lm import EngineLM

_RESAMPLES = 1000


@dataclass(slots=True)
class Outcome:
    """What came of a run."""

    result: EvalResult
    items: list[ItemResult] = field(default_factory=list)


def ledger_path(home: Path, model: ModelIdentity) -> Path:
    """Where the answers of a model are kept."""
    return home / "evals" / "ledger" / f"{model.key}.jsonl"


def run_plan(
    plan: Plan,
    asked: Asked,
    engines: ModelEngines,
    model: ModelIdentity,
    *,
    ledger: Ledger,
    home: Path | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Ask everything that is not in the ledger, grade it, and measure it.

    A task that fails with a sentence is skipped with it, and the rest goes on.

    Args:
        plan: what `make_plan` made of `asked`.
        asked: what the user wants.
        engines: of the model.
        model: which model it is.
        ledger: its answers so far.
        home: Malmoi's home directory; needed for a judge.
        progress: shows how far it is.

    Raises:
        MissingExtra: lm-eval is not installed.
        KeyboardInterrupt: the user stopped it; what was answered is in the ledger.
    """
    import_lm_eval(offline=not plan.stock)
    from malmoi.evals.harness.lm import EngineLM

    progress = progress or SilentProgress()
    began, started = perf_counter(), datetime.now(UTC)
    lm = EngineLM(engines, model=model.key, ledger=ledger, progress=progress, seed=asked.seed)
    results: list[TaskResult] = []
    items: list[ItemResult] = []
    skipped: list[SkippedTask] = list(plan.skipped)
    for task in plan.tasks:
        lm.title = task.name
        try:
            result, own = run_task(task, lm, seed=asked.seed, chat=asked.chat)
        except (Unsupported, InvalidInput) as error:
            skipped.append(reason_of(task.name, error))
            progress.note(f"skipped {skipped[-1].sentence()}")
            continue
        results.append(result)
        items.extend(own)
    for name in plan.stock:
        lm.title = name
        try:
            for result, own in run_stock(name, lm, asked):
                results.append(result)
                items.extend(own)
        except MalmoiError as error:
            skipped.append(reason_of(f"lm-eval:{name}", error))
            progress.note(f"skipped {skipped[-1].sentence()}")
    if asked.judge is not None and home is not None:
        from malmoi.evals.harness.judged import run_judged

        judged = run_judged(asked.judge, data=asked.data, engines=engines, model=model, ledger=ledger,
                            home=home, progress=progress, seed=asked.seed, limit=asked.limit)  # fmt: skip
        try:
            for result, own in judged:
                results.append(result)
                items.extend(own)
        except (NotFound, Unsupported, InvalidInput) as error:
            skipped.append(reason_of("judged conversations", error))
    return Outcome(
        EvalResult(
            model=model.ref,
            model_sha256=model.sha256,
            suite=asked.suite,
            protocol=asked.protocol,
            seed=asked.seed,
            started_at=started.isoformat(timespec="seconds"),
            seconds=round(perf_counter() - began, 3),
            versions=versions(),
            prompt_tokens=sum(item.prompt_tokens for item in items),
            completion_tokens=sum(item.completion_tokens for item in items),
            tasks=tuple(results),
            skipped=tuple(skipped),
        ),
        items,
    )


def run_task(
    asked: AskedTask, lm: "EngineLM", *, seed: int = 0, chat: bool = False
) -> tuple[TaskResult, list[ItemResult]]:
    """One of our tasks through lm-eval's evaluator; `lm` may be any model of lm-eval.

    Raises:
        Unsupported: the engine cannot do what the task needs.
        InvalidInput: a prompt, an item or an answer is not as it should be.
    """
    from malmoi.evals.harness.wrapped import HarnessTask

    began = perf_counter()
    task = HarnessTask(asked, seed=seed, chat=chat)
    evaluate(lm, {asked.name: task})
    items = task.items
    info = asked.task.info
    generated = [item for item in items if item.finish_reason is not None]
    told = [item.language for item in generated if item.language is not None]
    result = TaskResult(
        name=asked.name,
        title=info.title,
        license=info.license,
        split=asked.split,
        form=asked.form,
        shots=asked.shots,
        items=len(items),
        metrics=measure(asked.metrics, items, seed=seed, resamples=_RESAMPLES),
        by_category=by_category(asked.metrics[:1], items, seed=seed, resamples=_RESAMPLES),
        truncated=_share([item.finish_reason == "length" for item in generated]),
        in_language=_share([language == info.language for language in told]) if info.language else None,
        seconds=round(perf_counter() - began, 3),
        version=info.version,
        data_sha256=hashes_of(asked),
    )
    return result, items


def evaluate(lm: Any, tasks: dict[str, Any], **options: Any) -> dict[str, Any]:
    """lm-eval's evaluator over ready tasks, without its own intervals: ours are bootstrapped later."""
    import warnings

    from lm_eval.evaluator import evaluate as run

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of lm-eval's own libraries are not ours to mend
        found: dict[str, Any] = run(
            lm, {"tasks": tasks, "groups": {}}, bootstrap_iters=0, log_samples=True, **options
        )
    return found


def run_stock(name: str, lm: "EngineLM", asked: Asked) -> Iterator[tuple[TaskResult, list[ItemResult]]]:
    """lm-eval's own task or group of this name, see `stock.py`."""
    from malmoi.evals.harness.stock import run_stock_task

    yield from run_stock_task(name, lm, asked)


def save_report(outcome: Outcome, *, home: Path, model: ModelIdentity) -> Artifact:
    """The results, the items and a page about them, as an artifact of the kind `report`.

    Raises:
        DiskFull: there is no room; nothing is left behind.
    """
    from malmoi.evals.report.page import write_page

    store = Store(home / "store")
    result = outcome.result
    name = "-".join(part for part in (_slug(result.model), _slug(result.suite)) if part) or "evals"
    metadata = {
        "model": result.model,
        "suite": result.suite,
        "protocol": result.protocol,
        "tasks": len(result.tasks),
        "items": len(outcome.items),
    }
    before = {artifact.id for artifact in store.artifacts("report")}
    inputs = [model.artifact] if model.artifact else []
    with store.new_artifact("report", name[:80], inputs=inputs, metadata=metadata) as folder:
        write_result(folder, result)
        write_items(folder / "items.jsonl", outcome.items)
        (folder / "about").mkdir(exist_ok=True)
        write_page(folder)
    return next(found for found in reversed(store.artifacts("report")) if found.id not in before)


def _share(flags: Sequence[bool]) -> float | None:
    return sum(flags) / len(flags) if flags else None


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", text.rpartition("/")[2].lower()).strip("-._")
