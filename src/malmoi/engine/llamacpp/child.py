"""The child process: `python -m malmoi.engine.llamacpp.child`, started by `process.py` only.

One JSON line comes in on standard input (see `ServerSpec`), one goes out on standard output:
{"event": "ready", "address": "http://127.0.0.1:40123", "load_seconds": 1.2} or
{"event": "failed", "message": "..."}. After that standard input stays open as a leash: when it ends, or when
the parent dies, this process ends at once. Imports the standard library and xllamacpp only, to start fast.
"""

import ctypes
import json
import os
import resource
import signal
import sys
import time
from typing import Any

_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Serve until standard input ends."""
    control = _take_standard_output()
    spec: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    _tie_to_parent(spec["parent_pid"])
    started = time.monotonic()
    try:
        server = _start(spec)
    except Exception as error:  # whatever native code raises is what the parent has to be told
        _tell(control, {"event": "failed", "message": f"{type(error).__name__}: {error}"})
        return 1
    _tell(
        control,
        {
            "event": "ready",
            "address": server.listening_address,
            "load_seconds": time.monotonic() - started,
        },
    )
    while sys.stdin.buffer.read(4096):
        pass
    os._exit(0)  # not through native destructors: they wait for requests under way


def _start(spec: dict[str, Any]) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = spec["model"]
    params.n_ctx = spec["context_length"] * spec["slots"]
    params.n_parallel = spec["slots"]
    # Every slot owns its part of the cache: as large in sum as a shared one, but no request can fill
    # another's.
    params.kv_unified = False
    params.n_batch = params.n_ubatch = spec["batch"]
    params.n_threads_http = spec["http_threads"]
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.n_threads = spec["threads"]
        cpu.poll = 0  # spinning would take the other processes' turn
    params.cont_batching = True
    params.cache_prompt = True
    params.cache_ram_mib = spec["prompt_cache_mb"]
    params.embedding = spec["embeddings"]
    params.fit_params = False  # it would change the context behind our back
    params.warmup = spec["warmup"]
    params.no_extra_bufts = not spec["repack"]
    params.api_keys = [spec["api_key"]]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.endpoint_metrics = True
    params.endpoint_slots = True
    params.endpoint_props = False
    params.ui = False
    params.use_jinja = False  # templates are rendered on our side
    params.offline = True
    params.verbosity = 2  # warnings and errors
    adapters = []
    for path in spec["adapters"]:
        adapter = xllamacpp.CommonAdapterLoraInfo()
        adapter.path = path
        adapter.scale = 1.0
        adapters.append(adapter)
    params.lora_adapters = adapters
    params.lora_init_without_apply = True
    return xllamacpp.Server(params)


def _take_standard_output() -> int:
    """The pipe to the parent; native code that prints to standard output writes to standard error instead."""
    control = os.dup(1)
    os.dup2(2, 1)
    return control


def _tie_to_parent(parent_pid: int) -> None:
    """Die with the parent, never dump the memory (it holds prompts), go first when memory is short."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:  # it died before the line above
        os._exit(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("500")


def _tell(control: int, event: dict[str, Any]) -> None:
    os.write(control, json.dumps(event).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
