"""The matrix products that this machine reaches in a second: what model FLOPs utilisation is a share of.

Printed peaks of processors assume clocks and units that a shared machine does not give; so it is measured, by
products of square matrices, with the threads that training has.
"""

import time
from functools import lru_cache

import torch

_PROCESSOR_SIZES = (512, 1024)
"""Rows and columns: over before the scheduler takes a core away, and enough for the matrix units."""
_ACCELERATOR_SIZES = (2048, 4096)


def measured_peak(dtype: torch.dtype = torch.float32, device: str = "cpu", *, seconds: float = 1.0) -> float:
    """Floating-point operations a second of the best of several products; measured once a process.

    Args:
        dtype: of the matrices.
        device: "cpu", or an accelerator such as "cuda:0".
        seconds: how long to measure, about; on a busy machine a short time gives too low a peak.
    """
    return _measure(dtype, device, torch.get_num_threads(), seconds)


@lru_cache(maxsize=16)
def _measure(dtype: torch.dtype, device: str, num_threads: int, seconds: float) -> float:
    sizes = _PROCESSOR_SIZES if device == "cpu" else _ACCELERATOR_SIZES
    return max(_best(size, dtype, device, seconds / len(sizes)) for size in sizes)


def _best(size: int, dtype: torch.dtype, device: str, seconds: float) -> float:
    """Operations a second of the fastest of as many products as the time allows."""
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
