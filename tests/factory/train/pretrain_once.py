"""Run the pretraining stage in this process; the tests kill it, or start it by torchrun.

python pretrain_once.py HOME NAME SETTINGS_JSON [KILL_AT_STEP]
"""

import json
import os
import signal
import sys
from pathlib import Path

import torch
from training_fakes import tokens_artifact

from malmoi.core.stage import SilentProgress, StageContext
from malmoi.core.store import Store
from malmoi.factory.train import pretraining, stage
from malmoi.factory.train.settings import PretrainSettings


class Talking(SilentProgress):
    """Progress on the standard output."""

    def note(self, text: str) -> None:
        print(text, flush=True)


def die_before(step: int, marker: Path) -> None:
    """Kill this process when it asks for the data of `step`, the first time that a process does."""
    asked = pretraining._MixtureBatches.step

    def deadly(batches, number):
        if number == step and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return asked(batches, number)

    pretraining._MixtureBatches.step = deadly


def main() -> None:
    home, name, settings = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
    torch.set_num_threads(1)
    rank, world_size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if len(sys.argv) > 4 and rank == int((*sys.argv, "0")[5]):
        die_before(int(sys.argv[4]), home / f"{name}-killed-{sys.argv[4]}")
    work, out = home / f"{name}-work", home / f"{name}-out"
    work.mkdir(exist_ok=True)
    out.mkdir(exist_ok=True)
    context = StageContext(
        store=Store(home / "store"),
        name=name,
        work=work,
        seed=5,
        home=home,
        progress=Talking(),
        rank=rank,
        world_size=world_size,
    )
    stage.PretrainStage().run(PretrainSettings(**settings), {"tokens": tokens_artifact(home)}, out, context)


if __name__ == "__main__":
    main()
