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

from malmoi.core.stage import StageContext
from malmoi.core.store import Store
from malmoi.factory.train.settings import PretrainSettings
from malmoi.factory.train.stage import PretrainStage


class DeadlyProgress:
    """Kills its process when the given step is done, once for each name."""

    def __init__(self, step: int, marker: Path) -> None:
        self.step = step
        self.marker = marker

    def task(self, title, *, total=None, unit=""):
        return self

    def note(self, text):
        print(text, flush=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def advance(self, amount=1.0, **shown):
        pass

    def at(self, done, **shown):
        if done == self.step and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    home, name, settings = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
    kill_at = int(sys.argv[4]) if len(sys.argv) > 4 else -1
    torch.set_num_threads(1)
    rank, world_size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    work, out = home / f"{name}-work", home / f"{name}-out"
    work.mkdir(exist_ok=True)
    out.mkdir(exist_ok=True)
    context = StageContext(
        store=Store(home / "store"),
        name=name,
        work=work,
        seed=5,
        home=home,
        progress=DeadlyProgress(kill_at, home / f"{name}-killed-{kill_at}"),
        rank=rank,
        world_size=world_size,
    )
    PretrainStage().run(PretrainSettings(**settings), {"tokens": tokens_artifact(home)}, out, context)


if __name__ == "__main__":
    main()
