"""The recipe tiny-ko with settings so small that a run takes seconds, started as people start it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from malmoi.core.store import Artifact, Run, Store

RECIPE = "recipes/tiny-ko.toml"
ROOT = Path(__file__).parents[2]
STAGES = ("corpus", "tokenizer", "tokens", "pretrain", "gguf", "complete")
# What takes the time elsewhere: 16 k tokens, 4 layers, hundreds of steps.
SMALL = (
    "corpus.synthetic_megabytes=0.25",
    "corpus.num_workers=1",
    "tokenizer.vocab_size=1024",
    "tokenizer.workers=1",
    "tokenizer.report_bytes=2000",
    "pretrain.model.depth=1",
    "pretrain.num_bytes=13_000",
    "pretrain.context_length=64",
    "pretrain.batch_tokens=512",
    "pretrain.evaluate_bytes=4000",
    "pretrain.evaluate_every=6",
    "pretrain.sample_every=6",
    "pretrain.sample_tokens=8",
    "pretrain.save_every=3",
    "complete.max_tokens=8",
)


def command(*arguments: object, settings: Sequence[str] = ()) -> list[str]:
    """The command line of a child process."""
    chosen = [word for setting in settings for word in ("--set", setting)]
    return [sys.executable, "-m", "malmoi", *map(str, arguments), *chosen]


def environment(**changes: str) -> dict[str, str]:
    """One thread: sums of floats then come in one order, and the tests beside this one have room."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", **changes}


def malmoi(
    *arguments: object, settings: Sequence[str] = (), **changes: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        command(*arguments, settings=settings),
        cwd=ROOT,
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def run_recipe(home: Path, *arguments: object, settings: Sequence[str] = SMALL) -> str:
    """Run the recipe, which must succeed; its standard output."""
    done = malmoi("run", RECIPE, "--home", home, *arguments, settings=settings)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def refused(done: subprocess.CompletedProcess[str], *parts: str) -> str:
    """The command ended with a sentence that holds `parts`, not with a traceback; the sentence."""
    said = done.stderr
    assert done.returncode == 1, (done.returncode, done.stdout, said)
    assert "Traceback" not in said, said
    assert "malmoi: " in said, said
    for part in parts:
        assert part in said, said
    return said


def last_run(home: Path) -> Run:
    return Store(home / "store").runs()[-1]


def made(home: Path, stage: str, run: Run | None = None) -> Artifact:
    """What a stage of the last run made or reused."""
    identifiers = {record.name: record.artifact for record in (run or last_run(home)).record.stages}
    identifier = identifiers[stage]
    assert identifier is not None
    return Store(home / "store").artifact(identifier)


def digests(home: Path, run: Run | None = None) -> dict[str, str]:
    """Stage -> sha256 of all that it made."""
    chosen = run or last_run(home)
    return {record.name: made(home, record.name, chosen).digest for record in chosen.record.stages}


def statuses(home: Path) -> dict[str, str]:
    return {record.name: record.status for record in last_run(home).record.stages}


def read_json(artifact: Artifact, file: str) -> Any:
    return json.loads((artifact.path / file).read_bytes())


def _hear_ctrl_c() -> None:
    """Undo what a shell does to commands in its background: they and their children ignore Ctrl+C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Child:
    """A run in a process group of its own, so that a signal reaches its workers as a terminal's would."""

    def __init__(
        self, home: Path, *arguments: object, settings: Sequence[str] = SMALL, **changes: str
    ) -> None:
        self.errors = home / "stderr.txt"
        home.mkdir(exist_ok=True)
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                command("run", RECIPE, "--home", home, *arguments, settings=settings),
                cwd=ROOT,
                env=environment(**changes),
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
                preexec_fn=_hear_ctrl_c,
            )

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def send(self, number: signal.Signals, *, group: bool = True) -> int:
        """Signal the whole group or the main process alone; the code it ends with."""
        if self.process.poll() is None:
            (os.killpg if group else os.kill)(self.process.pid, number)
        return self.process.wait(timeout=60)

    @property
    def said(self) -> str:
        """Standard error so far."""
        return self.errors.read_text(encoding="utf-8")


def prose(number: int, extra: str = "") -> str:
    """A document that no rule has anything against, unlike the others."""
    towns = ("강릉", "전주", "통영", "안동", "목포", "춘천", "여수")
    things = (
        "시장",
        "항구",
        "도서관",
        "박물관",
        "온실",
        "천문대",
        "방앗간",
        "서점",
        "극장",
        "우체국",
        "학교",
    )
    town, thing = towns[number % 7], things[number % 11]
    return (
        f"{town}의 {thing}에는 {1900 + number}년부터 이어진 이야기가 있습니다. 사람들은 아침마다 "
        f"{things[(number * 3 + 1) % 11]} 앞에 모여 {number}번째 노래를 불렀고, 저녁이면 "
        f"{towns[(number * 5 + 2) % 7]}에서 온 손님에게 따뜻한 차를 내주었습니다. 그래서 지금도 "
        f"{number + 30}명의 주민이 {thing}을 아끼며, 해마다 {number % 12 + 1}월에는 작은 잔치를 엽니다. "
        f"올해는 비가 잦아 {things[(number * 7 + 3) % 11]} 안에서 열기로 했습니다. {extra}"
    )
