"""How fast user vectors are made, and how fast a recommendation among many items comes.

    python -m malmoi.users.bench.vectors recommend 100000 3

prints what `recommend_times` gives, for a process of one thread (OMP_NUM_THREADS=1).
"""

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

from malmoi.core.store import Store
from malmoi.users.base import FitContext, Recommender, build_user_models
from malmoi.users.logs import Logs
from malmoi.users.service import UserService
from malmoi.users.simulate import SimulationSettings, simulate

REQUESTS = 200
ENCODED = 500
"""Users that are encoded at a time."""
_QUICK = {"batch_size": 128, "training": {"num_steps": 5}, "head": {"kind": "none"}}
"""A CLUE of the usual size; how long it was trained changes nothing of its speed."""


def encode_rates(repeats: int) -> dict[str, list[float]]:
    """Users a second by kind: vectors of histories of twenty events."""
    logs = simulate(SimulationSettings(users=600, items=800, seed=0)).logs
    others = simulate(SimulationSettings(users=ENCODED, items=800, seed=1)).logs
    histories = [others.history(user) for user in range(len(others))]
    rates: dict[str, list[float]] = {}
    for kind, settings in (("mean-text", {}), ("clue", _QUICK)):
        for repeat in range(repeats):
            model = _fit(kind, settings, logs, repeat)  # a new one remembers no vector
            began = perf_counter()
            model.encode(histories)  # type: ignore[attr-defined]  # both kinds read texts
            rates.setdefault(kind, []).append(ENCODED / (perf_counter() - began))
    return rates


def recommend_times(items: int, repeats: int) -> dict[str, list[float]]:
    """Milliseconds of a recommendation for a history of texts, medians of `REQUESTS`.

    By the served facade from texts to the ten best items: `recommend` for histories that were not asked
    before, `recommend_why` with the events that speak for each.
    """
    logs = simulate(SimulationSettings(users=2000, items=items, seed=0)).logs
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        model = _fit("clue", _QUICK, logs, 0)
        with Store(home / "store").new_artifact("users", "bench", metadata={"kind": "clue"}) as out:
            model.save(out)
        service = UserService(home, ["bench"])
        service.open()
        for repeat in range(repeats):
            for name, why in (("recommend", False), ("recommend_why", True)):
                users = np.random.default_rng([repeat, why]).choice(len(logs), REQUESTS, replace=False)
                times = [_timed(service, logs.history(int(user)).texts, why) for user in users]
                found.setdefault(name, []).append(1000 * median(times))
    return found


def _timed(service: UserService, texts: tuple[str, ...], why: bool) -> float:
    began = perf_counter()
    service.recommend(texts, top=10, why=why)
    return perf_counter() - began


def _fit(kind: str, settings: Mapping[str, object], logs: Logs, seed: int) -> Recommender:
    chosen = build_user_models().get(kind)
    with tempfile.TemporaryDirectory() as work:
        context = FitContext(work=Path(work), home=Path(work), seed=seed)
        return chosen.fit(chosen.settings_type.model_validate(settings), logs, context)


if __name__ == "__main__":
    _, _, items, repeats = sys.argv
    print(json.dumps(recommend_times(int(items), int(repeats))))  # noqa: T201
