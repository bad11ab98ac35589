"""Training SASRec: ours against rectools' with the same network, loss, batches and passes over the data."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from malmoi.core.child import child_environment
from malmoi.core.errors import EngineError
from malmoi.users.base import FitContext, build_user_models
from malmoi.users.cases import Cases
from malmoi.users.logs import Logs
from malmoi.users.ranking import ndcg, rank_cases
from malmoi.users.splits import leave_one_out

SHAPE = {"width": 64, "layers": 2, "heads": 2, "length": 50, "dropout": 0.2}
BATCH = 128
LEARNING_RATE = 1e-3
_PEER = Path(__file__).parent / "peer_sasrec.py"


@dataclass(frozen=True, slots=True)
class Side:
    """One training: examples a second, seconds of training, NDCG@10 on the test items, and what ran."""

    examples_per_second: float
    seconds: float
    ndcg: float
    version: str


def compare_sasrec(
    logs: Logs, peer_python: Path, work: Path, *, epochs: int, threads: int, repeats: int
) -> Iterator[tuple[Side, Side]]:
    """Pairs of (ours, theirs), in turn; both are tested on each user's last item, the one before being known.

    An example is an event that is foretold: all of a user's but the first, in every pass.

    Args:
        logs: what users did.
        peer_python: the interpreter of an environment that has rectools.
        work: an empty folder for both.
        epochs: passes over the data.
        threads: of both sides.
        repeats: how many pairs.

    Raises:
        EngineError: the other side failed; the message has its last line.
    """
    split = leave_one_out(logs)
    known = split.known  # both train on all but the last item
    for repeat in range(repeats):
        folder = work / str(repeat)
        folder.mkdir()
        # They take turns in who is first, so that neither always meets the warmer machine.
        if repeat % 2:
            ours = _ours(known, split.test, folder, epochs, repeat)
        theirs = _theirs(known, split.test, peer_python, folder, epochs, threads, repeat)
        if not repeat % 2:
            ours = _ours(known, split.test, folder, epochs, repeat)
        yield ours, theirs


def _examples(logs: Logs, epochs: int) -> int:
    return int(np.maximum(np.minimum(logs.lengths, SHAPE["length"] + 1) - 1, 0).sum()) * epochs


def _ours(logs: Logs, test: Cases, work: Path, epochs: int, seed: int) -> Side:
    from malmoi import __version__

    kind = build_user_models().get("sasrec")
    settings = kind.settings_type.model_validate(
        {
            "hidden_size": SHAPE["width"],
            "num_layers": SHAPE["layers"],
            "num_heads": SHAPE["heads"],
            "max_length": SHAPE["length"],
            "dropout": SHAPE["dropout"],
            "batch_size": BATCH,
            "learning_rate": LEARNING_RATE,
            "num_epochs": epochs,
            "validate_epochs": epochs,
            "patience_epochs": epochs,
            "validation_cases": 1,
        }
    )
    own = work / "ours"
    own.mkdir()
    # One validation case that costs nothing: both sides make as many passes as they are told.
    context = FitContext(work=own, home=own, seed=seed, validation=Cases(logs, *_one_case(logs)))
    began = perf_counter()
    model = kind.fit(settings, logs, context)
    seconds = perf_counter() - began
    figure = ndcg(rank_cases(model, test))
    return Side(_examples(logs, epochs) / seconds, seconds, figure, f"malmoi {__version__}")


def _one_case(logs: Logs) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    user = int(np.argmax(logs.lengths > 1))
    return np.array([user]), np.array([logs.offsets[user + 1] - 1])


def _theirs(logs: Logs, test: Cases, python: Path, work: Path, epochs: int, threads: int, seed: int) -> Side:
    source, out = work / "logs.npz", work / "best.npy"
    np.savez(source, offsets=logs.offsets, events=np.asarray(logs.events))
    settings = SHAPE | {"batch": BATCH, "learning_rate": LEARNING_RATE, "epochs": epochs}
    asked = json.dumps(settings | {"threads": threads, "seed": seed})
    done = subprocess.run(
        [str(python), str(_PEER), str(source), str(out), asked],
        capture_output=True,
        text=True,
        env=child_environment(),
        cwd=work,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        raise EngineError(f"rectools failed: {lines[-1]}", fix="Make its environment anew: make bench-peers.")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    best = np.load(out, allow_pickle=False)
    place = np.argmax(best[test.user] == test.truth[:, None], axis=1)
    hit = (best[test.user] == test.truth[:, None]).any(axis=1)
    figure = float(np.where(hit, 1 / np.log2(place + 2), 0.0).mean())
    versions = ", ".join(f"{name} {version}" for name, version in told["versions"].items())
    return Side(_examples(logs, epochs) / told["train"], told["train"], figure, versions)
