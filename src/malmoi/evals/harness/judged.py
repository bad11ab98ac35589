"""Conversations that another model judges: MT-Bench and its Korean translations, as tasks of a run."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
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
from malmoi.evals.judge import Question, compare_conversations, judge_conversations, read_questions
from malmoi.evals.judge.verdict import PromptLanguage
from malmoi.evals.metrics import by_category, measure
from malmoi.evals.results import ItemResult, TaskResult

FOLDERS: Mapping[str, PromptLanguage] = {"mt_bench": "en", "ko_mt_bench": "ko"}
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
    for name in there:
        yield judge_questions(
            read_questions(data / name)[:limit],
            name=name,
            language=FOLDERS[name],
            judge=judge,
            engines=engines,
            model=model,
            ledger=ledger,
            home=home,
            progress=progress,
            seed=seed,
        )


def judge_questions(
    questions: Sequence[Question],
    *,
    name: str,
    language: PromptLanguage,
    judge: str,
    engines: ModelEngines,
    model: ModelIdentity,
    ledger: Ledger,
    home: Path,
    progress: Progress,
    against: str | None = None,
    seed: int = 0,
    max_tokens: int = 1024,
) -> tuple[TaskResult, list[ItemResult]]:
    """Have a model answer and a judge score every turn; or compare it with another model, in both orders.

    Args:
        questions: what is asked.
        name: of the questions, for the result.
        language: of the judge's prompts.
        judge: the model that judges, as `open_engine` takes it.
        engines: of the model that answers.
        model: which model it is.
        ledger: answers so far, the judge's too.
        home: Malmoi's home directory.
        progress: shows how far it is.
        against: another model: the grade is 1 where the first is better, 0.5 at a tie.
        seed: of the answers.
        max_tokens: of an answer, and of a judgement.

    Raises:
        UnknownName: there is no such judge or other model.
    """
    runner = engines.runner
    began = perf_counter()
    with ExitStack() as opened:

        def keep(ref: str) -> KeptEngine:
            identity = identify(ref, home=home)
            engine = runner.run(open_engine(ref, home=home, options=EngineOptions()))
            opened.callback(lambda: runner.run(engine.close()))
            return KeptEngine(engine, model=identity.key, ledger=ledger)

        answers = KeptEngine(engines.writer(), model=model.key, ledger=ledger)
        other = keep(against) if against is not None else None
        judging = keep(judge)
        steps = len(questions) * (2 if other is None else 3)  # each model answers, then the judge speaks
        with progress.task(f"Answer and judge {name}", total=steps, unit="conversations") as task:
            if other is None:
                work = judge_conversations(
                    questions, answers, judging,
                    task=f"judged/{name}", language=language, max_tokens=max_tokens,
                    judge_max_tokens=max_tokens, seed=seed, key=_key(home), progress=task.advance,
                )  # fmt: skip
            else:
                work = compare_conversations(
                    questions, answers, other, judging,
                    task=f"judged/{name}", language=language, max_tokens=max_tokens,
                    judge_max_tokens=max_tokens, seed=seed, key=_key(home), progress=task.advance,
                )  # fmt: skip
            items = runner.run(work)
    title = (
        f"Conversations, scored by {judge} (grade = score / 10)"
        if against is None
        else f"Conversations against {against}, compared by {judge} in both orders (1 better, 0.5 a tie)"
    )
    return _result(name, title, language, items, seed, perf_counter() - began), items


def _result(
    name: str, title: str, language: str, items: list[ItemResult], seed: int, seconds: float
) -> TaskResult:
    told = [item.language for item in items if item.language is not None]
    return TaskResult(
        name=f"judged/{name}",
        title=title,
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
