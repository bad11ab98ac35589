"""How many threads to compute with.

At most the physical cores that this process may use (affinity and cgroup quota). On a shared machine even two
can be slower than one, so the first start of a model measures both with a few tokens, without warm-up and
with the smallest cache, and keeps the faster; the next start reads it from `HOME/engine/threads.json`.
"""

import asyncio
import hashlib
import json
import logging
import os
from dataclasses import replace
from pathlib import Path

from malmoi.core.errors import EngineError
from malmoi.core.files import write_json
from malmoi.engine.llamacpp.connection import ConnectionLost
from malmoi.engine.llamacpp.process import ServerSpec, start_child

_TOKENS = 8
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
    """The number of threads for this model here, measured once when there is a `home` to keep it in."""
    cores = physical_cores()
    if cores == 1 or home is None:
        return cores
    file = home / "engine" / "threads.json"
    key = _key(spec.model, cores)
    known = _read(file)
    if known.get(key) in range(1, cores + 1):
        return known[key]
    speeds = {threads: await _measure(spec, threads) for threads in (cores, 1)}
    best = max(speeds, key=lambda threads: speeds[threads])
    _log.info("threads for %s: %d (tokens a second: %s)", spec.model.name, best, speeds)
    if max(speeds.values()) > 0:
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


def _key(model: Path, cores: int) -> str:
    """A name for this processor and this file, whose content is told by size and time."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    status = model.stat()
    facts = (cpu, cores, model.name, status.st_size, status.st_mtime_ns)
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


def _read(file: Path) -> dict[str, int]:
    try:
        data = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
