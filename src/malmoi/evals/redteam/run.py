"""One run of the automatic red team, from files to a report in the store."""

import hashlib
import platform
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from malmoi import __version__
from malmoi.core.errors import InvalidInput, NotFound
from malmoi.core.stage import Progress
from malmoi.core.store import Artifact, Store
from malmoi.engine.base import Engine
from malmoi.engine.classify import TextClassifier, load_classifier
from malmoi.evals.harness.identity import ModelIdentity, identify
from malmoi.evals.harness.ledger import Ledger
from malmoi.evals.harness.run import Outcome, ledger_path, save_report
from malmoi.evals.redteam.asking import AskedModel
from malmoi.evals.redteam.judging import choose_group
from malmoi.evals.redteam.loop import (
    Judge,
    ask_harmless,
    attack_model,
    failures_of,
    replay_attacks,
)
from malmoi.evals.redteam.regression import Failure, keep_failures, read_failures
from malmoi.evals.redteam.results import ATTACKS, REPLAY, attack_result, harmless_result
from malmoi.evals.redteam.seeds import Seeds, read_safety_data, read_seeds
from malmoi.evals.results import EvalResult, ItemResult, TaskResult
from malmoi.tasks.redteam.refusals import load_harmless_questions


@dataclass(frozen=True, slots=True)
class RedteamSettings:
    """What is asked for.

    Attributes:
        model: the model that is attacked, by name or reference.
        attacker: the model that generates attacks; None: the same.
        classifier: a folder, or the id of an artifact.
        seeds: file of seed questions; None: those of `data`.
        data: folder of the Korean safety benchmarks; None: only a file of seeds, or a replay.
        replay: a regression set to try again instead of generating.
        count: attempts.
        harmless: most harmless questions.
        language: of questions and answers.
        max_tokens: longest answer.
        threshold: risk from which on an attack has succeeded; None: the classifier's strictest point.
        group: of the classifier's labels; None: the first that judges statements.
        seed: of all draws.
        keep: regression set that failures are added to; None: under the home.
    """

    model: str
    classifier: str
    attacker: str | None = None
    seeds: Path | None = None
    data: Path | None = None
    replay: Path | None = None
    count: int = 50
    harmless: int = 50
    language: str = "ko"
    max_tokens: int = 128
    threshold: float | None = None
    group: str | None = None
    seed: int = 0
    keep: Path | None = None


@dataclass(frozen=True, slots=True)
class RedteamOutcome:
    """What came of it: the figures, the report, and what was added to which regression set."""

    result: EvalResult
    report: Artifact
    kept: int
    failures: tuple[Failure, ...]
    regression: Path


async def run_redteam(
    settings: RedteamSettings,
    *,
    home: Path,
    progress: Progress,
    engines: dict[str, Engine] | None = None,
    classifier: TextClassifier | None = None,
) -> RedteamOutcome:
    """Attack a model and save what was found.

    Args:
        settings: what is asked for.
        home: where answers, the report and the regression set lie.
        progress: is told how far it is.
        engines: by reference, used as they are; others are opened, and closed at the end.
        classifier: used instead of the one that `settings` names.

    Raises:
        NotFound, InvalidInput, UnknownName: a file, model or classifier is not there or not as it should be.
        EngineError: a model failed; the same call goes on where it stopped.
    """
    began, started = perf_counter(), datetime.now(UTC).isoformat(timespec="seconds")
    failures = read_failures(settings.replay) if settings.replay is not None else []
    seeds = None if settings.replay is not None else _read_seeds(settings)
    judge = _judge(settings, home, classifier)
    identity = identify(settings.model, home=home)
    attacker_ref = settings.attacker or settings.model
    tasks: list[TaskResult] = []
    items: list[ItemResult] = []
    async with _opened(settings, home, engines or {}) as opened:
        target = _asked(opened[settings.model], identity, home)
        if seeds is None:
            without, name = 0, REPLAY
            with progress.task("Attack again", total=len(failures), unit="attacks") as task:
                judged = await replay_attacks(
                    target,
                    judge,
                    failures,
                    language=settings.language,
                    max_tokens=settings.max_tokens,
                    report=lambda done, successes: task.at(done, successes=successes),
                )
        else:
            name = ATTACKS
            other = identify(attacker_ref, home=home)
            attacker = target if attacker_ref == settings.model else _asked(opened[attacker_ref], other, home)
            with progress.task("Attack", total=settings.count, unit="attacks") as task:
                judged, without = await attack_model(
                    target,
                    attacker,
                    judge,
                    seeds,
                    count=settings.count,
                    seed=settings.seed,
                    language=settings.language,
                    max_tokens=settings.max_tokens,
                    report=lambda done, successes: task.at(done, successes=successes),
                )
        made = attack_result(
            judged,
            judge,
            name=name,
            language=settings.language,
            without=without,
            seconds=perf_counter() - began,
            data_sha256=_hashes(settings),
        )
        tasks.append(made[0])
        items += made[1]
        questions = _harmless_questions(settings, seeds)
        if questions:
            since = perf_counter()
            with progress.task("Ask what is harmless", total=len(questions), unit="questions") as task:
                found = await ask_harmless(
                    target,
                    questions,
                    language=settings.language,
                    max_tokens=settings.max_tokens,
                    report=lambda done, refused: task.at(done, refused=refused),
                )
            asked = harmless_result(found, language=settings.language, seconds=perf_counter() - since)
            tasks.append(asked[0])
            items += asked[1]
    result = EvalResult(
        model=settings.model,
        model_sha256=identity.sha256,
        suite="redteam",
        protocol=f"attacker {attacker_ref}" if seeds is not None else "replay",
        seed=settings.seed,
        started_at=started,
        seconds=round(perf_counter() - began, 3),
        versions={"malmoi": __version__, "python": platform.python_version()},
        prompt_tokens=sum(item.prompt_tokens for item in items),
        completion_tokens=sum(item.completion_tokens for item in items),
        tasks=tuple(tasks),
    )
    fresh = failures_of(
        judged,
        language=settings.language,
        target=settings.model,
        attacker=attacker_ref,
        classifier=judge.name,
    )
    path = settings.keep or home / "redteam" / "regression.jsonl"
    kept = keep_failures(path, fresh) if seeds is not None else 0
    report = save_report(Outcome(result, items), home=home, model=identity)
    return RedteamOutcome(result, report, kept, tuple(fresh), path)


