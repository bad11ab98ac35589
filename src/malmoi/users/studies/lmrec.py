"""What language modelling gives to recommendation: LMRec's variants under one budget (its tables 2, 4, 5).

    lmrec-lm                  L2 alone
    lmrec                     L1 + lambda * L2 on the task's own logs
    pretrain-then-finetune    as many steps of L1, then as many of L2
    70:30 (and so on)         lmrec whose L1 reads 70 % of its rows from the task's logs, the rest from others

Every fit has the same number of steps at most, the same loaders, and stops by the same validation cases, so
joint training and one after the other read as many rows for L1 and as many pairs for L2. All are asked the
same cases, full ranking, and are compared user by user with a paired bootstrap. What is done is kept under
`work`: a study that was killed goes on with the first fit that is missing.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from malmoi.core.errors import InvalidInput, UnknownName
from malmoi.core.files import new_directory, write_json
from malmoi.core.stage import Progress
from malmoi.users.base import FitContext, Recommender, UserModelSettings, build_user_models
from malmoi.users.logs import Items, Logs
from malmoi.users.ranking import Comparison, gains, hit_rate, interval, rank_cases
from malmoi.users.splits import Split, hold_out_users, leave_one_out

FIRST, JOINT, STAGED = "lmrec-lm", "lmrec", "pretrain-then-finetune"
_PRETRAINED = "pretrain"


class StudySettings(UserModelSettings):
    """What is compared, and how."""

    lmrec: dict[str, Any] = Field(default_factory=dict)
    """Settings of every LMRec; objective, start_from, agnostic and specific_share are the study's."""
    own: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """More settings of single rows, by name; "pretrain" is the first part of pretrain-then-finetune."""
    split: Literal["cold-users", "leave-one-out"] = "cold-users"
    """Ask users whom no fit has seen, or everybody for the last event."""
    share: float = Field(0.2, gt=0, le=0.4)
    """Of the users, for the test; as many validate. With cold-users."""
    target: str | None = None
    """The service to recommend; the events of the others become task-agnostic text. None: all services."""
    ratios: tuple[float, ...] = (0.0, 0.3, 0.5, 0.7)
    """Shares of the task's own rows in L1; with `target`. The share of 1 is lmrec itself."""
    baselines: tuple[str, ...] = ("popularity", "mean-text", "item-knn", "markov-knn")
    """Kinds to report beside, with their own default settings."""
    seed: int = Field(0, ge=0)
    """Of the split and of the first fit."""
    fits: int = Field(1, ge=1)
    """Fits of every LMRec, each with the next seed; a user's gain is the mean over them."""


@dataclass(frozen=True)
class Variant:
    """One row of the study.

    Attributes:
        name: of the row.
        kind: of model.
        settings: of the fit, as JSON values.
        after: a variant whose model the fit goes on from.
    """

    name: str
    kind: str
    settings: Mapping[str, Any]
    after: str | None = None


def run_study(
    settings: StudySettings, logs: Logs, *, work: Path, home: Path, progress: Progress
) -> dict[str, Any]:
    """Fit, ask and compare; gives the report as JSON values.

    Args:
        settings: what is compared.
        logs: of one or several services.
        work: keeps finished fits; the same settings and logs find them again.
        home: Malmoi's home.
        progress: shows every fit.

    Raises:
        UnknownName: there is no such service or baseline.
        InvalidInput: the logs are too small, or a setting is not allowed.
    """
    task = logs if settings.target is None else only_service(logs, settings.target)
    split = _split(settings, task)
    agnostic = None
    if settings.target is not None:
        agnostic = work / "agnostic"
        if not agnostic.exists():
            with new_directory(agnostic) as folder:
                _of_users(logs, split.train).save(folder)
    variants = list(build_variants(settings, agnostic))
    ranks: dict[str, NDArray[np.float64]] = {}
    rows = []
    for variant in variants:
        seeds = range(settings.seed, settings.seed + (settings.fits if variant.kind == "lmrec" else 1))
        asked = [_ask(variant, settings, seed, split, work, home, progress) for seed in seeds]
        if variant.name == _PRETRAINED:
            continue
        found = ranks[variant.name] = np.stack([one for one, _ in asked])
        mean = gains(found).mean(axis=0)
        low, high = interval(mean, seed=settings.seed)
        row = {"name": variant.name, "hr@10": hit_rate(found), "ndcg@10": float(mean.mean())}
        facts = [{"seed": seed, "ndcg@10": float(gains(one).mean()), **took}
                 for seed, (one, took) in zip(seeds, asked, strict=True)]  # fmt: skip
        rows.append({**row, "low": low, "high": high, "fits": facts, "settings": dict(variant.settings)})
        progress.note(
            f"{variant.name}: HR@10 {row['hr@10']:.4f}, "
            f"NDCG@10 {row['ndcg@10']:.4f} ({low:.4f} to {high:.4f})"
        )
    return {
        "study": "lmrec",
        "settings": settings.model_dump(mode="json"),
        "users": len(task), "items": len(task.items), "events": task.num_events, "cases": len(split.test),
        "rows": rows,
        "comparisons": _compared(ranks, settings),
    }  # fmt: skip


