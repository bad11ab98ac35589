"""The stage users-eval: models and logs in, a report out.

ranking.json            figures with intervals, comparisons, protocol (users/report/figures.py)
ranks.npy               (models, cases) float64; infinite: the model does not know the item
about/report.html       the same as a page
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from malmoi.core.errors import InvalidInput
from malmoi.core.files import write_json
from malmoi.core.stage import Input, Stage, StageConfig, StageContext
from malmoi.core.store import Artifact
from malmoi.users.base import FitContext
from malmoi.users.logs import Logs, load_logs
from malmoi.users.ranking import Ranker, Ranks, rank_cases
from malmoi.users.report.figures import ModelFigures, Results, compare_all, find_groups, measure_all
from malmoi.users.simulate import SimulationSettings
from malmoi.users.splits import Split, SplitSettings
from malmoi.users.stages import check_settings, open_kind

MOST_MODELS = 8
RANKING = "ranking.json"
"""In a report: `results.json`, which others have, is what `malmoi evals` reads."""
PROTOCOL = "full ranking of all items, the history's items taken out but never the truth, mid-rank ties"
BASELINES = ("popularity", "item-knn", "markov-knn")


class EvalConfig(StageConfig):
    """Of users-eval."""

    split: SplitSettings = SplitSettings()
    """What is asked; the models must have been fitted with the same split."""
    baselines: tuple[str, ...] = BASELINES
    """Kinds that are fitted here and reported beside the models."""
    on: Literal["train", "known"] = "train"
    """What these are fitted on; see users-fit."""
    k: int = Field(default=10, ge=1)
    """Of HR@k and NDCG@k."""
    few: int = Field(default=5, ge=1)
    """Users with so many events before the one that is asked, or fewer, are also reported apart."""
    resamples: int = Field(default=1000, ge=100)
    """Of the bootstrap."""
    batch: int = Field(default=256, ge=1, json_schema_extra={"neutral": True})
    """Histories scored at once."""


@dataclass(frozen=True)
class _Entry:
    """A model that is asked: how to get it, and how long that took where it is fitted here."""

    name: str
    kind: str
    artifact: str | None
    open: Callable[[], tuple[Ranker, float | None]]
    key: str


def roles() -> dict[str, Input]:
    """logs, model, model-2 ... model-8."""
    models = {f"model-{number}": Input(("users",), optional=True) for number in range(2, MOST_MODELS + 1)}
    return {"logs": Input(("logs",)), "model": Input(("users",), optional=True), **models}


class EvalStage(Stage[EvalConfig]):
    """Asks every model the same cases. Killed, it goes on with the next model."""

    config: ClassVar[type[EvalConfig]] = EvalConfig
    kind: ClassVar[Literal["report"]] = "report"
    version: ClassVar[int] = 2
    inputs: ClassVar[Mapping[str, Input]] = roles()

    def run(
        self, config: EvalConfig, inputs: Mapping[str, Artifact], out: Path, context: StageContext
    ) -> Mapping[str, Any]:
        """Rank, measure, compare, and write the report.

        Raises:
            InvalidInput: a model was fitted on what it would be asked, or there is nothing to ask.
        """
        from malmoi.users.report.page import render_page

        logs = load_logs(inputs["logs"].path)
        split = config.split.divide(logs)
        if not len(split.test):
            raise InvalidInput("these logs have nothing to ask: every user has too few events.", field="logs")
        models = {role: artifact for role, artifact in inputs.items() if role != "logs"}
        notes = [
            note for artifact in models.values() if (note := _check_fair(artifact, inputs["logs"], config))
        ]
        entries = [*_own(models), *_baselines(config, split, context), *_best(inputs["logs"], context)]
        asked = [_ranks_of(entry, split, config, context) for entry in entries]
        ranks = [found for found, _, _ in asked]
        train = split.train if config.on == "train" else split.known
        groups = find_groups(split.test, train, config.few)
        users = split.test.user
        measured = measure_all(
            ranks, users, groups, k=config.k, seed=context.seed, resamples=config.resamples
        )
        figures = [
            ModelFigures(
                name=entry.name,
                kind=entry.kind,
                artifact=entry.artifact,
                seconds=round(seconds, 3),
                fit_seconds=None if fit_seconds is None else round(fit_seconds, 3),
                groups=own,
            )
            for entry, (_, seconds, fit_seconds), own in zip(entries, asked, measured, strict=True)
        ]
        results = Results(
            logs=inputs["logs"].id,
            split=config.split.model_dump(mode="json"),
            protocol=PROTOCOL,
            k=config.k,
            items=len(logs.items),
            cases=len(split.test),
            users=len(np.unique(users)),
            seed=context.seed,
            models=tuple(figures),
            comparisons=tuple(
                compare_all(
                    [entry.name for entry in entries],
                    ranks,
                    users,
                    k=config.k,
                    seed=context.seed,
                    resamples=config.resamples,
                )
            ),
            notes=tuple(notes),
        )
        write_json(out / RANKING, results.model_dump(mode="json"))
        np.save(out / "ranks.npy", np.stack(ranks), allow_pickle=False)
        (out / "about").mkdir(exist_ok=True)
        (out / "about" / "report.html").write_text(render_page(results), encoding="utf-8")
        return {"models": [one.name for one in figures], "logs": inputs["logs"].id, "cases": results.cases}


def _check_fair(model: Artifact, logs: Artifact, config: EvalConfig) -> str | None:
    """What readers must know about a model's training, or None.

    Raises:
        InvalidInput: it has learned what it would be asked.
    """
    known = model.manifest.metadata
    if known.get("logs") != logs.digest:
        return f"{model.manifest.name} was fitted on other logs; whether it knows these users is not checked."
    split = config.split.model_dump(mode="json")
    if known.get("on") == "all" or known.get("split") != split:
        raise InvalidInput(
            f"{model.id} was fitted on {known.get('on')} of the split {_in_words(known.get('split'))}, so it "
            f"may have learned what it would be asked with the split {_in_words(split)}.",
            field="split",
            fix="Give the split that it was fitted with; or fit it with this one, on train or known.",
        )
    return (
        f"{model.manifest.name} also learned the validation events." if known.get("on") == "known" else None
    )


def _in_words(split: Any) -> str:
    """A split by its method and what is set of it: "users, share 0.2, seed 1"."""
    if not isinstance(split, Mapping):
        return "of nobody knows what"
    keys = {"users": ("share", "seed"), "time": ("time", "every")}.get(str(split.get("method")), ())
    return ", ".join([str(split.get("method")), *(f"{key} {split.get(key)}" for key in keys)])


def _own(models: Mapping[str, Artifact]) -> list[_Entry]:
    names = [artifact.manifest.name for artifact in models.values()]
    entries = []
    for artifact in models.values():
        name, kind = artifact.manifest.name, str(artifact.manifest.metadata.get("kind"))

        def load(artifact: Artifact = artifact, kind: str = kind) -> tuple[Ranker, float | None]:
            return open_kind(kind).load(artifact.path), None

        unique = name if names.count(name) == 1 else artifact.id
        entries.append(_Entry(unique, kind, artifact.id, load, artifact.digest))
    return entries


def _baselines(config: EvalConfig, split: Split, context: StageContext) -> list[_Entry]:
    train: Logs = split.train if config.on == "train" else split.known
    entries = []
    for kind in config.baselines:

        def fit(kind: str = kind) -> tuple[Ranker, float | None]:
            chosen = open_kind(kind)
            work = context.work / f"fit-{kind}"
            work.mkdir(exist_ok=True)
            own = FitContext(work=work, home=context.home, seed=context.seed, progress=context.progress)
            began = perf_counter()
            return chosen.fit(check_settings(chosen, {}), train, own), perf_counter() - began

        entries.append(_Entry(kind, kind, None, fit, f"baseline {kind}"))
    return entries


def _best(logs: Artifact, context: StageContext) -> list[_Entry]:
    """Of simulated logs: the ranking that nobody can beat."""
    simulated = logs.manifest.metadata.get("simulation")
    if not simulated:
        return []

    def build() -> tuple[Ranker, float | None]:
        from malmoi.users.simulate.best import Best
        from malmoi.users.simulate.world import build_world

        return Best(build_world(SimulationSettings.model_validate(simulated))), None

    return [_Entry("best possible", "best", None, build, "best")]


def _ranks_of(
    entry: _Entry, split: Split, config: EvalConfig, context: StageContext
) -> tuple[Ranks, float, float | None]:
    """The ranks of one model, from the last run where that was killed; seconds to rank and to fit."""
    stem = hashlib.sha256(entry.key.encode()).hexdigest()[:20]
    kept = context.work / f"ranks-{stem}.npz"
    if kept.is_file():
        with np.load(kept, allow_pickle=False) as found:
            fitted = float(found["fitted"])
            return found["ranks"], float(found["seconds"]), None if np.isnan(fitted) else fitted
    context.progress.note(f"asking {entry.name}")
    model, fit_seconds = entry.open()
    began = perf_counter()
    ranks = rank_cases(model, split.test, batch=config.batch, progress=context.progress)
    seconds = perf_counter() - began
    temporary = kept.with_suffix(".tmp.npz")
    np.savez(temporary, ranks=ranks, seconds=seconds, fitted=np.nan if fit_seconds is None else fit_seconds)
    temporary.replace(kept)
    return ranks, seconds, fit_seconds
