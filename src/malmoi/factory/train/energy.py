"""How much energy a run takes: measured where the machine says, else estimated, and it is said which.

- Accelerators: nvidia-smi's power draw, read every few seconds and added up.
- Processor: the counters of RAPL (/sys/class/powercap), which cover the processor packages and often not the
  memory; else an assumed power for each core in use.

Greenhouse gases are the energy times an assumed intensity of the grid.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

_READ_EVERY = 5.0
"""Seconds between two questions to nvidia-smi."""

JOULES_PER_KWH = 3.6e6


class EnergySettings(BaseModel):
    """What an energy estimate assumes where nothing can be measured."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    watts_per_core: float = Field(default=10.0, ge=0.0)
    """Assumed power of one busy core, with its share of memory and power supply; a typical server of 300 to
    400 W has 32 to 40 cores."""
    grid_grams_per_kwh: float = Field(default=417.3, ge=0.0)
    """Grams of CO2 equivalent for a kilowatt hour; 417.3 is the Republic of Korea's published factor of 2023
    for electricity as consumed."""


class EnergyMeter:
    """Adds up the energy of this machine's part of a run.

    `joules(seconds)` is what the last `seconds` took; counters are read, so it must be called once for each
    stretch of time, in order.
    """

    def __init__(
        self,
        settings: EnergySettings,
        *,
        num_cores: int | None = None,
        powercap: Path = Path("/sys/class/powercap"),
        accelerator_watts: Callable[[], float | None] | None = None,
    ) -> None:
        self._settings = settings
        self._num_cores = num_cores or len(os.sched_getaffinity(0))
        self._counters = _counters(powercap)
        self._last = {path: _microjoules(path) for path in self._counters}
        self._accelerator_watts = accelerator_watts or _nvidia_watts
        self._watts = self._accelerator_watts()
        self._asked = time.monotonic()

    @property
    def basis(self) -> str:
        """Where the figures come from, for people."""
        if self._counters:
            parts = ["processor packages by RAPL counters (of the whole machine, without its power supply)"]
        else:
            watts = self._settings.watts_per_core
            parts = [f"assumption: {self._num_cores} cores at {watts:g} W each (no counter can be read)"]
        if self._watts is not None:
            parts.append("accelerators by nvidia-smi")
        return "; ".join(parts)

    def joules(self, seconds: float) -> float:
        """Energy of the `seconds` that have just passed."""
        energy = self._processor(seconds)
        if self._watts is not None:
            if time.monotonic() - self._asked >= _READ_EVERY:
                self._watts = self._accelerator_watts() or self._watts
                self._asked = time.monotonic()
            energy += self._watts * seconds
        return energy

    def _processor(self, seconds: float) -> float:
        if not self._counters:
            return self._num_cores * self._settings.watts_per_core * seconds
        total = 0.0
        for path, wrap in self._counters.items():
            now = _microjoules(path)
            total += (now - self._last[path]) % wrap if wrap else now - self._last[path]
            self._last[path] = now
        return total / 1e6


def grams_of_co2(joules: float, settings: EnergySettings) -> float:
    """Grams of CO2 equivalent by the assumed intensity of the grid."""
    return joules / JOULES_PER_KWH * settings.grid_grams_per_kwh


def _counters(powercap: Path) -> dict[Path, int]:
    """The readable counters of processor packages, each with the value at which it begins at 0 again."""
    found = {}
    for folder in sorted(powercap.glob("intel-rapl:*")):
        if folder.name.count(":") != 1:  # a part of a package, which is counted in it already
            continue
        try:
            _microjoules(folder / "energy_uj")
            found[folder / "energy_uj"] = _microjoules(folder / "max_energy_range_uj") + 1
        except (OSError, ValueError):
            continue  # since 2020 kernels let only root read them
    return found


def _microjoules(path: Path) -> int:
    return int(path.read_text(encoding="ascii"))


def _nvidia_watts() -> float | None:
    """Power draw of all NVIDIA accelerators together; None where there is none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    question = [program, "--query-gpu=power.draw", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(question, capture_output=True, text=True, timeout=5, check=True).stdout
        return sum(float(line) for line in answer.split())
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