def build_variants(settings: StudySettings, agnostic: Path | None) -> Iterator[Variant]:
    """The rows of the study in the order in which they are fitted.

    Raises:
        InvalidInput: the settings hold one that the study sets itself, or name a row that there is not.
    """
    given = set(settings.lmrec).union(*settings.own.values())
    taken = {"objective", "start_from", "agnostic", "specific_share", "train"} & given
    if taken:
        raise InvalidInput(
            f"the study sets {', '.join(sorted(taken))} itself.", fix="Leave it out of the settings of lmrec."
        )
    for kind in settings.baselines:
        yield Variant(kind, kind, {})
    rows: dict[str, dict[str, Any]] = {
        FIRST: {"objective": "rec"},
        JOINT: {"objective": "joint"},
        _PRETRAINED: {"objective": "lm"},
        STAGED: {"objective": "rec"},
    }
    if agnostic is not None:
        for share in settings.ratios:
            mixed = {"objective": "joint", "agnostic": str(agnostic), "specific_share": share}
            rows[ratio_name(share)] = mixed
    strange = sorted(settings.own.keys() - rows.keys())
    if strange:
        raise InvalidInput(f"the study has no row {strange[0]}.", fix=f"Name one of {', '.join(rows)}.")
    for name, row in rows.items():
        values = {**settings.lmrec, **settings.own.get(name, {}), **row}
        yield Variant(name, "lmrec", values, after=_PRETRAINED if name == STAGED else None)


def ratio_name(share: float) -> str:
    """Such as 70:30."""
    return f"{round(100 * share)}:{round(100 * (1 - share))}"


def only_service(logs: Logs, service: str) -> Logs:
    """The events and items of one service; users without any of them are left out.

    Raises:
        UnknownName: the logs have no such service.
    """
    items = logs.items
    if service not in items.services:
        raise UnknownName("service", service, items.services)
    mine = items.service == items.services.index(service)
    numbers = np.where(mine, np.cumsum(mine) - 1, -1).astype(np.int32)
    kept = mine[logs.events]
    counted = np.concatenate([[0], np.cumsum(kept)])
    chosen = np.flatnonzero(mine).tolist()
    own = Items(
        ids=tuple(items.ids[number] for number in chosen),
        texts=tuple(items.texts[number] for number in chosen),
        services=(service,),
        service=np.zeros(len(chosen), np.int16),
    )
    offsets = counted[logs.offsets].astype(np.int64)
    times = None if logs.times is None else np.asarray(logs.times)[kept]
    every = Logs(logs.users, own, offsets, numbers[logs.events[kept]], times)
    return every.of_users(np.flatnonzero(every.lengths))


def _split(settings: StudySettings, task: Logs) -> Split:
    if settings.split == "leave-one-out":
        return leave_one_out(task)
    return hold_out_users(task, share=settings.share, seed=settings.seed)


def _of_users(logs: Logs, train: Logs) -> Logs:
    """Everything that the users of the training logs did: nobody who is asked gives text either."""
    known = set(train.users)
    return logs.of_users([row for row, user in enumerate(logs.users) if user in known])


