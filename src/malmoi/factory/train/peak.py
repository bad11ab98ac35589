"""The matrix products that this machine reaches in a second: what model FLOPs utilisation is a share of.

Printed peaks of processors assume clocks and units that a shared machine does not give; so it is measured, by
products of matrices that fit the caches' blocking, with the threads that training has.
"""

import time
from functools import lru_cache

import torch

_SIZE = 2048  # rows and columns on an accelerator or with bfloat16 units
_SMALL = 1024


def measured_peak(dtype: torch.dtype = torch.float32, device: str = "cpu", *, seconds: float = 0.5) -> float:
    """Floating-point operations a second of the best of several products; measured once a process.

    Args:
        dtype: of the matrices.
        device: "cpu", or an accelerator such as "cuda:0".
        seconds: how long to measure, about.
    """
    return _measure(dtype, device, torch.get_num_threads(), seconds)


@lru_cache(maxsize=16)
def _measure(dtype: torch.dtype, device: str, num_threads: int, seconds: float) -> float:
    size = _SMALL if device == "cpu" and dtype == torch.float32 else _SIZE
    generator = torch.Generator().manual_seed(0)
    left = torch.randn(size, size, generator=generator).to(device, dtype)
    right = torch.randn(size, size, generator=generator).to(device, dtype)
    out = left @ right  # warm up
    _wait(device)
    best = float("inf")
    end = time.perf_counter() + seconds
    while best == float("inf") or time.perf_counter() < end:
        began = time.perf_counter()
        torch.mm(left, right, out=out)
        _wait(device)
        best = min(best, time.perf_counter() - began)
    return 2.0 * size**3 / best


def _wait(device: str) -> None:
    if device != "cpu":
        torch.accelerator.synchronize()
