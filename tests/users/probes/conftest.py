"""For tests of probes: one thread of BLAS, where the package that sets it is installed ([serve] has it)."""

from collections.abc import Iterator
from contextlib import nullcontext

import pytest

try:
    from threadpoolctl import threadpool_limits
except ModuleNotFoundError:
    threadpool_limits = nullcontext


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads of BLAS wait for each other on a busy machine, for longer than such small products take."""
    with threadpool_limits(1):
        yield
