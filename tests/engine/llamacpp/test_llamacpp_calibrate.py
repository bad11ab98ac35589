import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from malmoi.engine.llamacpp import calibrate
from malmoi.engine.llamacpp.process import ServerSpec


def machine(root: Path, cores: list[int], *, quota: str | None = None, group: str = "/a/b") -> Path:
    """A fake sys and proc: `cores[i]` is the core of hardware thread i."""
    for cpu, core in enumerate(cores):
        topology = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
        topology.mkdir(parents=True)
        (topology / "core_id").write_text(f"{core}\n")
        (topology / "physical_package_id").write_text("0\n")
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(f"0::{group}\n")
    folder = root / "sys/fs/cgroup" / group.strip("/")
    folder.mkdir(parents=True)
    if quota:
        (folder.parent / "cpu.max").write_text(f"{quota}\n")
        (folder / "cpu.max").write_text("max 100000\n")
    return root


@pytest.mark.parametrize(
    ("cores", "quota", "expected"),
    [
        ([0, 1, 2, 3], None, 4),
        ([0, 0, 1, 1], None, 2),
        ([0, 1, 2, 3], "250000 100000", 2),
        ([0, 1, 2, 3], "50000 100000", 1),
        ([0, 1], "max 100000", 2),
    ],
)
def test_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: list[int], quota: str | None, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(len(cores))))
    assert calibrate.physical_cores(machine(tmp_path, cores, quota=quota)) == expected


def test_a_machine_that_tells_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 5})
    assert calibrate.physical_cores(tmp_path) == 2


@pytest.mark.parametrize(
    ("speeds", "best"), [({1: 9.0, 3: 5.0}, 1), ({1: 5.0, 3: 9.0}, 3), ({1: 5.0, 3: 4.9}, 3)]
)
async def test_the_faster_is_kept(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fake_spec: Callable[..., ServerSpec],
    speeds: dict[int, float],
    best: int,
) -> None:
    measured: list[int] = []

    async def measure(spec: ServerSpec, threads: int) -> float:
        measured.append(threads)
        return speeds[threads]

    monkeypatch.setattr(calibrate, "physical_cores", lambda: 3)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.1, 0.0, 0.0))
    monkeypatch.setattr(calibrate, "_measure", measure)
    spec = fake_spec("ready")
    assert await calibrate.choose_threads(spec, home=tmp_path) == best
    assert await calibrate.choose_threads(spec, home=tmp_path) == best
    assert sorted(measured) == [1, 3]  # once
    assert list(json.loads((tmp_path / "engine/threads.json").read_text()).values()) == [best]


async def test_what_cannot_be_measured_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_spec: Callable[..., ServerSpec]
) -> None:
    monkeypatch.setattr(calibrate, "physical_cores", lambda: 2)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.1, 0.0, 0.0))
    assert await calibrate.choose_threads(fake_spec("refuse"), home=tmp_path) == 2
    assert not (tmp_path / "engine/threads.json").exists()
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine/threads.json").write_text("[")
    assert await calibrate.choose_threads(fake_spec("refuse"), home=tmp_path) == 2


async def test_a_busy_machine_is_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_spec: Callable[..., ServerSpec]
) -> None:
    monkeypatch.setattr(calibrate, "physical_cores", lambda: 2)
    monkeypatch.setattr(os, "getloadavg", lambda: (1.5, 0.0, 0.0))
    spec = fake_spec("crash")
    assert await calibrate.choose_threads(spec, home=tmp_path) == 2
    assert not spec.model.with_suffix(".starts").exists()


async def test_without_a_home_nothing_is_measured(
    monkeypatch: pytest.MonkeyPatch, fake_spec: Callable[..., ServerSpec]
) -> None:
    monkeypatch.setattr(calibrate, "physical_cores", lambda: 2)
    assert await calibrate.choose_threads(fake_spec("crash"), home=None) == 2
