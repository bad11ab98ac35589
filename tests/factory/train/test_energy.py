import stat
from pathlib import Path

import pytest

from malmoi.factory.train.energy import EnergyMeter, EnergySettings, grams_of_co2


def package(folder: Path, name: str, energy: int, wrap: int = 10**9) -> Path:
    (folder / name).mkdir()
    (folder / name / "max_energy_range_uj").write_text(f"{wrap}\n")
    (folder / name / "energy_uj").write_text(f"{energy}\n")
    return folder / name / "energy_uj"


def meter(powercap: Path, **arguments: object) -> EnergyMeter:
    return EnergyMeter(
        EnergySettings(watts_per_core=8.0),
        num_cores=3,
        powercap=powercap,
        **{"accelerator_watts": lambda: None, **arguments},  # type: ignore[arg-type]
    )


def test_without_counters_it_is_an_assumption_and_says_so(tmp_path: Path) -> None:
    found = meter(tmp_path)

    assert found.joules(10.0) == 240.0
    assert found.basis == "assumption: 3 cores at 8 W each (no counter can be read)"


def test_counters_of_all_packages_are_added_up(tmp_path: Path) -> None:
    first, second = package(tmp_path, "intel-rapl:0", 5_000_000), package(tmp_path, "intel-rapl:1", 100)
    package(tmp_path, "intel-rapl:0:0", 0)  # a part of the first package
    found = meter(tmp_path)
    first.write_text("7500000\n")
    second.write_text("500100\n")

    assert found.joules(1.0) == pytest.approx(3.0)
    assert found.joules(1.0) == 0.0
    assert "RAPL" in found.basis
    assert "assumption" not in found.basis


def test_a_counter_that_begins_again_is_followed(tmp_path: Path) -> None:
    counter = package(tmp_path, "intel-rapl:0", 999_000_000)
    found = meter(tmp_path)
    counter.write_text("1000000\n")

    assert found.joules(1.0) == pytest.approx(2.0, abs=1e-5)


def test_a_counter_that_must_not_be_read_is_as_none(tmp_path: Path) -> None:
    counter = package(tmp_path, "intel-rapl:0", 1)
    counter.unlink()
    counter.mkdir()  # cannot be read, whoever runs the test
    counter.chmod(stat.S_IRWXU)

    assert "assumption" in meter(tmp_path).basis


def test_accelerators_are_added(tmp_path: Path) -> None:
    found = meter(tmp_path, accelerator_watts=lambda: 300.0)

    assert found.joules(2.0) == 3 * 8.0 * 2 + 600.0
    assert found.basis.endswith("accelerators by nvidia-smi")


def test_gases_follow_the_grid() -> None:
    assert grams_of_co2(3.6e6, EnergySettings(grid_grams_per_kwh=100.0)) == pytest.approx(100.0)
