"""Ctrl+C, SIGTERM, a full disk and a loss that runs away: the run says so, and can go on."""

import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("xllamacpp")

from tiny_runs import (
    RECIPE,
    ROOT,
    SMALL,
    Child,
    command,
    digests,
    environment,
    last_run,
    malmoi,
    refused,
    run_recipe,
    statuses,
)

from malmoi.core.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

QUICK = (
    *SMALL,
    "corpus.num_workers=2",
    "tokenizer.kind=byte",
    "tokenizer.vocab_size=768",
    "tokenizer.report_bytes=0",
)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Digests of a run that nobody disturbed."""
    home = tmp_path_factory.mktemp("straight")
    run_recipe(home, settings=QUICK)
    return digests(home)


def wait_for(child: Child, pattern: str) -> None:
    """Until a file or folder of the store is there."""
    ends = time.monotonic() + 100
    while not any((child.errors.parent / "store").glob(pattern)):
        assert child.process.poll() is None, child.said
        assert time.monotonic() < ends, child.said
        time.sleep(0.005)


@pytest.mark.parametrize("moment", ["work/*/clean", "work/*/checkpoints/step-00000003"])
def test_ctrl_c_stops_with_a_line_and_goes_on(straight: dict[str, str], tmp_path: Path, moment: str) -> None:
    with Child(tmp_path, settings=QUICK) as child:
        wait_for(child, moment)
        assert child.send(signal.SIGINT) == 130, child.said
        assert child.said.splitlines()[-1] == "Stopped. The same command goes on from here."
        assert "Traceback" not in child.said
    stopped = last_run(tmp_path)
    assert (stopped.status, stopped.record.error) == ("cancelled", "Stopped by its user.")
    run_recipe(tmp_path, settings=QUICK)
    assert (last_run(tmp_path).id, last_run(tmp_path).status) == (stopped.id, "finished")
    assert digests(tmp_path) == straight


def test_sigterm_can_go_on(straight: dict[str, str], tmp_path: Path) -> None:
    with Child(tmp_path, settings=QUICK) as child:
        wait_for(child, "work/*/checkpoints/step-00000006")
        assert child.send(signal.SIGTERM, group=False) == -signal.SIGTERM, child.said
        assert "Traceback" not in child.said
    assert last_run(tmp_path).status == "interrupted"
    with Child(tmp_path, settings=QUICK) as child:
        assert child.process.wait(timeout=100) == 0, child.said
        assert "Training goes on after step" in child.said
    assert digests(tmp_path) == straight


def test_a_loss_that_runs_away_is_named(straight: dict[str, str], tmp_path: Path) -> None:
    wild = (
        "pretrain.optim.optimizer=adamw",
        "pretrain.optim.learning_rate=1e30",
        "pretrain.optim.max_norm=0",
    )
    done = malmoi("run", RECIPE, "--home", tmp_path, settings=(*QUICK, *wild))
    refused(done, "cannot be taken: its", "Lower the learning rate")
    assert statuses(tmp_path) == {
        "corpus": "finished",
        "tokenizer": "finished",
        "tokens": "finished",
        "pretrain": "failed",
    }
    run_recipe(tmp_path, settings=QUICK)
    assert statuses(tmp_path)["tokens"] == "reused"
    assert digests(tmp_path) == straight


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of four megabytes, which only root can make."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_loses_nothing(straight: dict[str, str], small_disk: Path) -> None:
    home, filler = small_disk / "home", small_disk / "filler"

    def refuse(free: int) -> None:
        """Leave so many bytes, and run."""
        room = os.statvfs(small_disk)
        filler.write_bytes(b"\0" * (room.f_bavail * room.f_frsize - free))
        before = {artifact.id: artifact.digest for artifact in Store(home / "store").artifacts()}
        refused(malmoi("run", RECIPE, "--home", home, settings=QUICK), "no room left")
        artifacts = Store(home / "store").artifacts()
        assert before.items() <= {artifact.id: artifact.digest for artifact in artifacts}.items()
        for artifact in artifacts:
            artifact.verify()
        filler.unlink()

    for free in (0, 200_000):
        refuse(free)
    run_recipe(home, "--until", "tokens", settings=QUICK)
    refuse(200_000)
    assert statuses(home)["pretrain"] == "failed"
    run_recipe(home, settings=QUICK)
    assert digests(home) == straight


def limited(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_files_that_may_not_grow(straight: dict[str, str], tmp_path: Path) -> None:
    """A limit on the size of files, as a quota acts: reached by the model's weights, and by checkpoints."""
    run_recipe(tmp_path, "--until", "tokens", settings=QUICK)  # unpacks larger files for itself
    done = subprocess.run(
        command("run", RECIPE, "--home", tmp_path, settings=QUICK),
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        preexec_fn=lambda: limited(400_000),
    )
    refused(done, "no room left")
    assert "last good checkpoint is kept" in done.stderr
    assert statuses(tmp_path)["tokens"] in ("finished", "reused")
    assert statuses(tmp_path)["pretrain"] == "failed"
    run_recipe(tmp_path, settings=QUICK)
    assert digests(tmp_path) == straight


def test_a_store_that_is_read_only(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    refused(malmoi("run", RECIPE, "--home", small_disk, settings=QUICK), "cannot be written to", "--home")
