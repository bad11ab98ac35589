"""What every use shares: a company, models that are fitted to a part of it, and rows of figures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import UnknownName
from malmoi.core.intervals import Statistic, bootstrap, percentiles
from malmoi.core.stage import Progress, SilentProgress
from malmoi.users.base import FitContext, Recommender, build_user_models
from malmoi.users.logs import Logs
from malmoi.users.simulate import Simulation, SimulationSettings, simulate

CLUE = MappingProxyType(
    {
        "batch_size": 128,
        "vocab_size": 2048,
        "encoder": {"width": 64, "projected": 64, "item_layers": 1, "service_layers": 1},
        "training": {"num_steps": 200, "learning_rate": 1e-3, "max_norm": 1.0},
        "head": {
            "training": {
                "num_steps": 1500,
                "learning_rate": 1e-3,
                "weight_decay": 0.05,
                "patience": 300,
                "validate_every": 100,
            }
        },
    }
)
"""A CLUE that one core trains in about a minute of its time."""


@dataclass(frozen=True, slots=True)
class Row:
    """One way of doing it: its figure with the 95 % interval."""

    name: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class UseResult:
    """What came of a use: what was asked, in one sentence, and rows, the best first."""

    use: str
    question: str
    figure: str
    rows: tuple[Row, ...]
    remarks: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Setting:
    """What a use is given.

    Attributes:
        users: how many the company has.
        seed: of everything.
        work: a folder for checkpoints.
        home: Malmoi's home.
        progress: where long work tells how far it is.
        changes: settings of CLUE that differ from `CLUE`.
    """

    users: int
    seed: int
    work: Path
    home: Path
    progress: Progress
    changes: Mapping[str, Any]

    def company(self) -> Simulation:
        """Logs of four services, with a known best ranking."""
        return simulate(SimulationSettings(users=self.users, items=800, seed=self.seed))

    def fit(self, kind: str, logs: Logs, *, settings: Mapping[str, Any] | None = None) -> Recommender:
        """A model of this kind; CLUE in the size of the uses, `settings` being those of its head."""
        chosen = build_user_models().get(kind)
        given = dict(settings or {})
        if kind == "clue":
            given = {**CLUE, **self.changes}
            given["head"] = {**given["head"], **(settings or {})}
        work = self.work / kind
        work.mkdir(parents=True, exist_ok=True)
        context = FitContext(work=work, home=self.home, seed=self.seed, progress=self.progress)
        return chosen.fit(chosen.settings_type.model_validate(given), logs, context)


@dataclass(frozen=True, slots=True)
class Use:
    """A use: what it shows, and where it is."""

    title: str
    target: str


USES: Mapping[str, Use] = MappingProxyType(
    {
        "booking": Use("Who among new customers will book?", "malmoi.users.uses.traits:booking"),
        "audience": Use("Whom to send a message?", "malmoi.users.uses.traits:audience"),
        "webtoons": Use("Which webtoons to show?", "malmoi.users.uses.items:webtoons"),
        "new-shop": Use("Which products of a new shop to show?", "malmoi.users.uses.items:new_shop"),
    }
)


def run_use(
    name: str,
    *,
    work: Path,
    home: Path,
    users: int = 3000,
    seed: int = 0,
    progress: Progress | None = None,
    changes: Mapping[str, Any] | None = None,
) -> UseResult:
    """Run a use.

    Args:
        name: one of `USES`.
        work: a folder for checkpoints; a run that died goes on from there.
        home: Malmoi's home.
        users: of the simulated company.
        seed: of everything.
        progress: where long work tells how far it is.
        changes: settings of CLUE that differ.

    Raises:
        UnknownName: there is no such use.
    """
    if name not in USES:
        raise UnknownName("use", name, USES)
    module, _, attribute = USES[name].target.partition(":")
    function: Callable[[Setting], UseResult] = getattr(import_module(module), attribute)
    return function(Setting(users, seed, work, home, progress or SilentProgress(), changes or {}))


def normalised(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of length one."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12))


def described(name: str, other: str, difference: float, low: float, high: float) -> str:
    """One line on how far apart two ways are, with the 95 % interval of the paired bootstrap."""
    verdict = "better" if low > 0 else "worse" if high < 0 else "no difference that this many users show"
    return f"{name} - {other}: {difference:+.4f} ({low:+.4f} to {high:+.4f}), {verdict}"


def compare_figures(
    figures: Mapping[str, Statistic], size: int, name: str, others: Sequence[str], seed: int
) -> tuple[str, ...]:
    """Lines on one way against others, by statistics over the same users."""
    even = np.ones((1, size))
    names = [name, *others]
    drawn = dict(zip(names, bootstrap([figures[one] for one in names], size, seed=seed), strict=True))
    told = []
    for other in others:
        difference = float(figures[name](even)[0] - figures[other](even)[0])
        low, high = percentiles(drawn[name] - drawn[other]) or (difference, difference)
        told.append(described(name, other, difference, low, high))
    return tuple(told)


def ordered(rows: Sequence[Row]) -> tuple[Row, ...]:
    """The best figure first."""
    return tuple(sorted(rows, key=lambda row: -row.value))
