"""The runs of a scaling study: sizes by batch sizes, then history lengths and shares of the users.

    store/work/scaling-<key>/<run>/losses.npy    of each user of the pool, when the run is done
    store/work/scaling-<key>/<run>/facts.json    its compute and size
    store/work/scaling-<key>/<run>/work/...      the run under way; it goes on from there

The key is a digest of the logs, the settings without their grid, and `VERSION`; a run's folder names its own
place in the grid. So a study that died goes on, and one whose grid grows computes only what is new.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from malmoi.core.errors import InvalidInput, Unsupported
from malmoi.core.files import write_json
from malmoi.core.locks import locked
from malmoi.core.stage import Progress, SilentProgress
from malmoi.core.store import Store
from malmoi.users.base import FitContext, UserModelSettings, build_user_models
from malmoi.users.logs import Logs
from malmoi.users.scaling.pool import Pool, build_pool, pool_losses

VERSION = 1
"""Raise it when the same logs and settings give other losses than before."""
KIND = "clue"


class ScalingSettings(UserModelSettings):
    """The grid of a study, and what all of its runs share."""

    widths: tuple[Annotated[int, Field(ge=8)], ...] = Field((16, 32, 64, 128), min_length=1)
    """Sizes: width of both transformers; the projection is as wide."""
    batch_sizes: tuple[Annotated[int, Field(ge=2)], ...] = Field((64, 256), min_length=1)
    """Users of a step."""
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    """Each run is made with every seed."""
    histories: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = (4, 8, 16)
    """Events that are read, at the middle width and the largest batch; besides `history_length`."""
    shares: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (0.25, 0.5)
    """Shares of the users that are learned from, at the same size; besides all."""
    layers: int = Field(1, ge=1)
    """Blocks of each transformer."""
    heads: int = Field(2, ge=1)
    """Attention heads; they divide every width."""
    history_length: int = Field(32, ge=1, le=4096)
    """Events that are read."""
    num_steps: int = Field(500, ge=1)
    """Steps of every run."""
    learning_rate: float = Field(1e-3, gt=0)
    """Of every run."""
    vocab_size: int = Field(2048, ge=1)
    """Tokens of the vocabulary."""
    pool: int = Field(1000, ge=20)
    """Users of the fixed pool, who are never learned from."""


@dataclass(frozen=True)
class Place:
    """One run of the grid."""

    width: int
    batch: int
    history: int
    share: float
    seed: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"w{self.width}-b{self.batch}-h{self.history}-s{self.share:g}-{self.seed}"


@dataclass(frozen=True)
class Point:
    """A finished run.

    Attributes:
        place: in the grid.
        flops: floating-point operations of its training.
        weights: of the transformers' blocks.
        losses: share of others before the own other service, of each user of the pool, (P,).
    """

    place: Place
    flops: float
    weights: int
    losses: NDArray[np.float64]


def places(settings: ScalingSettings) -> Iterator[Place]:
    """The grid, the cheapest first within each part."""
    middle = sorted(settings.widths)[len(settings.widths) // 2]
    most = max(settings.batch_sizes)
    for seed in settings.seeds:
        for batch in sorted(settings.batch_sizes):
            for width in sorted(settings.widths):
                yield Place(width, batch, settings.history_length, 1.0, seed)
        for history in sorted(set(settings.histories) - {settings.history_length}):
            yield Place(middle, most, history, 1.0, seed)
        for share in sorted(set(settings.shares) - {1.0}):
            yield Place(middle, most, settings.history_length, share, seed)


def run_study(
    logs: Logs, settings: ScalingSettings, *, store: Store, home: Path, progress: Progress | None = None
) -> list[Point]:
    """Make every run of the grid that is not done yet.

    Args:
        logs: of users of several services.
        settings: the grid.
        store: keeps what is done.
        home: Malmoi's home.
        progress: shows each run.

    Raises:
        InvalidInput: too few users were in two services, or a size does not fit the heads.
        Conflict: another process works on the same study.
    """
    progress = progress or SilentProgress()
    pool = build_pool(logs, size=min(settings.pool, max(len(logs) // 4, 20)))
    rest = np.setdiff1d(np.arange(len(logs)), pool.rows)
    if len(rest) < 20:
        raise InvalidInput(
            f"{len(rest)} users are left to learn from.", fix="Give more logs, or a smaller pool."
        )
    grid = list(places(settings))
    work = store.root / "work" / f"scaling-{study_key(logs, settings)}"
    work.mkdir(parents=True, exist_ok=True)
    busy = "another process works on this study."
    points = []
    with (
        locked(work / "lock", busy=busy, fix="Wait for it, or stop it: what it has finished is kept."),
        progress.task("Scaling study", total=len(grid), unit="runs") as task,
    ):
        for place in grid:
            folder = work / place.name
            if not (folder / "facts.json").is_file():
                _run(place, settings, logs, rest, pool, folder, home, progress)
            point = _read(place, folder)
            points.append(point)
            task.advance(1, auc=round(1 - float(point.losses.mean()), 4))
    return points


def study_key(logs: Logs, settings: ScalingSettings) -> str:
    """Names everything that all runs share."""
    digest = hashlib.sha256()
    for array in (logs.offsets, logs.events):
        digest.update(np.ascontiguousarray(array).tobytes())
    digest.update("\0".join(logs.items.texts).encode("utf-8", "surrogatepass"))
    grid = {"widths", "batch_sizes", "seeds", "histories", "shares", "history_length"}
    shared = [VERSION, settings.model_dump(mode="json", exclude=grid), digest.hexdigest()]
    return hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()[:20]


def _run(
    place: Place,
    settings: ScalingSettings,
    logs: Logs,
    rest: NDArray[np.int64],
    pool: Pool,
    folder: Path,
    home: Path,
    progress: Progress,
) -> None:
    chosen = rest
    if place.share < 1:
        # One order for all shares: a smaller one is part of a larger one.
        order = np.random.default_rng([6]).permutation(rest)
        chosen = np.sort(order[: max(round(place.share * len(rest)), 2)])
    kind: Any = build_user_models().get(KIND)
    work = folder / "work"
    work.mkdir(parents=True, exist_ok=True)
    context = FitContext(work=work, home=home, seed=place.seed, progress=progress)
    model = kind.fit(model_settings(place, settings, kind.settings_type), logs.of_users(chosen), context)
    if not hasattr(model, "contrast"):
        raise Unsupported(f"a {KIND} has no vectors that were contrasted.")
    np.save(folder / "losses.npy", pool_losses(model, pool), allow_pickle=False)
    facts = {"flops": model.facts["flops"], "weights": model.facts["weights_of_blocks"]}
    write_json(folder / "facts.json", facts)
    shutil.rmtree(work, ignore_errors=True)


def model_settings(place: Place, settings: ScalingSettings, kind: type[UserModelSettings]) -> Any:
    """The settings of one run; no head is trained, since the pool asks about the contrasted vectors.

    Raises:
        InvalidInput: the heads do not divide the width.
    """
    if place.width % settings.heads:
        raise InvalidInput(
            f"{settings.heads} heads do not divide the width {place.width}.", field="widths",
            fix=f"Choose widths that {settings.heads} divides.",
        )  # fmt: skip
    encoder = {
        "width": place.width,
        "projected": place.width,
        "heads": settings.heads,
        "item_layers": settings.layers,
        "service_layers": settings.layers,
        "history_length": place.history,
    }
    training = kind.model_fields["training"].default.model_dump()
    training |= {"num_steps": settings.num_steps, "learning_rate": settings.learning_rate}
    return kind.model_validate(
        {
            "encoder": encoder,
            "vocab_size": settings.vocab_size,
            "batch_size": place.batch,
            "training": training,
            "head": {"kind": "none"},
        }
    )


def _read(place: Place, folder: Path) -> Point:
    facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    losses = np.load(folder / "losses.npy", allow_pickle=False)
    return Point(place, float(facts["flops"]), int(facts["weights"]), losses)


def together(points: Sequence[Point]) -> list[list[Point]]:
    """Points that differ in their seed alone, in the order of the grid."""
    groups: dict[tuple[Any, ...], list[Point]] = {}
    for point in points:
        place = point.place
        groups.setdefault((place.width, place.batch, place.history, place.share), []).append(point)
    return list(groups.values())
