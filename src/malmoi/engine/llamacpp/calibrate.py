"""How many threads to compute with.

At most the physical cores that this process may use (affinity and cgroup quota). On a shared machine even two
can be slower than one, so the first start measures both with a few tokens, without warm-up and with the
smallest cache; the next start reads the answer from `HOME/engine/threads.json`. It costs
two seconds, once.
"""

import asyncio
import json
import logging
import os
from dataclasses import replace
from pathlib import Path

from malmoi.core.errors import EngineError
from malmoi.core.files import write_json
from malmoi.engine.llamacpp.connection import ConnectionLost
from malmoi.engine.llamacpp.process import ServerSpec, start_child

_TOKENS = 6
_MAX_BYTES = 600 << 20  # loaded in half a second
_CLEARLY = 1.15
_log = logging.getLogger(__name__)


def physical_cores(root: Path = Path("/")) -> int:
    """Cores, not hardware threads, that this process may use; at least 1.

    Args:
        root: where `sys` and `proc` are (tests give their own).
    """
    allowed = os.sched_getaffinity(0)
    cores = set()
    for cpu in allowed:
        topology = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
        try:
            ids = [(topology / name).read_text().strip() for name in ("physical_package_id", "core_id")]
        except OSError:
            ids = ["", str(cpu)]
        cores.add(tuple(ids))
    quota = _cgroup_cores(root)
    return max(1, min(len(cores), quota) if quota else len(cores))


def _cgroup_cores(root: Path) -> int | None:
    """Whole cores of the smallest CPU quota from this process's cgroup (v2) up; None: no quota."""
    try:
        name = (root / "proc/self/cgroup").read_text().rpartition("::")[2].strip()
    except OSError:
        name = "/"
    base = root / "sys/fs/cgroup"
    group = base / name.lstrip("/")
    quotas = []
    for folder in (group, *group.parents):
        if not folder.is_relative_to(base):
            break
        try:
            quota, period = (folder / "cpu.max").read_text().split()
        except (OSError, ValueError):
            continue
        if quota != "max":
            quotas.append(int(quota) / int(period))
    return max(1, int(min(quotas))) if quotas else None


async def choose_threads(spec: ServerSpec, *, home: Path | None) -> int:
    """The number of threads for this machine, measured once when there is a `home` to keep it in.

    It is the number of cores, unless one thread is clearly faster. A busy machine, or a large file, which
    would take too long, is not measured: what is known from before counts, else the cores.
    """
    cores = physical_cores()
    if cores == 1 or home is None:
        return cores
    file = home / "engine" / "threads.json"
    key = _machine(cores)
    known = _read(file)
    if known.get(key) in range(1, cores + 1):
        return known[key]
    if os.getloadavg()[0] > cores / 2 or spec.model.stat().st_size > _MAX_BYTES:
        return cores
    many, one = await _measure(spec, cores), await _measure(spec, 1)
    if not many or not one:
        return cores
    best = 1 if one > _CLEARLY * many else cores
    _log.info("threads: %d (tokens a second: %.1f with %d, %.1f with 1)", best, many, cores, one)
    await asyncio.to_thread(write_json, file, {**_read(file), key: best})
    return best


async def _measure(spec: ServerSpec, threads: int) -> float:
    """Tokens a second; 0 where it cannot be measured (the real start will say why)."""
    trial = replace(
        spec,
        threads=threads,
        slots=1,
        context_length=64,
        batch=32,
        prompt_cache_mb=0,
        adapters=(),
        embeddings=False,
        warmup=False,
        repack=False,
    )
    try:
        child = await start_child(trial, timeout=60)
    except EngineError:
        return 0.0
    body = {"prompt": [1], "n_predict": _TOKENS + 1, "temperature": 0, "ignore_eos": True}
    try:
        answer = (await child.connection.request("POST", "/completion", body, timeout=20)).json()
        return float(answer["timings"]["predicted_per_second"])
    except (ConnectionLost, TimeoutError, KeyError):
        return 0.0
    finally:
        await asyncio.shield(child.stop(patience=0))


def _machine(cores: int) -> str:
    """A name for this processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    return f"{cpu}, {cores} cores"


def _read(file: Path) -> dict[str, int]:
    try:
        data = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
