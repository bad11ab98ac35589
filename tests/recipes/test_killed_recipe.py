"""kill -9 at random moments of the real recipe: the run goes on, and ends with the same bytes."""

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

pytest.importorskip("torch")
pytest.importorskip("xllamacpp")

from tiny_runs import SMALL, STAGES, Child, digests, last_run, run_recipe

from malmoi.core.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

# Two workers in the corpus, and checkpoints close to one another; what is not killed need not be long.
SETTINGS = (
    *SMALL,
    "corpus.num_workers=2",
    "corpus.synthetic_megabytes=0.2",
    "tokenizer.vocab_size=768",
    "tokenizer.report_bytes=0",
    "tokens.shard_megabytes=0.02",
    "pretrain.num_bytes=20_000",
    "pretrain.save_every=2",
)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Digests of a run that nobody disturbed."""
    home = tmp_path_factory.mktemp("straight")
    run_recipe(home, settings=SETTINGS)
    return digests(home)


def stage_at_work(home: Path) -> str:
    """The stage that was running when the process died; empty: none."""
    runs = Store(home / "store").runs()
    return next((s.name for s in runs[-1].record.stages if s.status == "running"), "") if runs else ""


def kill_when(home: Path, ready: Callable[[], bool], *, delay: float) -> None:
    """Start the run, and kill it, and its workers, `delay` seconds after `ready`."""
    with Child(home, settings=SETTINGS) as child:
        ends = time.monotonic() + 100
        while not ready() and child.process.poll() is None:
            assert time.monotonic() < ends, child.said
            time.sleep(0.005)
        time.sleep(delay)
        child.send(signal.SIGKILL)
        assert "Traceback" not in child.said


def running(home: Path, stage: str) -> Callable[[], bool]:
    return lambda: stage_at_work(home) == stage


def has_work(home: Path, pattern: str) -> Callable[[], bool]:
    return lambda: any((home / "store" / "work").glob(pattern))


def goes_on(home: Path, straight: dict[str, str]) -> None:
    """The next run, of the same id, ends with the bytes of the undisturbed one."""
    interrupted = last_run(home)
    assert interrupted.status == "interrupted"
    run_recipe(home, settings=SETTINGS)
    finished = last_run(home)
    assert (finished.id, finished.status) == (interrupted.id, "finished")
    assert digests(home) == straight
    store = Store(home / "store")
    assert len(store.artifacts()) == len(STAGES)
    for artifact in store.artifacts():
        artifact.verify()


def test_killed_while_the_corpus_is_made(straight: dict[str, str], tmp_path: Path) -> None:
    chance = random.Random(11)
    for pattern in ("*/read", "*/clean"):
        kill_when(tmp_path, has_work(tmp_path, pattern), delay=chance.uniform(0.0, 0.3))
    goes_on(tmp_path, straight)


def test_killed_while_words_are_analysed_and_packed(straight: dict[str, str], tmp_path: Path) -> None:
    chance = random.Random(12)
    kill_when(tmp_path, running(tmp_path, "tokenizer"), delay=chance.uniform(1.0, 4.0))
    kill_when(tmp_path, has_work(tmp_path, "*/tokens/*"), delay=chance.uniform(0.0, 0.1))
    goes_on(tmp_path, straight)


def test_killed_while_it_trains(straight: dict[str, str], tmp_path: Path) -> None:
    chance = random.Random(13)
    first = chance.choice((2, 4))
    kill_when(
        tmp_path, has_work(tmp_path, f"*/checkpoints/step-{first:08d}*"), delay=chance.uniform(0.0, 0.2)
    )
    kill_when(
        tmp_path,
        has_work(tmp_path, f"*/checkpoints/step-{first + 6:08d}"),
        delay=chance.uniform(0.0, 0.2),
    )
    goes_on(tmp_path, straight)


def test_killed_after_random_times(straight: dict[str, str], tmp_path: Path) -> None:
    """Wherever that is: each start has got somewhere further, or the run is over."""
    chance = random.Random(14)
    for _ in range(3):
        kill_when(tmp_path, has_a_run(tmp_path), delay=chance.uniform(0.0, 8.0))
    run_recipe(tmp_path, settings=SETTINGS)
    assert digests(tmp_path) == straight


def has_a_run(home: Path) -> Callable[[], bool]:
    return lambda: any((home / "store" / "runs").glob("*/lock"))


def test_the_workers_of_a_killed_process_end_too(tmp_path: Path) -> None:
    """Only the main process is killed, as the system does it when memory runs out."""
    with Child(tmp_path, settings=SETTINGS) as child:
        ends = time.monotonic() + 100
        while len(alive(child.process.pid)) < 4 and time.monotonic() < ends:
            time.sleep(0.01)  # until there are two workers, beside the process that starts them
        assert child.process.poll() is None, child.said
        child.send(signal.SIGKILL, group=False)
        while alive(child.process.pid) and time.monotonic() < ends:
            time.sleep(0.05)
        assert alive(child.process.pid) == []


def alive(group: int) -> list[int]:
    """Processes of a group that still run; the dead may wait for somebody to ask for their codes."""
    found = []
    for process in psutil.process_iter(["pid", "status"]):
        with suppress(ProcessLookupError):
            if os.getpgid(process.pid) == group and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found