def _read_seeds(settings: RedteamSettings) -> Seeds:
    if settings.seeds is None and settings.data is None:
        raise InvalidInput(
            "there is nothing to begin from.", fix="Give --seeds FILE, --data DIR or --replay FILE."
        )
    data = read_safety_data(settings.data) if settings.data is not None else Seeds(())
    if settings.seeds is None:
        return data
    return Seeds(read_seeds(settings.seeds).questions, data.topics, data.harmless)


def _harmless_questions(settings: RedteamSettings, seeds: Seeds | None) -> list[str]:
    """Those that come with Malmoi, and as many of the data's as there is room for, drawn by the seed."""
    own = list(load_harmless_questions(settings.language))[: settings.harmless]
    others = list(seeds.harmless) if seeds is not None and settings.language == "ko" else []
    room = min(settings.harmless - len(own), len(others))
    return own + random.Random(settings.seed).sample(others, max(0, room))  # noqa: S311 - not for secrets


def _judge(settings: RedteamSettings, home: Path, classifier: TextClassifier | None) -> Judge:
    if classifier is None:
        folder = Path(settings.classifier).expanduser()
        if not folder.is_dir():
            store = Store(home / "store")
            known = {artifact.id: artifact for artifact in store.artifacts("classifier")}
            if settings.classifier not in known:
                raise NotFound(
                    f"there is no classifier {settings.classifier!r}.",
                    fix=f"Known: {', '.join(sorted(known)) or 'none yet; run `malmoi safety train`'}.",
                )
            folder = known[settings.classifier].path
        classifier = load_classifier(folder)
    group = choose_group(classifier, settings.group)
    usual = group.points[0].threshold if group.points else 0.5
    threshold = settings.threshold if settings.threshold is not None else usual
    return Judge(classifier, group, threshold, Path(settings.classifier).name)


@asynccontextmanager
async def _opened(
    settings: RedteamSettings, home: Path, given: dict[str, Engine]
) -> AsyncIterator[dict[str, Engine]]:
    """The engines of target and attacker, by reference."""
    from malmoi.engine.open import open_engine

    wanted = [settings.model]
    if settings.replay is None and settings.attacker is not None:
        wanted.append(settings.attacker)
    async with AsyncExitStack() as stack:
        opened = dict(given)
        for ref in wanted:
            if ref not in opened:
                opened[ref] = await open_engine(ref, home=home)
                stack.push_async_callback(opened[ref].close)
        yield opened


def _asked(engine: Engine, identity: ModelIdentity, home: Path) -> AskedModel:
    return AskedModel(engine, identity.key, Ledger(ledger_path(home, identity)))


def _hashes(settings: RedteamSettings) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (settings.seeds, settings.replay)
        if path is not None
    }