def _ask(
    variant: Variant,
    settings: StudySettings,
    seed: int,
    split: Split,
    work: Path,
    home: Path,
    progress: Progress,
) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """Ranks of the test cases, and what the fit took; from the folder where it is done already."""
    folder = work / "variants" / f"{variant.name.replace(':', '-')}-seed{seed}"
    if not folder.exists():
        kind = build_user_models().get(variant.kind)
        values = dict(variant.settings)
        if variant.after is not None:
            values["start_from"] = str(work / "variants" / f"{variant.after}-seed{seed}" / "model")
        context = FitContext(
            work=work / "fits" / folder.name,
            home=home,
            seed=seed,
            validation=split.validation,
            progress=progress,
        )
        context.work.mkdir(parents=True, exist_ok=True)
        progress.note(f"Fit {variant.name}, seed {seed}.")
        began = time.process_time()
        model = kind.fit(kind.settings_type.model_validate(values), split.train, context)
        facts = {"cpu_seconds": round(time.process_time() - began, 1), **_steps(context)}
        with new_directory(folder) as place:
            (place / "model").mkdir()
            model.save(place / "model")
            ranks = _ranks(variant, model, split, progress)
            np.save(place / "ranks.npy", ranks, allow_pickle=False)
            write_json(place / "facts.json", facts)
    facts = json.loads((folder / "facts.json").read_bytes())
    return np.load(folder / "ranks.npy", allow_pickle=False), facts


def _ranks(variant: Variant, model: Recommender, split: Split, progress: Progress) -> NDArray[np.float64]:
    if variant.name == _PRETRAINED:  # its linear layers have learned nothing
        return np.full(len(split.test), np.inf)
    return rank_cases(model, split.test, progress=progress)


def _steps(context: FitContext) -> dict[str, Any]:
    """How long the fit was and where it was best, from its metrics."""
    rows = list(context.metrics.read())
    losses = [(row["validation_loss"], row["step"]) for row in rows if "validation_loss" in row]
    if not losses:
        return {}
    return {"steps": rows[-1]["step"], "best_step": min(losses)[1], "validation_loss": min(losses)[0]}


def _compared(
    ranks: Mapping[str, NDArray[np.float64]], settings: StudySettings
) -> Sequence[Mapping[str, Any]]:
    """User by user, each with the mean of the fits; and the difference of every fit alone."""
    pairs = [(JOINT, FIRST), (JOINT, STAGED), *((JOINT, kind) for kind in settings.baselines)]
    pairs += [(ratio_name(share), JOINT) for share in settings.ratios]
    rows = []
    for one, other in pairs:
        if one in ranks and other in ranks:
            better = gains(ranks[one]) - gains(ranks[other])  # (fits, C)
            users = better.mean(axis=0)
            low, high = interval(users, seed=settings.seed)
            found = Comparison(float(users.mean()), low, high, len(users), len(users))
            row = {"difference": found.difference, "low": low, "high": high, "verdict": found.verdict}
            rows.append({"a": one, "b": other, **row, "each": better.mean(axis=1).tolist()})
    return rows


def settings_for(settings: StudySettings, overrides: Mapping[str, Any]) -> StudySettings:
    """The settings with more of LMRec's, checked at once and not after the first fits.

    Args:
        settings: of the study.
        overrides: by name; "row.name" is of that row alone.

    Raises:
        InvalidInput: LMRec has no such setting, or the value is not allowed.
    """
    from pydantic import ValidationError

    every = {key: value for key, value in overrides.items() if "." not in key}
    own = {name: dict(values) for name, values in settings.own.items()}
    for key, value in overrides.items():
        row, dot, name = key.rpartition(".")
        if dot:
            own.setdefault(row, {})[name] = value
    changed = settings.model_copy(update={"lmrec": {**settings.lmrec, **every}, "own": own})
    for row, values in {"lmrec": {}, **own}.items():
        try:
            build_user_models().get("lmrec").settings_type.model_validate({**changed.lmrec, **values})
        except ValidationError as error:
            first = error.errors()[0]
            place = f"{row}.{'.'.join(map(str, first['loc']))}"
            raise InvalidInput(f"{place}: {first['msg']}.", field=place) from error
    return changed
