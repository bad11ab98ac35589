"""Conversations that another model judges: MT-Bench and its Korean translations, as tasks of a run."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from malmoi.core.errors import NotFound
from malmoi.core.files import write_bytes
from malmoi.core.stage import Progress
from malmoi.engine.open import open_engine
from malmoi.engine.options import EngineOptions
from malmoi.evals.harness.engines import ModelEngines
from malmoi.evals.harness.identity import ModelIdentity, identify
from malmoi.evals.harness.kept import KeptEngine
from malmoi.evals.harness.ledger import Ledger
from malmoi.evals.judge import judge_conversations, read_questions
from malmoi.evals.metrics import by_category, measure
from malmoi.evals.results import ItemResult, TaskResult

FOLDERS = {"mt_bench": "en", "ko_mt_bench": "ko"}
"""Folders under the data that hold questions, and the language of their answers."""


def run_judged(
    judge: str,
    *,
    data: Path,
    engines: ModelEngines,
    model: ModelIdentity,
    ledger: Ledger,
    home: Path,
    progress: Progress,
    seed: int = 0,
    limit: int | None = None,
) -> Iterator[tuple[TaskResult, list[ItemResult]]]:
    """Let the model answer and the judge score, for each folder of questions that is there.

    Raises:
        NotFound: there is none; the message says where such files come from.
        UnknownName: there is no such judge.
    """
    there = [name for name in FOLDERS if (data / name).is_dir()]
    if not there:
        read_questions(data / "ko_mt_bench" / "question.jsonl")  # says where such files come from
        raise NotFound(f"there are no questions under {data}.")
    identity = identify(judge, home=home)
    runner = engines.runner
    opened = runner.run(open_engine(judge, home=home, options=EngineOptions()))
    try:
        kept = KeptEngine(opened, model=identity.key, ledger=ledger)
        answers = KeptEngine(engines.writer(), model=model.key, ledger=ledger)
        for name in there:
            questions = read_questions(data / name)[:limit]
            began = perf_counter()
            with progress.task(f"Judge {name}", total=len(questions), unit="questions") as task:
                items = runner.run(
                    judge_conversations(
                        questions,
                        answers,
                        kept,
                        task=f"judged/{name}",
                        language="ko" if FOLDERS[name] == "ko" else "en",
                        seed=seed,
                        key=_key(home),
                        progress=task.advance,
                    )
                )
            yield _result(name, judge, items, seed, perf_counter() - began), items
    finally:
        runner.run(opened.close())


def _result(name: str, judge: str, items: list[ItemResult], seed: int, seconds: float) -> TaskResult:
    language = FOLDERS[name]
    told = [item.language for item in items if item.language is not None]
    return TaskResult(
        name=f"judged/{name}",
        title=f"Conversations of two turns, scored by {judge} (grade = score / 10)",
        license="as its questions say",
        split="question",
        form="default",
        shots=0,
        items=len(items),
        metrics=measure(["mean"], items, seed=seed),
        by_category=by_category(["mean"], items, seed=seed),
        truncated=sum(item.finish_reason == "length" for item in items) / len(items) if items else None,
        in_language=sum(found == language for found in told) / len(told) if told else None,
        seconds=round(seconds, 3),
    )


def _key(home: Path) -> bytes:
    """The key of the fences around judged texts: kept, so that a run that goes on asks the same."""
    path = home / "evals" / "judge.key"
    if not path.is_file() or len(path.read_bytes()) != 16:
        write_bytes(path, secrets.token_bytes(16), mode=0o600)
    return path.read_bytes()
