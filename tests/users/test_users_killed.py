"""`malmoi users fit`, killed in the middle of training: the same command then ends in the same model."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors import SafetensorError, safe_open

from malmoi.cli import main
from malmoi.core.store import Artifact, Store
from malmoi.users.sequences.training_state import FILE, State

SETTINGS = (
    "vocab_size=450",
    "batch_size=32",
    "encoder.width=16",
    "encoder.heads=2",
    "encoder.item_layers=1",
    "encoder.service_layers=1",
    "training.num_steps=80",
    "training.save_seconds=0",
    "head.hidden=16",
    "head.size=16",
    "head.training.num_steps=60",
    "head.training.save_seconds=0",
)
FIT = ["users", "fit", "clue", "--logs", "demo", "--seed", "5", "--quiet"]
for setting in SETTINGS:
    FIT += ["--set", setting]


def call(*words: str, home: Path) -> None:
    with pytest.raises(SystemExit) as left:
        main([*words, "--home", str(home)])
    assert left.value.code == 0


def fitted(home: Path) -> Artifact:
    (found,) = Store(home / "store").artifacts("users")
    return found


def steps_of(file: Path) -> int:
    """Steps of a checkpoint; 0: there is none yet."""
    try:
        with safe_open(str(file), "pt") as opened:
            return State.model_validate_json(opened.metadata()["state"]).step
    except (OSError, SafetensorError):
        return 0


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["", "head"], ids=["contrast", "head"])
def test_a_fit_that_was_killed_ends_in_the_same_bytes(folder: str, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for home in (whole, cut):
        call("users", "simulate", "--users", "120", "--items", "120", "--events", "8", "--quiet", home=home)
    call(*FIT, home=whole)
    command = [sys.executable, "-m", "malmoi", *FIT, "--home", str(cut)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as child:
        reached = 0
        for _ in range(10_000):
            files = [file for file in cut.rglob(FILE) if (file.parent.name == "head") == bool(folder)]
            reached = max(map(steps_of, files), default=0)
            if reached >= 10 or child.poll() is not None:
                break
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    assert reached >= 10
    assert not Store(cut / "store").artifacts("users")
    call(*FIT, home=cut)
    assert fitted(cut).digest == fitted(whole).digest
